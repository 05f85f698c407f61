{{- define "traefik.container" -}}
image: {{ include "casita.image" (dict "root" . "image" .Values.image) }}
imagePullPolicy: {{ .Values.global.imagePullPolicy }}
args: {{- include "traefik.args" . | nindent 2 }}
ports:
  - {name: metrics, containerPort: 9100}
  {{- if include "traefik.dask" . }}
  - {name: dask, containerPort: 8786}
  {{- end }}
  {{- if include "traefik.https" . }}
  - {name: https, containerPort: 8443}
  {{- end }}
  {{- range include "traefik.inference" . | fromYaml }}
  - {name: inference-{{ int .port }}, containerPort: {{ int .port }}}
  {{- end }}
livenessProbe:
  httpGet: {path: /ping, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /ping, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
{{- end }}
