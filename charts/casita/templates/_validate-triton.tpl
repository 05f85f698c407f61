{{/* Refuses inference servers that do not fit together. */}}
{{- define "casita.validate.triton" -}}
{{- $global := .Values.global.triton -}}
{{- $servers := include "casita.triton.servers" . | fromYaml -}}
{{- if and .Values.triton.enabled (not $global.enabled) -}}
{{- fail "triton.enabled needs global.triton.enabled, which lets sessions use it." -}}
{{- end -}}
{{- if and .Values.triton.enabled $global.url -}}
{{- fail (printf "global.triton.url is %s, another service than this chart's; leave it empty, or set triton.enabled to false." $global.url) -}}
{{- end -}}
{{- if and $global.enabled (not .Values.triton.enabled) (not $global.url) -}}
{{- fail "global.triton.enabled needs your service's address in global.triton.url, or triton.enabled." -}}
{{- end -}}
{{- range $name, $profile := .Values.operator.profiles -}}
{{- $wanted := get ($profile | default dict) "inference" -}}
{{- if and $global.enabled $wanted (not (hasKey $servers $wanted)) -}}
{{- fail (printf "operator.profiles.%s.inference is %s, which is no server of global.triton.servers." $name $wanted) -}}
{{- end -}}
{{- end -}}
{{- if .Values.triton.enabled -}}
{{- include "casita.validate.triton.place" . -}}
{{- include "casita.validate.triton.ports" . -}}
{{- range $name, $_ := .Values.triton.servers -}}
{{- if and (ne $name "default") (not (hasKey $servers $name)) -}}
{{- fail (printf "triton.servers has %s, but global.triton.servers does not, where each has its port." $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $servers -}}
{{- $given := get $.Values.triton.servers $name -}}
{{- if not $given -}}
{{- fail (printf "global.triton.servers has %s, but triton.servers does not: say there where its models are." $name) -}}
{{- end -}}
{{- include "casita.validate.triton.server" (dict "name" $name "server" (include "casita.triton.server" $given | fromYaml)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.triton.place" -}}
{{- $namespace := include "casita.triton.namespace" . -}}
{{- $others := concat .Values.global.sessions.namespaces (list .Release.Namespace (include "casita.name.gatewayNamespace" .) (include "casita.hub.namespace" .) (include "casita.batch.poolNamespace" .)) -}}
{{- if has $namespace $others -}}
{{- fail (printf "global.triton.namespace is %s, where other parts are; the gateway can read every Secret of it, so give it one of its own." $namespace) -}}
{{- end -}}
{{- if and .Values.global.triton.throughGateway (not .Values.traefik.enabled) -}}
{{- fail "global.triton.throughGateway needs this chart's gateway, traefik.enabled; set it to false, and sessions connect to the servers themselves." -}}
{{- end -}}
{{- if and .Values.global.triton.throughGateway (eq .Values.global.gateway.routeApi "IngressRouteTCP") -}}
{{- fail "global.triton.throughGateway needs the Gateway API, which is not used when global.gateway.routeApi is IngressRouteTCP; set it to false, and sessions connect to the servers themselves." -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.triton.ports" -}}
{{- $taken := dict "8786" "sessions" "8443" "HTTPS" "9100" "metrics" -}}
{{- range $name, $server := include "casita.triton.servers" . | fromYaml -}}
{{- $port := toString (int $server.port) -}}
{{- with get $taken $port -}}
{{- fail (printf "global.triton.servers.%s.port is %s, which the gateway has for %s; take another one." $name $port .) -}}
{{- end -}}
{{- $_ := set $taken $port (printf "the server %s" $name) -}}
{{- if hasSuffix "-metrics" $name -}}
{{- fail (printf "global.triton.servers has %s; a name that ends in -metrics is the name of another server's Service." $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Call with a dict: name, server. */}}
{{- define "casita.validate.triton.server" -}}
{{- $at := printf "triton.servers.%s" .name -}}
{{- $repository := .server.repository -}}
{{- $given := compact (list $repository.claim.name $repository.objectStore.url $repository.configMap.name) -}}
{{- if ne (len $given) 1 -}}
{{- fail (printf "%s.repository must say one place where models are: claim.name, objectStore.url or configMap.name; it says %d." $at (len $given)) -}}
{{- end -}}
{{- if and $repository.configMap.name (not $repository.configMap.files) -}}
{{- fail (printf "%s.repository.configMap.files is empty: say which key is which file, such as `dimuon/config.pbtxt: config.pbtxt`." $at) -}}
{{- end -}}
{{- if and $repository.objectStore.url (not .server.egress) -}}
{{- fail (printf "%s.egress is empty, so the server cannot reach %s: list the range of addresses of the object store." $at $repository.objectStore.url) -}}
{{- end -}}
{{- $scaling := .server.autoscaling -}}
{{- if and $scaling.enabled (not $scaling.prometheus) -}}
{{- fail (printf "%s.autoscaling needs the address of your Prometheus, such as http://prometheus.monitoring.svc:9090, in prometheus." $at) -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "%s.autoscaling.minReplicas is %d, above maxReplicas, %d." $at (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- end }}
