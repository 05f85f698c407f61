{{- define "monitoring.name.rules" -}}
{{ .Release.Name }}-rules
{{- end }}
{{/* Name of a dashboard's ConfigMap. Call with a dict: root, file. */}}
{{- define "monitoring.name.dashboard" -}}
{{ .root.Release.Name }}-dashboard-{{ base .file | trimSuffix ".json" }}
{{- end }}
{{/* Labels. Call with a dict: root, component. */}}
{{- define "monitoring.labels" -}}
{{ include "casita.labels" (dict "root" .root "name" "casita-monitoring" "component" .component) }}
{{- end }}
