{{/* Objects that several parts have alike. Call each with a dict: root, part, component, and what
     it names beside. */}}

{{- define "servicex.metadata" -}}
name: {{ include "servicex.part" (list .root .part) }}
namespace: {{ include "casita.servicex.namespace" .root }}
labels: {{- include "servicex.partLabels" (list .root .part .component) | nindent 2 }}
{{- end }}

{{/* A Deployment of one pod. `pod` is its text, `checksum` what it must be made anew for. */}}
{{- define "servicex.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "servicex.metadata" . | nindent 2 }}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector:
    matchLabels: {{- include "servicex.selector" (list .root .part) | nindent 6 }}
  template:
    metadata:
      labels: {{- include "servicex.partLabels" (list .root .part .component) | nindent 8 }}
      {{- with .checksum }}
      annotations:
        checksum/config: {{ sha256sum . }}
      {{- end }}
    spec: {{- .pod | nindent 6 }}
{{- end }}

{{/* A Service of one port. `port` and its `name`. */}}
{{- define "servicex.service" -}}
apiVersion: v1
kind: Service
metadata: {{- include "servicex.metadata" . | nindent 2 }}
spec:
  selector: {{- include "servicex.selector" (list .root .part) | nindent 4 }}
  ports:
    - {name: {{ .name }}, port: {{ .port }}, targetPort: {{ .name }}}
{{- end }}

{{/* A PersistentVolumeClaim, by `storage`. */}}
{{- define "servicex.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "servicex.metadata" . | nindent 2 }}
  annotations: {{- include "casita.kept" .root | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storage.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .storage.size }}
{{- end }}
