{{/* xrootd.cfg. Paths and ports are those of the pod (_pod.tpl). */}}
{{- define "xcache.config" -}}
{{- $keys := include "xcache.keys" . -}}
{{- $cache := .Values.global.cache -}}
{{- $files := .Values.files -}}
{{- include "xcache.validate" . -}}
all.sitename {{ $cache.siteName }}
all.export {{ trimSuffix "/" $cache.pathPrefix | default "/" }} r/o
all.adminpath /tmp/xrd
all.pidpath /tmp/xrd
xrd.port {{ int $cache.port }}
ofs.osslib libXrdPss.so
pss.cachelib libXrdPfc.so
pss.origin {{ include "xcache.origin" . }}
# An origin that does not answer is an error within half a minute. It is asked again soon because of
# XRD_STREAMERRORWINDOW (_pod.tpl); ReconnectWait here keeps a failed connection failed.
pss.setopt ConnectTimeout 5
pss.setopt ConnectionRetry 1
pss.setopt RequestTimeout 20
pss.setopt StreamTimeout 20
oss.localroot /cache/files
pfc.ram {{ $files.memory }}
pfc.blocksize {{ $files.blockSize }}
pfc.prefetch {{ int $files.prefetchBlocks }}
pfc.diskusage {{ $files.lowWatermark }} {{ $files.highWatermark }}
{{- with $files.limits.max }} files {{ $files.limits.base }} {{ $files.limits.nominal }} {{ . }}
{{- end }} purgeinterval {{ int $files.purgeIntervalSeconds }}
# The certificate and the authorities are read again after so many seconds.
xrd.tls {{ $keys }}/tls.crt {{ $keys }}/tls.key
xrd.tlsca certfile {{ $keys }}/ca.pem refresh 600
xrootd.tls capable all
# ztn alone: a client without TLS or without a token cannot log in, and what it reads does not
# carry its token to the origin.
xrootd.seclib libXrdSec.so
sec.protocol ztn -tokenlib libXrdMacaroons.so -expiry optional
ofs.authorize
ofs.authlib libXrdMacaroons.so
macaroons.secretkey /run/xcache/macaroon.key
macaroons.maxduration {{ int $cache.maxDurationSeconds }}
macaroons.onmissing deny
macaroons.trace info
{{- if .Values.https.enabled }}
xrd.protocol http:8443 libXrdHttp.so
http.header2cgi Authorization authz
http.listingdeny yes
{{- end }}
xrd.report 127.0.0.1:9931 every 10s all -poll
xrootd.mongstream pfc use flush 5s maxlen 4096 send json dflthdr 127.0.0.1:9932
{{- end }}

{{/* Refuses water marks and limits that XRootD would refuse at its start, or that mean nothing. */}}
{{- define "xcache.validate" -}}
{{- $files := .Values.files -}}
{{- $limits := $files.limits -}}
{{- if ge (float64 $files.lowWatermark) (float64 $files.highWatermark) -}}
{{- fail (printf "xcache.files.lowWatermark is %v; it must be below highWatermark, %v." $files.lowWatermark $files.highWatermark) -}}
{{- end -}}
{{- $given := compact (list $limits.base $limits.nominal $limits.max) -}}
{{- if not (has (len $given) (list 0 3)) -}}
{{- fail "xcache.files.limits needs base, nominal and max, or none of them." -}}
{{- end -}}
{{- end }}
