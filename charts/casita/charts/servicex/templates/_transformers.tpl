{{/* What casita's ServiceX lays over each Deployment of transformers before it makes it, so that
     their pods are restricted. Only the sidecar sees the object store's keys. */}}
{{- define "servicex.patch" -}}
{{- $transformers := .Values.transformers -}}
{{- $token := include "casita.servicex.dataTokenSecret" . -}}
metadata:
  labels: {{- include "servicex.transformer.labels" . | nindent 4 }}
spec:
  template:
    metadata:
      labels: {{- include "servicex.transformer.labels" . | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: {{- include "casita.podSecurity" . | nindent 8 }}
      {{- with $transformers.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $transformers.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $transformers.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: sidecar
          resources: {{- toYaml $transformers.sidecarResources | nindent 12 }}
          {{- include "servicex.transformer.container" . | nindent 10 }}
        - name: transformer
          resources: {{- toYaml $transformers.resources | nindent 12 }}
          env: {{- include "servicex.transformer.env" . | nindent 12 }}
          {{- include "servicex.transformer.container" . | nindent 10 }}
            {{- if $token }}
            - {name: cache-authority, mountPath: /etc/casita/cache, readOnly: true}
            {{- end }}
      volumes:
        - {name: tmp, emptyDir: {sizeLimit: 1Gi}}
        - {name: sidecar-volume, emptyDir: {sizeLimit: {{ $transformers.scratch }}}}
        {{- with $token }}
        - {name: cache-authority, secret: {secretName: {{ . }}, items: [{key: ca.pem, path: ca.pem}]}}
        {{- end }}
{{- end }}

{{- define "servicex.transformer.labels" -}}
app.kubernetes.io/name: servicex-transformer
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: casita
app.kubernetes.io/component: transformer
{{- end }}

{{/* Ends with a list of mounts, to which more may be added. */}}
{{- define "servicex.transformer.container" -}}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* A request that is not done after so many seconds has failed: before the token of its transformers
     ends, which have it from their start, when at least half of its life was left. */}}
{{- define "servicex.maxSeconds" -}}
{{- $longest := int .Values.transformers.maxSeconds -}}
{{- if include "casita.servicex.dataTokenMade" . -}}
{{- $longest = min $longest (div (include "casita.cache.longestSeconds" . | int) 2) -}}
{{- end -}}
{{ $longest }}
{{- end }}

{{/* The token of the cache comes by the first place where XRootD looks: a Secret's file is open to
     its group, and would be refused. */}}
{{- define "servicex.transformer.env" -}}
- {name: MINIO_ACCESS_KEY, value: null}
- {name: MINIO_SECRET_KEY, value: null}
{{- with include "casita.servicex.dataTokenSecret" . }}
- {name: BEARER_TOKEN, valueFrom: {secretKeyRef: {name: {{ . }}, key: token}}}
- {name: X509_CERT_FILE, value: /etc/casita/cache/ca.pem}
{{- end }}
{{- end }}
