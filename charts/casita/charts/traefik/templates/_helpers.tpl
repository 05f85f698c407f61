{{- define "traefik.name" -}}
{{ .Release.Name }}-gateway
{{- end }}
{{- define "traefik.name.metrics" -}}
{{ .Release.Name }}-gateway-metrics
{{- end }}

{{- define "traefik.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "traefik") }}
{{- end }}
{{- define "traefik.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "traefik" "component" "gateway") }}
{{- end }}
{{- define "traefik.metricsLabels" -}}
{{ include "casita.labels" (dict "root" . "name" "traefik" "component" "metrics") }}
{{- end }}

{{/* Namespaces that Traefik reads, as YAML: {gateway: [...], hub: [...], triton: [...],
     sessions: [...]}. */}}
{{- define "traefik.namespaces" -}}
{{- $api := .Values.global.gateway.routeApi -}}
{{- $gateway := list (include "casita.name.gatewayNamespace" .) -}}
gateway: {{ ternary (list) $gateway (eq $api "IngressRouteTCP") | toJson }}
hub: {{ ternary (list (include "casita.hub.namespace" .)) (list) (and (ne $api "IngressRouteTCP") .Values.global.hub.enabled) | toJson }}
triton: {{ ternary (list (include "casita.triton.namespace" .)) (list) (ne "{}" (include "traefik.inference" .)) | toJson }}
sessions: {{ ternary (list) .Values.global.sessions.namespaces (eq $api "None") | toJson }}
{{- end }}

{{/* Not empty if there is an HTTPS listener: the name of its Secret. */}}
{{- define "traefik.https" -}}
{{ .Values.tls.secretName }}
{{- end }}

{{/* Inference servers that sessions reach through Traefik, as YAML: {name: {port: ...}}. */}}
{{- define "traefik.inference" -}}
{{- if and (include "casita.triton.own" .) .Values.global.triton.throughGateway -}}
{{ include "casita.triton.servers" . }}
{{- else -}}
{}
{{- end -}}
{{- end }}

{{/* Not empty if sessions are reached through Traefik. */}}
{{- define "traefik.dask" -}}
{{ if ne .Values.global.gateway.routeApi "None" }}yes{{ end }}
{{- end }}
