{{- define "triton.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "triton" "component" "inference") }}
{{- end }}

{{/* Of what belongs to one server. Call with its dict (triton.each), as all that follows here. */}}
{{- define "triton.name" -}}
{{ include "casita.triton.service" (dict "root" .root "server" .name) }}
{{- end }}
{{- define "triton.serverLabels" -}}
{{ include "casita.labels" (dict "root" .root "name" "triton" "component" .name) }}
{{- end }}
{{- define "triton.selector" -}}
{{ include "casita.triton.selector" (dict "root" .root "server" .name) }}
{{- end }}
{{/* Of a metrics Service: `server` becomes a label of what is scraped there. */}}
{{- define "triton.metricsLabels" -}}
{{ include "casita.labels" (dict "root" .root "name" "triton" "component" "metrics") }}
server: {{ .name }}
{{- end }}

{{/* All servers, as YAML: {name: values}. */}}
{{- define "triton.servers" -}}
{{- $servers := dict -}}
{{- range $name, $_ := include "casita.triton.servers" . | fromYaml -}}
{{- $_ := set $servers $name (include "casita.triton.server" (get $.Values.servers $name | default dict) | fromYaml) -}}
{{- end -}}
{{ toYaml $servers }}
{{- end }}

{{/* Seconds in which the gateway and clients learn that a pod ends, before its server does. */}}
{{- define "triton.drainSeconds" -}}
10
{{- end }}

{{/* Who may ask models: the gateway's pods, or those of sessions whose profile has the server. */}}
{{- define "triton.clients" -}}
{{- if .root.Values.global.triton.throughGateway -}}
{{- $gateway := include "casita.name.gatewayNamespace" .root -}}
- {{- include "casita.network.namespace" $gateway | nindent 2 }}
  podSelector:
    matchLabels: {{- include "casita.gatewayPodLabels" .root | nindent 6 }}
{{- else -}}
- {{- include "casita.network.sessionNamespaces" .root | nindent 2 }}
  podSelector:
    matchLabels: {casita.dev/inference: {{ .name }}}
{{- end -}}
{{- end }}
