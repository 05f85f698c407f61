{{/* site.yaml, the configuration that operator and hub read (operator/casita/config). */}}
{{- define "operator.site" -}}
{{- $global := .Values.global -}}
domain: {{ $global.domain }}
clusterDomain: {{ $global.clusterDomain }}
operatorNamespace: {{ .Release.Namespace }}
sessionNamespaces: {{- toYaml $global.sessions.namespaces | nindent 2 }}
imagePullSecrets: {{- toYaml $global.imagePullSecrets | nindent 2 }}
gateway: {{- include "operator.site.gateway" . | nindent 2 }}
reporting:
  url: https://{{ include "operator.name" . }}.{{ .Release.Namespace }}.svc:8443
  authorityDirectory: /etc/casita/system-authority
rootKeyFile: /etc/casita/root-key/key
credentials: {{- toYaml .Values.credentials | nindent 2 }}
{{- if $global.batch.enabled }}
batch: {{- include "operator.site.batch" . | nindent 2 }}
{{- end }}
{{- if $global.cache.enabled }}
cache: {{- include "operator.site.cache" . | nindent 2 }}
{{- end }}
{{- if $global.hub.enabled }}
hub:
  namespace: {{ include "casita.hub.namespace" . }}
  secret: {{ include "casita.hub.secret" . }}
{{- end }}
{{- include "operator.site.services" . }}
workers: {{- toYaml .Values.workers | nindent 2 }}
quotas: {{- include "operator.site.quotas" . | nindent 2 }}
defaultProfile: {{ .Values.defaultProfile }}
profiles: {{- include "operator.site.profiles" . | nindent 2 }}
{{- end }}

{{- define "operator.site.gateway" -}}
{{- $gateway := .Values.global.gateway -}}
{{- $namespace := include "casita.name.gatewayNamespace" . -}}
routeApi: {{ $gateway.routeApi | quote }}
name: {{ include "casita.name.gateway" . }}
namespace: {{ $namespace }}
listener: {{ $gateway.listener }}
entryPoint: {{ $gateway.entryPoint }}
probeAddress: {{ $gateway.probeAddress | default (printf "%s-gateway.%s.svc" .Release.Name $namespace) }}
port: {{ int $gateway.port }}
podLabels: {{- include "casita.gatewayPodLabels" . | nindent 2 }}
dns:
  mode: {{ $gateway.dns.mode }}
  annotationPrefix: {{ $gateway.dns.annotationPrefix }}
  {{- with $gateway.dns.target }}
  target: {{ . }}
  {{- end }}
  ttlSeconds: {{ int $gateway.dns.ttlSeconds }}
{{- end }}

{{- define "operator.site.batch" -}}
{{- $batch := .Values.global.batch -}}
collector: {{ include "casita.batch.collector" . }}
schedd: {{ include "casita.batch.schedd" . | quote }}
trustDomain: {{ $batch.trustDomain | quote }}
uidDomain: {{ $batch.uidDomain | quote }}
keyId: {{ $batch.keyId | quote }}
keyFile: /etc/casita/idtoken-key/key
{{- if include "casita.batch.own" . }}
poolNamespace: {{ include "casita.batch.poolNamespace" . }}
poolTokenSecret: {{ include "casita.batch.epTokenSecret" . }}
{{- end }}
workers: {{- toYaml $batch.workers | nindent 2 }}
{{- end }}

{{- define "operator.site.cache" -}}
{{- $cache := .Values.global.cache -}}
host: {{ include "casita.cache.host" . }}
port: {{ int $cache.port }}
siteName: {{ $cache.siteName | quote }}
pathPrefix: {{ $cache.pathPrefix }}
maxDurationSeconds: {{ int $cache.maxDurationSeconds }}
{{- with $cache.probePath }}
probePath: {{ . }}
{{- end }}
keyFile: /etc/casita/macaroon-key/key
authorityFile: {{ ternary "/etc/casita/cache-authority/ca.pem" "/etc/casita/system-authority/tls.crt" (ne $cache.authoritySecret "") }}
{{- if include "casita.cache.own" . }}
tlsSecret: {{ include "casita.cache.tlsSecret" . }}
tlsNames: {{- include "casita.cache.tlsNames" . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What sessions find beside them: inference, tracking, columns. */}}
{{- define "operator.site.services" -}}
{{- if .Values.global.triton.enabled }}
inference: {{- include "operator.site.inference" . | nindent 2 }}
{{- end }}
{{- if .Values.global.mlflow.enabled }}
tracking:
  url: {{ include "casita.mlflow.url" . }}
  {{- if include "casita.mlflow.own" . }}
  namespace: {{ include "casita.mlflow.namespace" . }}
  secret: {{ include "casita.mlflow.secret" . }}
  {{- end }}
{{- end }}
{{- if .Values.global.servicex.enabled }}
columns:
  url: {{ include "casita.servicex.url" . }}
  {{- if include "casita.servicex.own" . }}
  namespace: {{ include "casita.servicex.namespace" . }}
  secret: {{ include "casita.servicex.secret" . }}
  {{- end }}
  {{- if include "casita.servicex.dataTokenMade" . }}
  data:
    namespace: {{ include "casita.servicex.transformers" . }}
    secret: {{ include "casita.servicex.dataTokenSecret" . }}
    pathPrefix: {{ .Values.global.servicex.transformers.dataPathPrefix | default .Values.global.cache.pathPrefix }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "operator.site.inference" -}}
{{- $own := include "casita.triton.own" . -}}
{{- if $own }}
namespace: {{ include "casita.triton.namespace" . }}
{{- end }}
servers:
  {{- range $name, $_ := include "casita.triton.servers" . | fromYaml }}
  {{- $server := dict "root" $ "server" $name }}
  - name: {{ $name }}
    url: {{ include "casita.triton.url" $server }}
    {{- if $own }}
    healthUrl: {{ include "casita.triton.healthUrl" $server }}
    {{- end }}
  {{- else }} []
  {{- end }}
{{- end }}

{{/* Of the most cores, 0 in a value stands for no limit, which the operator calls none. */}}
{{- define "operator.site.quotas" -}}
{{- $quotas := dict -}}
{{- range $name, $cores := .Values.quotas -}}
{{- if $cores }}{{ $_ := set $quotas $name $cores }}{{ end -}}
{{- end -}}
{{ toYaml $quotas }}
{{- end }}

{{- define "operator.site.profiles" -}}
{{- $profiles := list -}}
{{- range $name, $profile := .Values.profiles -}}
{{- if $profile -}}
{{- $image := include "casita.image" (dict "root" $ "image" $profile.image) -}}
{{- $profiles = append $profiles (merge (dict "name" $name "image" $image) $profile) -}}
{{- end -}}
{{- end -}}
{{ toYaml $profiles }}
{{- end }}
