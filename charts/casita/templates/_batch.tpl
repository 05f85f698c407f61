{{/* The batch system: whose pool it is, and what it is called. */}}

{{/* Not empty if the pool is this chart's own. */}}
{{- define "casita.batch.own" -}}
{{- if and .Values.global.batch.enabled (not .Values.global.batch.collector) }}yes{{ end }}
{{- end }}
{{/* Host of this chart's own collector and schedd. */}}
{{- define "casita.batch.host" -}}
{{ .Release.Name }}-htcondor.{{ .Release.Namespace }}.svc.{{ .Values.global.clusterDomain }}
{{- end }}
{{- define "casita.batch.collector" -}}
{{ .Values.global.batch.collector | default (printf "%s:9618" (include "casita.batch.host" .)) }}
{{- end }}
{{/* With an @ it is the whole name of the schedd, which does not depend on the pod's. */}}
{{- define "casita.batch.schedd" -}}
{{ .Values.global.batch.schedd | default (printf "%s@%s" .Release.Name .Values.global.batch.trustDomain) }}
{{- end }}
{{- define "casita.batch.poolNamespace" -}}
{{ .Values.global.batch.poolNamespace | default (printf "%s-pool" .Release.Name) }}
{{- end }}
{{- define "casita.batch.keySecret" -}}
{{ .Values.global.batch.existingSecret | default (printf "%s-idtoken-key" .Release.Name) }}
{{- end }}
{{- define "casita.batch.epTokenSecret" -}}
{{ .Release.Name }}-htcondor-ep-token
{{- end }}
{{/* Of the pod with collector and schedd. */}}
{{- define "casita.batch.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "htcondor-ap") }}
{{- end }}
