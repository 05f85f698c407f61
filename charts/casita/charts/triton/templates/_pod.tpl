{{/* Triton itself. Call with a server's dict. */}}
{{- define "triton.container" -}}
{{- $server := .server -}}
image: {{ include "casita.image" (dict "root" .root "image" $server.image) }}
imagePullPolicy: {{ .root.Values.global.imagePullPolicy }}
command: [tritonserver]
args: {{- include "triton.args" . | nindent 2 }}
env:
  - name: POD_UID
    valueFrom: {fieldRef: {fieldPath: metadata.uid}}
  - {name: HOME, value: /tmp}
  {{- include "triton.repository.env" . | nindent 2 }}
ports:
  - {name: http, containerPort: 8000}
  - {name: grpc, containerPort: 8001}
  - {name: metrics, containerPort: 8002}
# Triton listens once it has tried to load all models. That one of them is broken is no reason to
# start anew, so only whether a pod gets requests depends on them, and that if strictReadiness is on.
startupProbe:
  httpGet: {path: /v2/health/live, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (add (int $server.startupSeconds) 4) 5 }}
livenessProbe:
  httpGet: {path: /v2/health/live, port: http}
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /v2/health/ready, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
lifecycle:
  preStop: {sleep: {seconds: {{ include "triton.drainSeconds" . }}}}
resources: {{- include "triton.resources" . | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" .root | nindent 2 }}
volumeMounts:
  - {name: shm, mountPath: /dev/shm}
  - {name: tmp, mountPath: /tmp}
  {{- include "triton.repository.mount" . | nindent 2 }}
{{- end }}

{{- define "triton.args" -}}
{{- $server := .server -}}
- --model-repository={{ include "triton.repository.path" . }}
# Whoever could load a model over the network could run code here.
- --model-control-mode=none
- --exit-on-error=false
- --strict-readiness={{ $server.strictReadiness }}
- --exit-timeout-secs={{ int $server.exitSeconds }}
- --http-port=8000
- --grpc-port=8001
- --metrics-port=8002
- --allow-gpu-metrics={{ gt (len $server.extendedResources) 0 }}
# For whoever knows a word that is told nobody: memory of this pod, and what it logs and traces, are
# no client's.
- --grpc-restricted-protocol=shared-memory,trace,logging:casita=$(POD_UID)
# Clients look every minute whether a server that computes for long is still there.
- --grpc-http2-min-recv-ping-interval-without-data=10000
{{- range $server.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Devices are counted whole: what is the limit of them is also what is asked for. */}}
{{- define "triton.resources" -}}
{{- $more := dict "limits" .server.extendedResources "requests" .server.extendedResources -}}
{{ mergeOverwrite (dict) .server.resources (deepCopy $more) | toYaml }}
{{- end }}

{{/* Tells which models are ready. */}}
{{- define "triton.models" -}}
{{- $metrics := .root.Values.metrics -}}
{{- $image := merge (dict "tag" ($metrics.image.tag | default .root.Chart.Version)) $metrics.image -}}
image: {{ include "casita.image" (dict "root" .root "image" $image) }}
imagePullPolicy: {{ .root.Values.global.imagePullPolicy }}
command: [/usr/bin/tini, --, python3, -m, casita.monitoring.triton]
args: ["--server=http://127.0.0.1:8000"]
ports:
  - {name: models, containerPort: 9100}
livenessProbe:
  httpGet: {path: /healthz, port: models}
  initialDelaySeconds: 10
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /healthz, port: models}
  periodSeconds: 10
  timeoutSeconds: 5
resources: {{- toYaml $metrics.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" .root | nindent 2 }}
{{- end }}

{{- define "triton.volumes" -}}
# Memory that Triton shares with the processes of Python models; it counts as the container's.
- name: shm
  emptyDir: {medium: Memory, sizeLimit: {{ .server.sharedMemory }}}
- name: tmp
  emptyDir: {sizeLimit: {{ .server.scratch }}}
{{- include "triton.repository.volume" . }}
{{- end }}
