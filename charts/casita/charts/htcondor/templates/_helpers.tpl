{{- define "htcondor.name.accessPoint" -}}
{{ .Release.Name }}-htcondor
{{- end }}
{{- define "htcondor.name.execute" -}}
{{ .Release.Name }}-htcondor-ep
{{- end }}
{{- define "htcondor.name.spool" -}}
{{ .Values.accessPoint.spool.existingClaim | default (printf "%s-htcondor-spool" .Release.Name) }}
{{- end }}
{{- define "htcondor.name.sessions" -}}
{{ .Release.Name }}-batch
{{- end }}

{{- define "htcondor.accessPoint.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "htcondor-ap") }}
{{- end }}
{{- define "htcondor.accessPoint.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "htcondor-ap" "component" "access-point") }}
{{- end }}
{{- define "htcondor.execute.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "htcondor-ep") }}
{{- end }}
{{- define "htcondor.execute.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "htcondor-ep" "component" "execute") }}
{{- end }}

{{/* Labels of a namespace whose pods may run as root, but not with the node's own rights. */}}
{{- define "htcondor.baselineNamespace" -}}
{{- range list "enforce" "audit" "warn" }}
pod-security.kubernetes.io/{{ . }}: baseline
{{- end }}
{{- end }}

{{/* Signing keys that the pool accepts, as YAML: the Secret of each, by the key's name. */}}
{{- define "htcondor.keys" -}}
{{ .Values.global.batch.keyId }}: {{ include "casita.batch.keySecret" . }}
{{- range .Values.furtherKeys }}
{{ .id }}: {{ .existingSecret }}
{{- end }}
{{- end }}

{{/* Ports of jobs that others connect to: Dask workers. */}}
{{- define "htcondor.workerPorts" -}}
{{- $workers := .Values.global.batch.workers -}}
- {port: {{ int $workers.firstPort }}, endPort: {{ int $workers.lastPort }}, protocol: TCP}
{{- end }}

{{/* The pods of sessions in which workers are, the schedulers' own among them. */}}
{{- define "htcondor.workerPods" -}}
- {{- include "casita.network.sessionNamespaces" . | nindent 2 }}
  podSelector:
    matchExpressions:
      - {key: casita.dev/component, operator: In, values: [scheduler, worker]}
{{- end }}

{{/* The pods of sessions, of whatever user. */}}
{{- define "htcondor.sessionPods" -}}
- {{- include "casita.network.sessionNamespaces" . | nindent 2 }}
  podSelector:
    matchExpressions:
      - {key: casita.dev/session, operator: Exists}
{{- end }}

{{/* The execute pods, from another namespace. */}}
{{- define "htcondor.executePods" -}}
- {{- include "casita.network.namespace" (include "casita.batch.poolNamespace" .) | nindent 2 }}
  podSelector:
    matchLabels: {{- include "htcondor.execute.selector" . | nindent 6 }}
{{- end }}

{{/* The access point's pod, from another namespace. */}}
{{- define "htcondor.accessPointPod" -}}
- {{- include "casita.network.namespace" .Release.Namespace | nindent 2 }}
  podSelector:
    matchLabels: {{- include "htcondor.accessPoint.selector" . | nindent 6 }}
{{- end }}
