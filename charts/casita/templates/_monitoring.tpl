{{/* How Prometheus finds what has metrics. */}}

{{/* Annotations of a metrics Service, by which a Prometheus without the Prometheus operator finds
     it. Call with a dict: root, port, and path where it is not /metrics. */}}
{{- define "casita.monitoring.annotations" -}}
{{- if eq .root.Values.global.monitoring.discovery "Annotations" -}}
annotations:
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ .port | quote }}
  prometheus.io/path: {{ .path | default "/metrics" }}
{{- end -}}
{{- end }}

{{/* A ServiceMonitor. Call with a dict: root, name, namespace, labels, selector (labels of the
     Service, as text), endpoints (a list, where it is not the port `metrics` alone). */}}
{{- define "casita.monitoring.serviceMonitor" -}}
{{- if eq .root.Values.global.monitoring.discovery "ServiceMonitors" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- .labels | nindent 4 }}
    {{- with .root.Values.global.monitoring.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- .selector | nindent 6 }}
  endpoints: {{- .endpoints | default (list (dict "port" "metrics" "path" "/metrics")) | toYaml | nindent 4 }}
{{- end -}}
{{- end }}

{{/* Selector of a metrics Service. Call with the selector of its pods. */}}
{{- define "casita.monitoring.selector" -}}
{{ . }}
app.kubernetes.io/component: metrics
{{- end }}
