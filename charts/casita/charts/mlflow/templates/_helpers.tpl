{{- define "mlflow.name" -}}
{{ include "casita.mlflow.service" . }}
{{- end }}
{{- define "mlflow.name.data" -}}
{{ .Values.storage.existingClaim | default (printf "%s-data" (include "mlflow.name" .)) }}
{{- end }}

{{- define "mlflow.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "mlflow" "component" "server") }}
{{- end }}

{{/* Not empty if something is kept on a volume. */}}
{{- define "mlflow.volume" -}}
{{- if or (eq .Values.database.type "sqlite-pvc") (eq .Values.artifacts.type "volume") }}yes{{ end }}
{{- end }}

{{/* Addresses of the two databases: of experiments, and of users and permissions. MLflow keeps both in
     one database server's, in tables of different names. */}}
{{- define "mlflow.database" -}}
{{ ternary "sqlite:////data/mlflow.db" .Values.database.url (eq .Values.database.type "sqlite-pvc") }}
{{- end }}
{{- define "mlflow.usersDatabase" -}}
{{ ternary "sqlite:////data/users.db" .Values.database.url (eq .Values.database.type "sqlite-pvc") }}
{{- end }}

{{- define "mlflow.artifacts" -}}
{{ ternary "/data/artifacts" .Values.artifacts.destination (eq .Values.artifacts.type "volume") }}
{{- end }}

{{/* Names by which the server is asked, each with its port: by sessions, and by browsers. */}}
{{- define "mlflow.hosts" -}}
{{- $name := printf "%s.%s" (include "mlflow.name" .) (include "casita.mlflow.namespace" .) -}}
{{- $short := printf "%s.svc" $name -}}
{{- $own := list $name $short (printf "%s.%s" $short .Values.global.clusterDomain) -}}
{{- $asked := list -}}
{{- range $own }}{{ $asked = append $asked (printf "%s:5000" .) }}{{ end -}}
{{- if .Values.global.hub.enabled }}{{ $asked = append $asked (include "casita.hub.host" .) }}{{ end -}}
{{ concat $asked .Values.allowedHosts | join "," }}
{{- end }}

{{/* MLflow's own file: who may do what by default, and who says who somebody is. */}}
{{- define "mlflow.config" -}}
[mlflow]
default_permission = {{ .Values.defaultPermission }}
database_uri = {{ include "mlflow.usersDatabase" . | replace "%" "%%" }}
; Nobody is it: passwords are not taken, and no user's name begins like this.
admin_username = _casita
authorization_function = casita.tracking.identity:authenticate
{{- end }}

{{/* Egress to the hub, which is asked who somebody is. */}}
{{- define "mlflow.toHub" -}}
{{- if .Values.global.hub.enabled }}
- to:
    - {{- include "casita.network.namespace" (include "casita.hub.namespace" .) | nindent 6 }}
      podSelector:
        matchLabels: {{- include "casita.hub.selector" . | nindent 10 }}
  ports:
    - {port: 8081, protocol: TCP}
{{- end }}
{{- end }}
