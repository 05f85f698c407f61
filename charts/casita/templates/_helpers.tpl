{{/* Shared by all parts. Names of objects: templates called <part>.name.<object>. */}}

{{/* Labels of an object. Call with a dict: root, name, component. */}}
{{- define "casita.labels" -}}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: casita
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "casita.selector" . }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels that never change, by which pods are selected. Call with a dict: root, name. */}}
{{- define "casita.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* The pod of `helm test`. */}}
{{- define "casita.testSelector" -}}
{{ include "casita.selector" (dict "root" . "name" "casita-test") }}
{{- end }}

{{/* Reference of an image. Call with a dict: root, image. A digest decides over the tag. */}}
{{- define "casita.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{/* Pull Secrets of a pod. */}}
{{- define "casita.imagePullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Restricted Pod Security, for the pod and for each container. */}}
{{- define "casita.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "casita.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where a pod may run. Call with the values of its part. */}}
{{- define "casita.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Labels of a namespace whose pods must be restricted. */}}
{{- define "casita.restrictedNamespace" -}}
{{- range list "enforce" "audit" "warn" }}
pod-security.kubernetes.io/{{ . }}: restricted
{{- end }}
{{- end }}

{{/* Of what holds people's data: it outlives a part that is switched off, and the release. */}}
{{- define "casita.kept" -}}
helm.sh/resource-policy: keep
{{- end }}

{{- define "casita.name.gateway" -}}
{{ .Values.global.gateway.name | default .Release.Name }}
{{- end }}
{{- define "casita.name.gatewayNamespace" -}}
{{ .Values.global.gateway.namespace | default (printf "%s-gateway" .Release.Name) }}
{{- end }}
{{- define "casita.gatewayPodLabels" -}}
{{- $own := include "casita.selector" (dict "root" . "name" "traefik") | fromYaml -}}
{{ .Values.global.gateway.podLabels | default $own | toYaml }}
{{- end }}
