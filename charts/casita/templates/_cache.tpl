{{/* The data cache: whose it is, and what it is called. */}}

{{/* Not empty if the cache is this chart's own. */}}
{{- define "casita.cache.own" -}}
{{- if and .Values.global.cache.enabled (not .Values.global.cache.host) }}yes{{ end }}
{{- end }}
{{/* Name of the Service of this chart's own cache. */}}
{{- define "casita.cache.service" -}}
{{ .Release.Name }}-xcache
{{- end }}
{{- define "casita.cache.host" -}}
{{- $own := printf "%s.%s.svc.%s" (include "casita.cache.service" .) .Release.Namespace .Values.global.clusterDomain -}}
{{ .Values.global.cache.host | default $own }}
{{- end }}
{{/* The longest life of a macaroon that the cache takes for certain, in seconds: clocks differ. */}}
{{- define "casita.cache.longestSeconds" -}}
{{- $duration := int .Values.global.cache.maxDurationSeconds -}}
{{ sub $duration (min 600 (div $duration 4)) }}
{{- end }}
{{- define "casita.cache.keySecret" -}}
{{ .Values.global.cache.existingSecret | default (printf "%s-macaroon-key" .Release.Name) }}
{{- end }}
{{- define "casita.cache.tlsSecret" -}}
{{ .Release.Name }}-xcache-tls
{{- end }}
{{/* Names in the certificate of this chart's own cache, as a YAML list. */}}
{{- define "casita.cache.tlsNames" -}}
{{- $service := include "casita.cache.service" . -}}
{{- $name := printf "%s.%s" $service .Release.Namespace -}}
{{- $cluster := printf "%s.svc.%s" $name .Values.global.clusterDomain -}}
{{- $own := list "xcache" $service $name (printf "%s.svc" $name) $cluster -}}
{{ concat $own .Values.global.cache.extraNames | uniq | toYaml }}
{{- end }}
{{- define "casita.cache.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "xcache") }}
{{- end }}
