{{/* The inference servers: whose they are, and what they are called. */}}

{{/* Not empty if the servers are this chart's own. */}}
{{- define "casita.triton.own" -}}
{{- if and .Values.global.triton.enabled (not .Values.global.triton.url) }}yes{{ end }}
{{- end }}
{{- define "casita.triton.namespace" -}}
{{ .Values.global.triton.namespace | default (printf "%s-triton" .Release.Name) }}
{{- end }}
{{/* The servers by name, without those that were switched off; Helm brings a default of a global
     value back that another values file made null. */}}
{{- define "casita.triton.servers" -}}
{{- $found := dict -}}
{{- range $name, $server := .Values.global.triton.servers -}}
{{- if and $server (ne "false" (get $server "enabled" | toString)) }}{{ $_ := set $found $name $server }}{{ end -}}
{{- end -}}
{{ toYaml $found }}
{{- end }}
{{/* Name of a server's Service. Call with a dict: root, server. */}}
{{- define "casita.triton.service" -}}
{{ .root.Release.Name }}-triton-{{ .server }}
{{- end }}
{{/* Labels that select the pods of a server. Call with a dict: root, server. */}}
{{- define "casita.triton.selector" -}}
{{ include "casita.selector" (dict "root" .root "name" "triton") }}
app.kubernetes.io/component: {{ .server }}
{{- end }}
{{/* The Service of the gateway that sessions reach the servers by, inside the cluster alone. */}}
{{- define "casita.triton.gatewayService" -}}
{{ .Release.Name }}-gateway-inference
{{- end }}
{{/* Where sessions reach a server, host:port of gRPC. Call with a dict: root, server. */}}
{{- define "casita.triton.url" -}}
{{- $root := .root -}}
{{- $triton := $root.Values.global.triton -}}
{{- $end := printf "svc.%s" $root.Values.global.clusterDomain -}}
{{- if $triton.url -}}
{{ $triton.url }}
{{- else if $triton.throughGateway -}}
{{- $port := int (get $triton.servers .server).port -}}
{{ include "casita.triton.gatewayService" $root }}.{{ include "casita.name.gatewayNamespace" $root }}.{{ $end }}:{{ $port }}
{{- else -}}
{{ include "casita.triton.service" . }}.{{ include "casita.triton.namespace" $root }}.{{ $end }}:8001
{{- end -}}
{{- end }}
{{/* Where a server of this chart's own tells of its health. Call with a dict: root, server. */}}
{{- define "casita.triton.healthUrl" -}}
http://{{ include "casita.triton.service" . }}.{{ include "casita.triton.namespace" .root }}.svc:8000
{{- end }}

{{/* Listener and entry point of the gateway for a server. Call with the server's name. */}}
{{- define "casita.triton.listener" -}}
triton-{{ . }}
{{- end }}

{{/* What a server is that says nothing of itself, as values.yaml has it for `default`. */}}
{{- define "casita.triton.defaults" -}}
image: {registry: nvcr.io, repository: nvidia/tritonserver, tag: "", digest: ""}
repository:
  claim: {name: "", subPath: ""}
  objectStore: {url: "", existingSecret: ""}
  configMap: {name: "", files: {}}
extraArgs: []
strictReadiness: false
startupSeconds: 600
exitSeconds: 60
sharedMemory: 256Mi
scratch: 10Gi
replicas: 1
resources:
  requests: {cpu: "1", memory: 2Gi}
  limits: {memory: 8Gi}
extendedResources: {}
autoscaling:
  enabled: false
  minReplicas: 1
  maxReplicas: 4
  queueMilliseconds: 50
  prometheus: ""
  cooldownSeconds: 300
egress: []
priorityClassName: ""
nodeSelector: {}
tolerations: []
affinity: {}
{{- end }}

{{/* A whole server. Call with its values. */}}
{{- define "casita.triton.server" -}}
{{ mergeOverwrite (include "casita.triton.defaults" . | fromYaml) (deepCopy .) | toYaml }}
{{- end }}
