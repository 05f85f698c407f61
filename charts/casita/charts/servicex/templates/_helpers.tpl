{{- define "servicex.name" -}}
{{ include "casita.servicex.service" . }}
{{- end }}
{{- define "servicex.name.metrics" -}}
{{ include "servicex.name" . }}-metrics
{{- end }}
{{- define "servicex.name.transformers" -}}
{{ .Release.Name }}-transformers
{{- end }}
{{- define "servicex.transformers" -}}
{{ include "casita.servicex.transformers" . }}
{{- end }}
{{/* Name of a part. Call with a list: root, part. */}}
{{- define "servicex.part" -}}
{{ include "servicex.name" (first .) }}-{{ last . }}
{{- end }}
{{/* Address of a part's Service. Call with a list: root, part. */}}
{{- define "servicex.host" -}}
{{ include "servicex.part" . }}.{{ include "casita.servicex.namespace" (first .) }}.svc
{{- end }}

{{- define "servicex.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "servicex" "component" "front-door") }}
{{- end }}
{{- define "servicex.metricsLabels" -}}
{{ include "casita.labels" (dict "root" . "name" "servicex" "component" "metrics") }}
{{- end }}
{{/* Labels of a part. Call with a list: root, part, component. */}}
{{- define "servicex.partLabels" -}}
{{ include "casita.labels" (dict "root" (first .) "name" (printf "servicex-%s" (index . 1)) "component" (last .)) }}
{{- end }}
{{/* Labels that select a part. Call with a list: root, part. */}}
{{- define "servicex.selector" -}}
{{ include "casita.selector" (dict "root" (first .) "name" (printf "servicex-%s" (last .))) }}
{{- end }}
{{/* Labels that select all parts of a kind. Call with a list: root, component. */}}
{{- define "servicex.componentSelector" -}}
app.kubernetes.io/part-of: casita
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* What is switched on of a map of parts, as YAML. */}}
{{- define "servicex.on" -}}
{{- $found := dict -}}
{{- range $name, $part := . -}}
{{- if $part.enabled }}{{ $_ := set $found $name $part }}{{ end -}}
{{- end -}}
{{ toYaml $found }}
{{- end }}

{{/* What every pod of ServiceX has. */}}
{{- define "servicex.pod" -}}
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  {{- include "casita.podSecurity" . | nindent 2 }}
  fsGroupChangePolicy: OnRootMismatch
{{- include "casita.imagePullSecrets" . }}
{{- include "casita.placement" .Values }}
{{- end }}
{{/* Image of a container. Call with a list: root, image. */}}
{{- define "servicex.image" -}}
image: {{ include "casita.image" (dict "root" (first .) "image" (last .)) }}
imagePullPolicy: {{ (first .).Values.global.imagePullPolicy }}
{{- end }}
{{/* Image of the operator, in which the front door is. Call with a list: root, image. */}}
{{- define "servicex.ownImage" -}}
{{- $root := first . -}}
{{- $image := last . -}}
{{- $tag := $image.tag | default $root.Chart.Version -}}
{{ include "servicex.image" (list $root (merge (dict "tag" $tag) $image)) }}
{{- end }}

{{/* An environment variable from a Secret. Call with a list: name, secret, key. */}}
{{- define "servicex.secretEnv" -}}
- name: {{ first . }}
  valueFrom: {secretKeyRef: {name: {{ index . 1 }}, key: {{ last . }}}}
{{- end }}
