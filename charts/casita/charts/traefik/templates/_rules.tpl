{{/* What Traefik's provider reads in each namespace that it watches: it starts only when it could
     list all of these, Secrets among them, whether a route needs them or not. */}}
{{- define "traefik.readRules" -}}
- apiGroups: [""]
  resources: [services, configmaps, secrets]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- if eq .Values.global.gateway.routeApi "IngressRouteTCP" }}
- apiGroups: [traefik.io]
  resources:
    - ingressroutes
    - ingressroutetcps
    - ingressrouteudps
    - middlewares
    - middlewaretcps
    - serverstransports
    - serverstransporttcps
    - tlsoptions
    - tlsstores
    - traefikservices
  verbs: [list, watch]
{{- else }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [backendtlspolicies, gateways, grpcroutes, httproutes, referencegrants, tlsroutes]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{/* A Role. Call with a dict: root, namespace, status (kinds whose status Traefik writes). */}}
{{- define "traefik.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "traefik.name" .root }}
  namespace: {{ .namespace }}
  labels: {{- include "traefik.labels" .root | nindent 4 }}
rules:
  {{- include "traefik.readRules" .root | nindent 2 }}
  {{- if ne .root.Values.global.gateway.routeApi "IngressRouteTCP" }}
  - apiGroups: [gateway.networking.k8s.io]
    resources: {{- .status | toYaml | nindent 6 }}
    verbs: [update]
  {{- end }}
{{- end }}
