{{- define "operator.name" -}}
{{ .Release.Name }}-operator
{{- end }}
{{- define "operator.name.metrics" -}}
{{ .Release.Name }}-operator-metrics
{{- end }}
{{- define "operator.name.prepare" -}}
{{ .Release.Name }}-prepare
{{- end }}
{{- define "operator.name.systemAuthority" -}}
{{ .Values.systemAuthority.existingSecret | default (printf "%s-system-authority" .Release.Name) }}
{{- end }}
{{- define "operator.name.rootKey" -}}
{{ .Values.rootKey.existingSecret | default (printf "%s-root-key" .Release.Name) }}
{{- end }}
{{- define "operator.name.sessionMaker" -}}
{{ .Release.Name }}-session-maker
{{- end }}
{{- define "operator.name.sessionScale" -}}
{{ .Release.Name }}-session-scale
{{- end }}

{{- define "operator.name.stop" -}}
{{ .Release.Name }}-stop
{{- end }}
{{- define "operator.name.finalizer" -}}
{{ .Release.Name }}-operator-finalizer
{{- end }}
{{/* As whom the Kubernetes API knows the operator. */}}
{{- define "operator.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "operator.name" . }}
{{- end }}

{{- define "operator.selector" -}}
{{ include "casita.selector" (dict "root" . "name" "casita-operator") }}
{{- end }}
{{- define "operator.labels" -}}
{{ include "casita.labels" (dict "root" . "name" "casita-operator" "component" "operator") }}
{{- end }}
{{- define "operator.metricsLabels" -}}
{{ include "casita.labels" (dict "root" . "name" "casita-operator" "component" "metrics") }}
{{- end }}
{{/* Of the pod that prepares: no Service or policy of the operator may select it. */}}
{{- define "operator.prepareLabels" -}}
{{ include "casita.labels" (dict "root" . "name" "casita-prepare" "component" "prepare") }}
{{- end }}

{{- define "operator.prepareSelector" -}}
{{ include "casita.selector" (dict "root" . "name" "casita-prepare") }}
{{- end }}

{{/* Of the pod that stops sessions before the operator goes. */}}
{{- define "operator.stopLabels" -}}
{{ include "casita.labels" (dict "root" . "name" "casita-stop" "component" "stop") }}
{{- end }}
{{- define "operator.stopSelector" -}}
{{ include "casita.selector" (dict "root" . "name" "casita-stop") }}
{{- end }}

{{- define "operator.image" -}}
{{ include "casita.image" (dict "root" . "image" .Values.image) }}
{{- end }}

{{- define "operator.name.site" -}}
{{ .Release.Name }}-operator-site
{{- end }}

{{/* The Secrets that the chart makes, as flags of `casita prepare`; nothing if all are yours. */}}
{{- define "operator.generatedSecrets" -}}
{{- if not .Values.systemAuthority.existingSecret }}
- --authority-secret={{ include "operator.name.systemAuthority" . }}
{{- end }}
{{- if not .Values.rootKey.existingSecret }}
- --root-key-secret={{ include "operator.name.rootKey" . }}
{{- end }}
{{- if and .Values.global.batch.enabled (not .Values.global.batch.existingSecret) }}
- --idtoken-key-secret={{ include "casita.batch.keySecret" . }}
{{- end }}
{{- if and .Values.global.cache.enabled (not .Values.global.cache.existingSecret) }}
- --macaroon-key-secret={{ include "casita.cache.keySecret" . }}
{{- end }}
{{- if include "casita.cache.own" . }}
- --cache-tls-secret={{ include "casita.cache.tlsSecret" . }}
- --cache-tls-authority={{ include "operator.name.systemAuthority" . }}
{{- range include "casita.cache.tlsNames" . | fromYamlArray }}
- --cache-tls-name={{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Not empty if anything must be checked or made before the operator starts. */}}
{{- define "operator.prepares" -}}
{{- if ne .Values.global.gateway.routeApi "None" }}yes{{ end }}
{{- include "operator.generatedSecrets" . }}
{{- end }}
