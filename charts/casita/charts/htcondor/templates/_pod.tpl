{{/* Call with a dict: root, image. */}}
{{- define "htcondor.image" -}}
image: {{ include "casita.image" . }}
imagePullPolicy: {{ .root.Values.global.imagePullPolicy }}
{{- end }}

{{/* Brings files of Secrets under /secrets to where HTCondor takes them: a memory volume, readable
     by its own account alone. Call with a dict: root, image, target, files. */}}
{{- define "htcondor.deliver" -}}
name: deliver
{{ include "htcondor.image" . }}
args:
  - python3
  - -m
  - casita.access.deliver
  - --from=/secrets
  - --to={{ .target }}
  {{- range .files }}
  - --file={{ . }}
  {{- end }}
  - --follow
  - --ready=/run/casita/delivered
restartPolicy: Always
startupProbe:
  exec: {command: [test, -e, /run/casita/delivered]}
  periodSeconds: 1
  failureThreshold: 120
resources:
  requests: {cpu: 5m, memory: 24Mi}
  limits: {memory: 64Mi}
{{- end }}

{{/* Whether the collector knows this pod's daemon. Call with its kind: schedd or startd. */}}
{{- define "htcondor.probes" -}}
startupProbe:
  exec: {command: [condor-is-ready, {{ . }}]}
  periodSeconds: 2
  timeoutSeconds: 10
  failureThreshold: 90
readinessProbe:
  exec: {command: [condor-is-ready, {{ . }}]}
  periodSeconds: 30
  timeoutSeconds: 10
livenessProbe:
  tcpSocket: {port: condor}
  periodSeconds: 20
  timeoutSeconds: 5
{{- end }}
