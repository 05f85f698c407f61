{{- define "xcache.name" -}}
{{ include "casita.cache.service" . }}
{{- end }}
{{- define "xcache.name.metrics" -}}
{{ include "xcache.name" . }}-metrics
{{- end }}
{{- define "xcache.name.files" -}}
{{ .Values.storage.existingClaim | default (printf "%s-files" (include "xcache.name" .)) }}
{{- end }}

{{- define "xcache.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "xcache" "component" "cache") }}
{{- end }}
{{- define "xcache.metricsLabels" -}}
{{ include "casita.labels" (dict "root" . "name" "xcache" "component" "metrics") }}
{{- end }}

{{/* host:port of the origin. */}}
{{- define "xcache.origin" -}}
{{ required "xcache.enabled needs an origin: set xcache.origin.host to your storage server or to the redirector of your federation." .Values.origin.host }}:{{ int .Values.origin.port }}
{{- end }}

{{/* Where what the server reads is delivered. */}}
{{- define "xcache.keys" -}}
/run/casita/keys
{{- end }}

{{/* The authorities that may sign the origin's certificate. */}}
{{- define "xcache.originAuthority" -}}
{{ ternary "/etc/casita/origin-authority/ca.pem" "/etc/ssl/certs/ca-certificates.crt" (ne .Values.origin.authorityConfigMap "") }}
{{- end }}
