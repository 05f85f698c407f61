{{- define "operator.container" -}}
image: {{ include "operator.image" . }}
imagePullPolicy: {{ .Values.global.imagePullPolicy }}
args: [run]
env:
  - {name: CASITA_LOG_LEVEL, value: {{ .Values.logLevel }}}
ports:
  - {name: report, containerPort: 8443}
  - {name: metrics, containerPort: 8080}
# The first lists of a large facility take a while.
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: site, mountPath: /etc/casita/site.yaml, subPath: site.yaml, readOnly: true}
  - {name: system-authority, mountPath: /etc/casita/system-authority, readOnly: true}
  - {name: root-key, mountPath: /etc/casita/root-key, readOnly: true}
  {{- if .Values.global.batch.enabled }}
  - {name: idtoken-key, mountPath: /etc/casita/idtoken-key, readOnly: true}
  {{- end }}
  {{- if .Values.global.cache.enabled }}
  - {name: macaroon-key, mountPath: /etc/casita/macaroon-key, readOnly: true}
  {{- end }}
  {{- if .Values.global.cache.authoritySecret }}
  - {name: cache-authority, mountPath: /etc/casita/cache-authority, readOnly: true}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "operator.volumes" -}}
- name: site
  configMap:
    name: {{ include "operator.name" . }}
{{ include "operator.secretVolume" (list "system-authority" (include "operator.name.systemAuthority" .)) }}
{{ include "operator.secretVolume" (list "root-key" (include "operator.name.rootKey" .)) }}
{{- if .Values.global.batch.enabled }}
{{ include "operator.secretVolume" (list "idtoken-key" (include "casita.batch.keySecret" .)) }}
{{- end }}
{{- if .Values.global.cache.enabled }}
{{ include "operator.secretVolume" (list "macaroon-key" (include "casita.cache.keySecret" .)) }}
{{- end }}
{{- with .Values.global.cache.authoritySecret }}
{{ include "operator.secretVolume" (list "cache-authority" .) }}
{{- end }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end }}

{{/* A Secret as a volume. Call with a list: volume, Secret. */}}
{{- define "operator.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0440
{{- end }}
