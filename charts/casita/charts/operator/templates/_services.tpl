{{/* Egress of the operator to this chart's own services, whose health it asks for. */}}
{{- define "operator.toServices" -}}
{{- if include "casita.triton.own" . }}
- to:
    - {{- include "casita.network.namespace" (include "casita.triton.namespace" .) | nindent 6 }}
      podSelector:
        matchLabels: {{- include "casita.selector" (dict "root" . "name" "triton") | nindent 10 }}
  ports:
    - {port: 8000, protocol: TCP}
{{- end }}
{{- include "casita.network.toTracking" . }}
{{- if include "casita.servicex.own" . }}
- to:
    - {{- include "casita.network.namespace" (include "casita.servicex.namespace" .) | nindent 6 }}
      podSelector:
        matchLabels: {{- include "casita.servicex.selector" . | nindent 10 }}
  ports:
    - {port: 5000, protocol: TCP}
{{- end }}
{{- end }}
