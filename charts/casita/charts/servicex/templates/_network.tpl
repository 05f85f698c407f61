{{/* Peers and rules of ServiceX's NetworkPolicies. */}}

{{/* Pods of a part, in whatever namespace a policy is. Call with a list: root, part. */}}
{{- define "servicex.peer" -}}
- {{- include "casita.network.namespace" (include "casita.servicex.namespace" (first .)) | nindent 2 }}
  podSelector:
    matchLabels: {{- include "servicex.selector" . | nindent 6 }}
{{- end }}
{{- define "servicex.peer.door" -}}
- {{- include "casita.network.namespace" (include "casita.servicex.namespace" .) | nindent 2 }}
  podSelector:
    matchLabels: {{- include "casita.servicex.selector" . | nindent 6 }}
{{- end }}
{{- define "servicex.peer.finders" -}}
- podSelector:
    matchLabels: {{- include "servicex.componentSelector" (list . "did-finder") | nindent 6 }}
{{- end }}
{{/* All of a namespace that has nothing but transformers. */}}
{{- define "servicex.peer.transformers" -}}
- {{- include "casita.network.namespace" (include "servicex.transformers" .) | nindent 2 }}
{{- end }}
{{- define "servicex.peer.sessions" -}}
- {{- include "casita.network.sessionNamespaces" . | nindent 2 }}
  podSelector:
    matchExpressions:
      - {key: casita.dev/session, operator: Exists}
{{- end }}

{{/* Egress to a part. Call with a list: root, part, port. */}}
{{- define "servicex.to" -}}
- to: {{- include "servicex.peer" (list (first .) (index . 1)) | nindent 4 }}
  ports:
    - {port: {{ last . }}, protocol: TCP}
{{- end }}
{{- define "servicex.toDatabase" -}}
{{- if .Values.database.external.host }}
{{- include "casita.network.toRanges" .Values.database.external.egress }}
{{- else -}}
{{ include "servicex.to" (list . "database" 5432) }}
{{- end }}
{{- end }}
{{- define "servicex.toBroker" -}}
{{- if .Values.broker.external.host }}
{{- include "casita.network.toRanges" .Values.broker.external.egress }}
{{- else -}}
{{ include "servicex.to" (list . "broker" 5672) }}
{{- end }}
{{- end }}
{{- define "servicex.toStore" -}}
{{- if .Values.objectStore.external.endpoint }}
{{- include "casita.network.toRanges" .Values.objectStore.external.egress }}
{{- else -}}
{{ include "servicex.to" (list . "store" 9000) }}
{{- end }}
{{- end }}

{{/* Head of a part's policy. Call with a dict: root, part, component. */}}
{{- define "servicex.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "servicex.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "servicex.selector" (list .root .part) | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end }}
