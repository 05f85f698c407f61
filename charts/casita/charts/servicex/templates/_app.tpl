{{/* The pod of ServiceX's app. Only the front door and ServiceX's own parts reach it. */}}
{{- define "servicex.app.pod" -}}
{{- $app := .Values.app -}}
serviceAccountName: {{ include "servicex.part" (list . "app") }}
automountServiceAccountToken: true
{{ include "servicex.pod" . }}
{{- if .Values.builtFromSource }}
initContainers:
  # The tables of its database, brought to the version of this ServiceX.
  - name: migrate
    {{- include "servicex.image" (list . $app.image) | nindent 4 }}
    args: [migrate]
    {{- include "servicex.app.container" . | nindent 4 }}
{{- end }}
containers:
  - name: app
    {{- include "servicex.image" (list . $app.image) | nindent 4 }}
    {{- if .Values.builtFromSource }}
    args: [app]
    {{- end }}
    {{- include "servicex.app.container" . | nindent 4 }}
    ports:
      - {name: http, containerPort: 5000}
    startupProbe:
      httpGet: {path: /servicex, port: http}
      periodSeconds: 3
      timeoutSeconds: 5
      failureThreshold: 100
    readinessProbe:
      httpGet: {path: /servicex, port: http}
      periodSeconds: 10
      timeoutSeconds: 5
    # A busy app answers late: it has few workers, and taking a request may last.
    livenessProbe:
      httpGet: {path: /servicex, port: http}
      periodSeconds: 30
      timeoutSeconds: 15
      failureThreshold: 10
volumes:
  - {name: config, configMap: {name: {{ include "servicex.part" (list . "app") }}}}
  - {name: tmp, emptyDir: {}}
{{- end }}

{{/* What both its containers have. */}}
{{- define "servicex.app.container" -}}
env: {{- include "servicex.app.env" . | nindent 2 }}
resources: {{- toYaml .Values.app.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/servicex, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "servicex.app.env" -}}
{{- $secret := include "casita.servicex.secret" . -}}
{{- $store := include "servicex.store.secret" . -}}
{{- $database := .Values.database -}}
- {name: APP_CONFIG_FILE, value: /etc/servicex/app.conf}
- {name: INSTANCE_NAME, value: {{ .Release.Name }}}
- {name: LOG_LEVEL, value: {{ upper .Values.app.logLevel }}}
- {name: WEB_CONCURRENCY, value: {{ int .Values.app.workers | quote }}}
{{ include "servicex.secretEnv" (list "SECRET_KEY" $secret "flask-secret-key") }}
{{ include "servicex.secretEnv" (list "JWT_SECRET_KEY" $secret "jwt-secret-key") }}
{{ include "servicex.secretEnv" (list "DATABASE_PASSWORD" (include "servicex.database.secret" .) (include "servicex.database.key" .)) }}
- name: SQLALCHEMY_DATABASE_URI
  value: postgresql://{{ $database.user }}:$(DATABASE_PASSWORD)@{{ include "servicex.database.host" . }}:{{ include "servicex.database.port" . }}/{{ $database.name }}
{{ include "servicex.broker.env" (list . "RABBIT_MQ_URL" "") }}
{{ include "servicex.broker.url" (list . "TRANSFORMER_RABBIT_MQ_URL" "?heartbeat=9000") }}
{{ include "servicex.secretEnv" (list "MINIO_ACCESS_KEY" $store (include "servicex.store.key" (list . "access-key"))) }}
{{ include "servicex.secretEnv" (list "MINIO_SECRET_KEY" $store (include "servicex.store.key" (list . "secret-key"))) }}
{{- end }}
