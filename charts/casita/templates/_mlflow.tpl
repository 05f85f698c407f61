{{/* The tracking server: whose it is, and what it is called. */}}

{{/* Not empty if the server is this chart's own. */}}
{{- define "casita.mlflow.own" -}}
{{- if and .Values.global.mlflow.enabled (not .Values.global.mlflow.url) }}yes{{ end }}
{{- end }}
{{- define "casita.mlflow.namespace" -}}
{{ .Values.global.mlflow.namespace | default (printf "%s-mlflow" .Release.Name) }}
{{- end }}
{{/* Name of the Service of this chart's own server. */}}
{{- define "casita.mlflow.service" -}}
{{ .Release.Name }}-mlflow
{{- end }}
{{/* What the server alone knows, in its namespace: made by the operator. */}}
{{- define "casita.mlflow.secret" -}}
{{ .Release.Name }}-mlflow
{{- end }}
{{- define "casita.mlflow.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "mlflow") }}
{{- end }}
{{/* Path before all others: the one that the hub leads to its service. */}}
{{- define "casita.mlflow.prefix" -}}
/services/mlflow
{{- end }}
{{/* Where this chart's own server answers. */}}
{{- define "casita.mlflow.serverUrl" -}}
http://{{ include "casita.mlflow.service" . }}.{{ include "casita.mlflow.namespace" . }}.svc:5000
{{- end }}
{{/* Where sessions reach the server. */}}
{{- define "casita.mlflow.url" -}}
{{- $own := printf "%s%s" (include "casita.mlflow.serverUrl" .) (include "casita.mlflow.prefix" .) -}}
{{ .Values.global.mlflow.url | default $own }}
{{- end }}

{{/* Egress to this chart's own server; where it is the site's, ranges lead to it. */}}
{{- define "casita.network.toTracking" -}}
{{- if include "casita.mlflow.own" . }}
- to:
    - {{- include "casita.network.namespace" (include "casita.mlflow.namespace" .) | nindent 6 }}
      podSelector:
        matchLabels: {{- include "casita.mlflow.selector" . | nindent 10 }}
  ports:
    - {port: 5000, protocol: TCP}
{{- end }}
{{- end }}
