{{- define "mlflow.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  {{- include "casita.podSecurity" . | nindent 2 }}
  fsGroupChangePolicy: OnRootMismatch
{{- include "casita.imagePullSecrets" . }}
{{- include "casita.placement" .Values }}
containers:
  - name: mlflow {{- include "mlflow.container" . | nindent 4 }}
volumes: {{- include "mlflow.volumes" . | nindent 2 }}
{{- end }}

{{- define "mlflow.container" -}}
image: {{ include "casita.image" (dict "root" . "image" .Values.image) }}
imagePullPolicy: {{ .Values.global.imagePullPolicy }}
args: [--workers={{ int .Values.workers }}]
env: {{- include "mlflow.environment" . | nindent 2 }}
{{- $secrets := compact (list .Values.database.existingSecret .Values.artifacts.existingSecret) | uniq }}
{{- with $secrets }}
envFrom:
  {{- range . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
{{- end }}
ports:
  - {name: http, containerPort: 5000}
# A process that lives answers at /health; below the prefix it answers once its databases do.
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ include "casita.mlflow.prefix" . }}/health, port: http}
  periodSeconds: 3
  timeoutSeconds: 5
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/casita/mlflow, readOnly: true}
  - {name: secrets, mountPath: /etc/casita/secrets, readOnly: true}
  {{- if include "mlflow.volume" . }}
  - {name: data, mountPath: /data}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "mlflow.environment" -}}
- {name: CASITA_MLFLOW_PREFIX, value: {{ include "casita.mlflow.prefix" . }}}
- {name: CASITA_MLFLOW_ISSUER, value: {{ .Values.global.domain }}}
- {name: CASITA_MLFLOW_TOKEN_KEY_FILE, value: /etc/casita/secrets/token-key}
- {name: CASITA_MLFLOW_DATABASE, value: {{ include "mlflow.database" . | quote }}}
- {name: CASITA_MLFLOW_ARTIFACTS, value: {{ include "mlflow.artifacts" . | quote }}}
- {name: CASITA_MLFLOW_ALLOWED_HOSTS, value: {{ include "mlflow.hosts" . | quote }}}
- {name: MLFLOW_AUTH_CONFIG_PATH, value: /etc/casita/mlflow/basic_auth.ini}
- name: MLFLOW_FLASK_SERVER_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ include "casita.mlflow.secret" . }}, key: flask-secret-key}}
{{- if .Values.global.hub.enabled }}
- {name: CASITA_MLFLOW_PUBLIC_URL, value: "https://{{ include "casita.hub.host" . }}"}
- {name: JUPYTERHUB_API_URL, value: {{ include "casita.hub.apiUrl" . }}}
- name: JUPYTERHUB_API_TOKEN
  valueFrom: {secretKeyRef: {name: {{ include "casita.mlflow.secret" . }}, key: hub-token}}
{{- end }}
# A database that is away is said to be so within seconds.
- {name: PGCONNECT_TIMEOUT, value: "5"}
{{- with .Values.artifacts.endpointUrl }}
- {name: MLFLOW_S3_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
- {name: HOME, value: /tmp}
{{- end }}

{{- define "mlflow.volumes" -}}
- {name: config, configMap: {name: {{ include "mlflow.name" . }}}}
- name: secrets
  secret:
    secretName: {{ include "casita.mlflow.secret" . }}
    defaultMode: 0440
    items: [{key: token-key, path: token-key}]
{{- if include "mlflow.volume" . }}
- name: data
  persistentVolumeClaim: {claimName: {{ include "mlflow.name.data" . }}}
{{- end }}
# Files on their way to and from an object store.
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.artifacts.scratch }}}
{{- end }}
