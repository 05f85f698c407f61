{{- define "jupyterhub.name.hub" -}}
{{ .Release.Name }}-hub
{{- end }}
{{- define "jupyterhub.name.metrics" -}}
{{ .Release.Name }}-hub-metrics
{{- end }}
{{- define "jupyterhub.name.proxy" -}}
{{ .Release.Name }}-proxy
{{- end }}
{{- define "jupyterhub.name.proxyApi" -}}
{{ .Release.Name }}-proxy-api
{{- end }}
{{- define "jupyterhub.name.database" -}}
{{ .Values.hub.db.pvc.existingClaim | default (printf "%s-hub-db" .Release.Name) }}
{{- end }}

{{- define "jupyterhub.hub.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "jupyterhub" "component" "hub") }}
{{- end }}
{{- define "jupyterhub.metricsLabels" -}}
{{ include "casita.labels" (dict "root" . "name" "jupyterhub" "component" "metrics") }}
{{- end }}
{{- define "jupyterhub.proxy.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "jupyterhub-proxy" "component" "proxy") }}
{{- end }}
{{- define "jupyterhub.hub.selector" -}}
{{ include "casita.hub.selector" . }}
{{- end }}
{{- define "jupyterhub.proxy.selector" -}}
{{ include "casita.hub.proxySelector" . }}
{{- end }}

{{/* Where the parts find each other. */}}
{{- define "jupyterhub.hubUrl" -}}
http://{{ include "jupyterhub.name.hub" . }}.{{ include "casita.hub.namespace" . }}.svc:8081
{{- end }}
{{/* As the proxy reaches the status page, which runs beside the hub. */}}
{{- define "jupyterhub.statusUrl" -}}
http://{{ include "jupyterhub.name.hub" . }}.{{ include "casita.hub.namespace" . }}.svc:8082
{{- end }}
{{- define "jupyterhub.proxyApiUrl" -}}
http://{{ include "jupyterhub.name.proxyApi" . }}.{{ include "casita.hub.namespace" . }}.svc:8001
{{- end }}

{{/* Where servers and their sessions are: the first namespace of sessions. */}}
{{- define "jupyterhub.sessions" -}}
{{ first .Values.global.sessions.namespaces }}
{{- end }}

{{/* Sqlite's file, or the address of a database server. */}}
{{- define "jupyterhub.databaseUrl" -}}
{{- if eq .Values.hub.db.type "sqlite-pvc" -}}
sqlite:////srv/jupyterhub/jupyterhub.sqlite
{{- else -}}
{{ .Values.hub.db.url }}
{{- end -}}
{{- end }}

{{- define "jupyterhub.puller.resources" -}}
requests: {cpu: 1m, memory: 8Mi}
limits: {memory: 64Mi}
{{- end }}
