{{/* The hub, as other parts know it. */}}
{{- define "casita.hub.namespace" -}}
{{ .Values.global.hub.namespace | default (printf "%s-hub" .Release.Name) }}
{{- end }}
{{- define "casita.hub.host" -}}
{{ .Values.global.hub.host | default (printf "hub.%s" .Values.global.domain) }}
{{- end }}
{{/* What hub and proxy know alone: made once, by the operator. */}}
{{- define "casita.hub.secret" -}}
{{ .Release.Name }}-hub
{{- end }}
{{/* The hub's API, inside the cluster. */}}
{{- define "casita.hub.apiUrl" -}}
http://{{ .Release.Name }}-hub.{{ include "casita.hub.namespace" . }}.svc:8081/hub/api
{{- end }}
{{- define "casita.hub.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "jupyterhub") }}
{{- end }}
{{- define "casita.hub.proxySelector" -}}
{{ include "casita.selector" (dict "root" . "name" "jupyterhub-proxy") }}
{{- end }}
{{/* Users' servers, as a peer of a NetworkPolicy. */}}
{{- define "casita.hub.notebooks" -}}
{{ include "casita.network.namespace" (first .Values.global.sessions.namespaces) }}
podSelector:
  matchLabels: {casita.dev/component: notebook}
{{- end }}
