{{/* Refuses what values.schema.json cannot see: values that do not fit together. */}}
{{- define "casita.validate" -}}
{{- $global := .Values.global -}}
{{- $api := $global.gateway.routeApi -}}
{{- $gateway := include "casita.name.gatewayNamespace" . -}}
{{- $sessions := $global.sessions.namespaces -}}
{{- if has .Release.Namespace $sessions -}}
{{- fail (printf "global.sessions.namespaces has %s, the namespace of the release, whose Secrets no session may be near; take another one." .Release.Namespace) -}}
{{- end -}}
{{- if or (eq $gateway .Release.Namespace) (has $gateway $sessions) -}}
{{- fail (printf "global.gateway.namespace is %s, which is the release's namespace or one of global.sessions.namespaces; the gateway can read every Secret where it is, so give it a namespace of its own." $gateway) -}}
{{- end -}}
{{- if not (get .Values.operator.profiles .Values.operator.defaultProfile) -}}
{{- fail (printf "operator.defaultProfile is %s, but operator.profiles has only: %s." .Values.operator.defaultProfile (keys (include "casita.profiles" . | fromYaml) | sortAlpha | join ", ")) -}}
{{- end -}}
{{- include "casita.validate.batch" . -}}
{{- include "casita.validate.cache" . -}}
{{- include "casita.validate.hub" . -}}
{{- if .Values.traefik.enabled -}}
{{- if and .Values.traefik.tls.secretName (eq $api "IngressRouteTCP") -}}
{{- fail "traefik.tls.secretName makes a listener of the Gateway API, which is not used when global.gateway.routeApi is IngressRouteTCP; leave it empty." -}}
{{- end -}}
{{- if and .Values.traefik.tls.secretName (eq (int $global.gateway.port) 443) -}}
{{- fail "global.gateway.port is 443, where traefik.tls.secretName already has HTTPS; take another port for sessions." -}}
{{- end -}}
{{- if and (not .Values.traefik.tls.secretName) (eq $api "None") -}}
{{- fail "With global.gateway.routeApi None and no traefik.tls.secretName the gateway has nothing to listen to; set traefik.enabled to false." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.batch" -}}
{{- $batch := .Values.global.batch -}}
{{- $pool := include "casita.batch.poolNamespace" . -}}
{{- if and .Values.htcondor.enabled (not $batch.enabled) -}}
{{- fail "htcondor.enabled needs global.batch.enabled, which gives sessions tokens for the pool." -}}
{{- end -}}
{{- if and .Values.htcondor.enabled $batch.collector -}}
{{- fail (printf "global.batch.collector is %s, another pool than this chart's; leave it empty, or set htcondor.enabled to false." $batch.collector) -}}
{{- end -}}
{{- $drain := int .Values.operator.workers.drainSeconds -}}
{{- if and .Values.htcondor.enabled (lt (int .Values.htcondor.execute.stopSeconds) (add $drain 30 | int)) -}}
{{- fail (printf "htcondor.execute.stopSeconds is %d, but workers may take operator.workers.drainSeconds, %d, to drain; set it to %d at least." (int .Values.htcondor.execute.stopSeconds) $drain (add $drain 30 | int)) -}}
{{- end -}}
{{- if and .Values.htcondor.enabled $batch.workers.ranges -}}
{{- fail "global.batch.workers.ranges is for the machines of a pool of yours; this chart's own is known: leave it empty." -}}
{{- end -}}
{{- if and .Values.htcondor.enabled (ne $batch.workers.universe "vanilla") -}}
{{- fail (printf "global.batch.workers.universe is %s, but this chart's own pool runs no containers; set it to vanilla." $batch.workers.universe) -}}
{{- end -}}
{{- if gt (int $batch.workers.firstPort) (int $batch.workers.lastPort) -}}
{{- fail (printf "global.batch.workers.firstPort is %d, above lastPort, %d." (int $batch.workers.firstPort) (int $batch.workers.lastPort)) -}}
{{- end -}}
{{- if and $batch.enabled (not .Values.htcondor.enabled) (not (and $batch.collector $batch.schedd)) -}}
{{- fail "global.batch.enabled needs the address of your pool in global.batch.collector and global.batch.schedd, or htcondor.enabled." -}}
{{- end -}}
{{- if and .Values.htcondor.enabled (or (eq $pool .Release.Namespace) (has $pool .Values.global.sessions.namespaces) (eq $pool (include "casita.name.gatewayNamespace" .))) -}}
{{- fail (printf "global.batch.poolNamespace is %s, where users' jobs run; give it a namespace that nothing else is in." $pool) -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.cache" -}}
{{- $cache := .Values.global.cache -}}
{{- if and .Values.xcache.enabled (not $cache.enabled) -}}
{{- fail "xcache.enabled needs global.cache.enabled, which gives sessions tokens for the cache." -}}
{{- end -}}
{{- if and .Values.xcache.enabled $cache.host -}}
{{- fail (printf "global.cache.host is %s, another cache than this chart's; leave it empty, or set xcache.enabled to false." $cache.host) -}}
{{- end -}}
{{- if and .Values.xcache.enabled $cache.authoritySecret -}}
{{- fail "global.cache.authoritySecret is for a cache of yours; this chart's own is signed by the system authority: leave it empty." -}}
{{- end -}}
{{- if and $cache.enabled (not .Values.xcache.enabled) (not (and $cache.host $cache.authoritySecret)) -}}
{{- fail "global.cache.enabled needs your cache in global.cache.host and its authority in global.cache.authoritySecret, or xcache.enabled." -}}
{{- end -}}
{{- if and $cache.enabled $cache.probePath (not (hasPrefix $cache.pathPrefix $cache.probePath)) -}}
{{- fail (printf "global.cache.probePath is %s, which is not below global.cache.pathPrefix, %s." $cache.probePath $cache.pathPrefix) -}}
{{- end -}}
{{- $asked := int .Values.operator.credentials.macaroonSeconds -}}
{{- $duration := int $cache.maxDurationSeconds -}}
{{- $longest := sub $duration (min 600 (div $duration 4)) -}}
{{- if and $cache.enabled (ne $asked 0) (or (lt $asked 300) (gt $asked (int $longest))) -}}
{{- fail (printf "operator.credentials.macaroonSeconds is %d; with global.cache.maxDurationSeconds %d it must be 0 or from 300 to %d." $asked $duration (int $longest)) -}}
{{- end -}}
{{- range $name, $profile := .Values.operator.profiles -}}
{{- $prefix := get ($profile | default dict) "dataPathPrefix" -}}
{{- if and $cache.enabled $prefix (ne $prefix "None") (not (hasPrefix $cache.pathPrefix $prefix)) -}}
{{- fail (printf "operator.profiles.%s.dataPathPrefix is %s, which is not within global.cache.pathPrefix, %s." $name $prefix $cache.pathPrefix) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.hub" -}}
{{- $hub := .Values.jupyterhub -}}
{{- if ne $hub.enabled .Values.global.hub.enabled -}}
{{- fail (printf "jupyterhub.enabled is %t and global.hub.enabled %t; set both, or neither." $hub.enabled .Values.global.hub.enabled) -}}
{{- end -}}
{{- if $hub.enabled -}}
{{- $namespace := include "casita.hub.namespace" . -}}
{{- if or (eq $namespace .Release.Namespace) (eq $namespace (include "casita.name.gatewayNamespace" .)) (has $namespace .Values.global.sessions.namespaces) -}}
{{- fail (printf "global.hub.namespace is %s, where other parts are; the gateway can read every Secret of the hub's namespace, so give it one of its own." $namespace) -}}
{{- end -}}
{{- if not (dig "JupyterHub" "authenticator_class" "" $hub.hub.config) -}}
{{- fail "jupyterhub.enabled needs a way to log in: set jupyterhub.hub.config.JupyterHub.authenticator_class, for instance to casita-oidc; docs/admin/authentication.md has examples." -}}
{{- end -}}
{{- if eq .Values.global.gateway.routeApi "IngressRouteTCP" -}}
{{- fail "The hub is reached by an HTTPRoute of the Gateway API, which is not used when global.gateway.routeApi is IngressRouteTCP; set it to TLSRoute or None." -}}
{{- end -}}
{{- if and .Values.traefik.enabled (not .Values.traefik.tls.secretName) -}}
{{- fail "jupyterhub.enabled needs HTTPS: set traefik.tls.secretName to a Secret in the gateway's namespace with tls.crt and tls.key." -}}
{{- end -}}
{{- if not .Values.operator.enabled -}}
{{- fail "jupyterhub.enabled needs operator.enabled: without an operator no server has a session." -}}
{{- end -}}
{{- if and (eq $hub.hub.db.type "other") (not $hub.hub.db.url) -}}
{{- fail "jupyterhub.hub.db.type is other: set jupyterhub.hub.db.url to the address of your database." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The catalogue without the profiles that another values file took away. */}}
{{- define "casita.profiles" -}}
{{- $found := dict -}}
{{- range $name, $profile := .Values.operator.profiles -}}
{{- if $profile }}{{ $_ := set $found $name $profile }}{{ end -}}
{{- end -}}
{{ toYaml $found }}
{{- end }}
