{{/* The delivery of columns: whose it is, and what it is called. */}}

{{/* Not empty if it is this chart's own. */}}
{{- define "casita.servicex.own" -}}
{{- if and .Values.global.servicex.enabled (not .Values.global.servicex.url) }}yes{{ end }}
{{- end }}
{{- define "casita.servicex.namespace" -}}
{{ .Values.global.servicex.namespace | default (printf "%s-servicex" .Release.Name) }}
{{- end }}
{{/* Name of the Service of this chart's own front door. */}}
{{- define "casita.servicex.service" -}}
{{ .Release.Name }}-servicex
{{- end }}
{{/* What its parts alone know, in its namespace: made by the operator. */}}
{{- define "casita.servicex.secret" -}}
{{ .Release.Name }}-servicex
{{- end }}
{{/* Where transformers run: users' code, so nothing else is there. */}}
{{- define "casita.servicex.transformers" -}}
{{ .Values.global.servicex.transformers.namespace | default (printf "%s-transformers" .Release.Name) }}
{{- end }}
{{/* Not empty if the operator makes the token by which transformers read through the cache. */}}
{{- define "casita.servicex.dataTokenMade" -}}
{{- $transformers := .Values.global.servicex.transformers -}}
{{- if and (include "casita.servicex.own" .) .Values.global.cache.enabled (not $transformers.dataTokenSecret) (ne $transformers.dataPathPrefix "None") }}yes{{ end }}
{{- end }}
{{/* The Secret of that token, in transformers' namespace; empty if they have none. */}}
{{- define "casita.servicex.dataTokenSecret" -}}
{{- $made := ternary (printf "%s-servicex-data" .Release.Name) "" (ne (include "casita.servicex.dataTokenMade" .) "") -}}
{{ .Values.global.servicex.transformers.dataTokenSecret | default $made }}
{{- end }}
{{/* Of the pods of the front door. */}}
{{- define "casita.servicex.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "servicex") }}
{{- end }}
{{/* Where sessions reach it. */}}
{{- define "casita.servicex.url" -}}
{{- $own := printf "http://%s.%s.svc:5000" (include "casita.servicex.service" .) (include "casita.servicex.namespace" .) -}}
{{ .Values.global.servicex.url | default $own }}
{{- end }}
