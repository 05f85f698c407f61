{{/* Traefik's static configuration. */}}
{{- define "traefik.args" -}}
- --global.checknewversion=false
- --global.sendanonymoususage=false
- --log.format=json
- --log.level=INFO
# Sessions: established connections have no timeout (Traefik's read timeout ends with the TLS
# ClientHello of a passthrough connection). On a stop, new ones are still taken while load
# balancers notice, then those that are left get time to end.
{{- if include "traefik.dask" . }}
{{- $dask := printf "--entrypoints.%s" .Values.global.gateway.entryPoint }}
- {{ $dask }}.address=:8786
- {{ $dask }}.transport.lifecycle.requestacceptgracetimeout=5s
- {{ $dask }}.transport.lifecycle.gracetimeout=20s
{{- end }}
{{- if include "traefik.https" . }}
- --entrypoints.websecure.address=:8443
# A header such as X_Forwarded_User could pass for one that the gateway sets.
- --entrypoints.websecure.http.aliasheadersstrategy=delete
{{- end }}
{{- range $name, $server := include "traefik.inference" . | fromYaml }}
{{- $entryPoint := printf "--entrypoints.%s" (include "casita.triton.listener" $name) }}
- {{ $entryPoint }}.address=:{{ int $server.port }}
# By default a stream of requests would be cut after a minute. An answer may take any time.
- {{ $entryPoint }}.transport.respondingtimeouts.readtimeout=0s
- {{ $entryPoint }}.transport.lifecycle.requestacceptgracetimeout=5s
- {{ $entryPoint }}.transport.lifecycle.gracetimeout=20s
- {{ $entryPoint }}.http.aliasheadersstrategy=delete
{{- end }}
- --entrypoints.metrics.address=:9100
- --ping.entrypoint=metrics
- --metrics.prometheus.entrypoint=metrics
# A change takes effect at once, or half a second after the one before: Traefik's default of 2 s
# would be the larger part of a session's time to its first connection, and with no limit at all a
# burst of sessions would keep it computing routes.
- --providers.providersthrottleduration=0s
{{- $namespaces := include "traefik.namespaces" . | fromYaml }}
{{- $watched := concat $namespaces.gateway $namespaces.hub $namespaces.triton $namespaces.sessions | uniq | join "," }}
{{- if eq .Values.global.gateway.routeApi "IngressRouteTCP" }}
- --providers.kubernetescrd.namespaces={{ $watched }}
- --providers.kubernetescrd.throttleduration=500ms
# Else routes of two namespaces can get one name, as a/b-c and a-b/c.
- --providers.kubernetescrd.safenaming=true
- --providers.kubernetescrd.disableclusterscoperesources=true
{{- else }}
- --providers.kubernetesgateway.namespaces={{ $watched }}
- --providers.kubernetesgateway.throttleduration=500ms
# Another Traefik in the cluster has GatewayClasses of the same controller.
- --providers.kubernetesgateway.labelselector=app.kubernetes.io/instance={{ .Release.Name }}
{{- $service := "--providers.kubernetesgateway.statusaddress.service" }}
- {{ $service }}.namespace={{ include "casita.name.gatewayNamespace" . }}
- {{ $service }}.name={{ include "traefik.name" . }}
{{- end }}
{{- end }}
