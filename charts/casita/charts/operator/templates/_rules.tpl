{{/* What the operator may do in a namespace of sessions; it may do nothing anywhere else. */}}
{{- define "operator.rules" -}}
- apiGroups: [casita.dev]
  resources: [analysissessions]
  verbs: [list, watch]
{{- if .Values.global.batch.enabled }}
# Its finalizer, and nothing else of a session: policy-operator-finalizer.yaml.
- apiGroups: [casita.dev]
  resources: [analysissessions]
  verbs: [patch]
{{- end }}
- apiGroups: [casita.dev]
  resources: [analysissessions/status]
  verbs: [patch]
# Asked for by clusters that guard blockOwnerDeletion, such as OKD.
- apiGroups: [casita.dev]
  resources: [analysissessions/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets, services, pods]
  verbs: [create, get, list, watch, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, get, list, watch, patch, delete]
{{- if eq .Values.global.gateway.routeApi "TLSRoute" }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [tlsroutes]
  verbs: [create, get, list, watch, patch, delete]
{{- else if eq .Values.global.gateway.routeApi "IngressRouteTCP" }}
- apiGroups: [traefik.io]
  resources: [ingressroutetcps]
  verbs: [create, get, list, watch, patch, delete]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* A right over names; "*" is all of them, no name is no right. Call: verb, resource, names. */}}
{{- define "operator.makerRule" -}}
{{- if .names }}
- apiGroups: [casita.dev]
  resources: [{{ .resource }}]
  {{- if not (has "*" .names) }}
  resourceNames: {{- toYaml .names | nindent 4 }}
  {{- end }}
  verbs: [{{ .verb }}]
{{- end }}
{{- end }}

{{/* Subjects of a RoleBinding; users and groups are of the API group that kubectl also fills in. */}}
{{- define "operator.subjects" -}}
{{- range . }}
- kind: {{ .kind }}
  name: {{ .name | quote }}
  {{- if eq .kind "ServiceAccount" }}
  namespace: {{ .namespace }}
  {{- else }}
  apiGroup: rbac.authorization.k8s.io
  {{- end }}
{{- end }}
{{- end }}

{{/* Role over one of the site's own Secrets, which the operator makes. Call with a dict: root,
namespace, secret, verbs. */}}
{{- define "operator.siteRole" -}}
{{- $root := .root -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "operator.name.site" $root }}
  namespace: {{ .namespace }}
  labels: {{- include "operator.labels" $root | nindent 4 }}
rules:
  # Kubernetes cannot restrict creation by name.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create]
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [{{ .secret }}]
    verbs: {{ toJson .verbs }}
{{- end }}

{{/* Binds the operator to its Role for the site's own Secrets. Call with a list: root, namespace. */}}
{{- define "operator.siteBinding" -}}
{{- $root := index . 0 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "operator.name.site" $root }}
  namespace: {{ index . 1 }}
  labels: {{- include "operator.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "operator.name.site" $root }}
subjects:
  - kind: ServiceAccount
    name: {{ include "operator.name" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
