{{/* Refuses what values.schema.json cannot see: values that do not fit together. */}}
{{- define "casita.validate" -}}
{{- $global := .Values.global -}}
{{- $api := $global.gateway.routeApi -}}
{{- $gateway := include "casita.name.gatewayNamespace" . -}}
{{- $sessions := $global.sessions.namespaces -}}
{{- if has .Release.Namespace $sessions -}}
{{- fail (printf "global.sessions.namespaces has %s, the namespace of the release, whose Secrets no session may be near; take another one." .Release.Namespace) -}}
{{- end -}}
{{- if or (eq $gateway .Release.Namespace) (has $gateway $sessions) -}}
{{- fail (printf "global.gateway.namespace is %s, which is the release's namespace or one of global.sessions.namespaces; the gateway can read every Secret where it is, so give it a namespace of its own." $gateway) -}}
{{- end -}}
{{- if not (get .Values.operator.profiles .Values.operator.defaultProfile) -}}
{{- fail (printf "operator.defaultProfile is %s, but operator.profiles has only: %s." .Values.operator.defaultProfile (keys (include "casita.profiles" . | fromYaml) | sortAlpha | join ", ")) -}}
{{- end -}}
{{- include "casita.validate.batch" . -}}
{{- include "casita.validate.cache" . -}}
{{- include "casita.validate.hub" . -}}
{{- include "casita.validate.triton" . -}}
{{- include "casita.validate.servicex" . -}}
{{- include "casita.validate.mlflow" . -}}
{{- include "casita.validate.monitoring" . -}}
{{- if .Values.traefik.enabled -}}
{{- if and .Values.traefik.tls.secretName (eq $api "IngressRouteTCP") -}}
{{- fail "traefik.tls.secretName makes a listener of the Gateway API, which is not used when global.gateway.routeApi is IngressRouteTCP; leave it empty." -}}
{{- end -}}
{{- if and .Values.traefik.tls.secretName (eq (int $global.gateway.port) 443) -}}
{{- fail "global.gateway.port is 443, where traefik.tls.secretName already has HTTPS; take another port for sessions." -}}
{{- end -}}
{{- if and (not .Values.traefik.tls.secretName) (eq $api "None") (not (and (include "casita.triton.own" .) $global.triton.throughGateway)) -}}
{{- fail "With global.gateway.routeApi None, no traefik.tls.secretName and no inference the gateway has nothing to listen to; set traefik.enabled to false." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.batch" -}}
{{- $batch := .Values.global.batch -}}
{{- $pool := include "casita.batch.poolNamespace" . -}}
{{- if and .Values.htcondor.enabled (not $batch.enabled) -}}
{{- fail "htcondor.enabled needs global.batch.enabled, which gives sessions tokens for the pool." -}}
{{- end -}}
{{- if and .Values.htcondor.enabled $batch.collector -}}
{{- fail (printf "global.batch.collector is %s, another pool than this chart's; leave it empty, or set htcondor.enabled to false." $batch.collector) -}}
{{- end -}}
{{- $drain := int .Values.operator.workers.drainSeconds -}}
{{- if and .Values.htcondor.enabled (lt (int .Values.htcondor.execute.stopSeconds) (add $drain 30 | int)) -}}
{{- fail (printf "htcondor.execute.stopSeconds is %d, but workers may take operator.workers.drainSeconds, %d, to drain; set it to %d at least." (int .Values.htcondor.execute.stopSeconds) $drain (add $drain 30 | int)) -}}
{{- end -}}
{{- if and .Values.htcondor.enabled $batch.workers.ranges -}}
{{- fail "global.batch.workers.ranges is for the machines of a pool of yours; this chart's own is known: leave it empty." -}}
{{- end -}}
{{- if and .Values.htcondor.enabled (ne $batch.workers.universe "vanilla") -}}
{{- fail (printf "global.batch.workers.universe is %s, but this chart's own pool runs no containers; set it to vanilla." $batch.workers.universe) -}}
{{- end -}}
{{- if gt (int $batch.workers.firstPort) (int $batch.workers.lastPort) -}}
{{- fail (printf "global.batch.workers.firstPort is %d, above lastPort, %d." (int $batch.workers.firstPort) (int $batch.workers.lastPort)) -}}
{{- end -}}
{{- if and $batch.enabled (not .Values.htcondor.enabled) (not (and $batch.collector $batch.schedd)) -}}
{{- fail "global.batch.enabled needs the address of your pool in global.batch.collector and global.batch.schedd, or htcondor.enabled." -}}
{{- end -}}
{{- if and .Values.htcondor.enabled (or (eq $pool .Release.Namespace) (has $pool .Values.global.sessions.namespaces) (eq $pool (include "casita.name.gatewayNamespace" .))) -}}
{{- fail (printf "global.batch.poolNamespace is %s, where users' jobs run; give it a namespace that nothing else is in." $pool) -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.cache" -}}
{{- $cache := .Values.global.cache -}}
{{- if and .Values.xcache.enabled (not $cache.enabled) -}}
{{- fail "xcache.enabled needs global.cache.enabled, which gives sessions tokens for the cache." -}}
{{- end -}}
{{- if and .Values.xcache.enabled $cache.host -}}
{{- fail (printf "global.cache.host is %s, another cache than this chart's; leave it empty, or set xcache.enabled to false." $cache.host) -}}
{{- end -}}
{{- if and .Values.xcache.enabled $cache.authoritySecret -}}
{{- fail "global.cache.authoritySecret is for a cache of yours; this chart's own is signed by the system authority: leave it empty." -}}
{{- end -}}
{{- if and $cache.enabled (not .Values.xcache.enabled) (not (and $cache.host $cache.authoritySecret)) -}}
{{- fail "global.cache.enabled needs your cache in global.cache.host and its authority in global.cache.authoritySecret, or xcache.enabled." -}}
{{- end -}}
{{- if and $cache.enabled $cache.probePath (not (hasPrefix $cache.pathPrefix $cache.probePath)) -}}
{{- fail (printf "global.cache.probePath is %s, which is not below global.cache.pathPrefix, %s." $cache.probePath $cache.pathPrefix) -}}
{{- end -}}
{{- $asked := int .Values.operator.credentials.macaroonSeconds -}}
{{- $duration := int $cache.maxDurationSeconds -}}
{{- $longest := include "casita.cache.longestSeconds" . | int -}}
{{- if and $cache.enabled (ne $asked 0) (or (lt $asked 300) (gt $asked $longest)) -}}
{{- fail (printf "operator.credentials.macaroonSeconds is %d; with global.cache.maxDurationSeconds %d it must be 0 or from 300 to %d." $asked $duration $longest) -}}
{{- end -}}
{{- range $name, $profile := .Values.operator.profiles -}}
{{- $prefix := get ($profile | default dict) "dataPathPrefix" -}}
{{- if and $cache.enabled $prefix (ne $prefix "None") (not (hasPrefix $cache.pathPrefix $prefix)) -}}
{{- fail (printf "operator.profiles.%s.dataPathPrefix is %s, which is not within global.cache.pathPrefix, %s." $name $prefix $cache.pathPrefix) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.hub" -}}
{{- $hub := .Values.jupyterhub -}}
{{- if ne $hub.enabled .Values.global.hub.enabled -}}
{{- fail (printf "jupyterhub.enabled is %t and global.hub.enabled %t; set both, or neither." $hub.enabled .Values.global.hub.enabled) -}}
{{- end -}}
{{- if $hub.enabled -}}
{{- $namespace := include "casita.hub.namespace" . -}}
{{- if or (eq $namespace .Release.Namespace) (eq $namespace (include "casita.name.gatewayNamespace" .)) (has $namespace .Values.global.sessions.namespaces) -}}
{{- fail (printf "global.hub.namespace is %s, where other parts are; the gateway can read every Secret of the hub's namespace, so give it one of its own." $namespace) -}}
{{- end -}}
{{- if not (dig "JupyterHub" "authenticator_class" "" $hub.hub.config) -}}
{{- fail "jupyterhub.enabled needs a way to log in: set jupyterhub.hub.config.JupyterHub.authenticator_class, for instance to casita-oidc; docs/admin/authentication.md has examples." -}}
{{- end -}}
{{- if eq .Values.global.gateway.routeApi "IngressRouteTCP" -}}
{{- fail "The hub is reached by an HTTPRoute of the Gateway API, which is not used when global.gateway.routeApi is IngressRouteTCP; set it to TLSRoute or None." -}}
{{- end -}}
{{- if and .Values.traefik.enabled (not .Values.traefik.tls.secretName) -}}
{{- fail "jupyterhub.enabled needs HTTPS: set traefik.tls.secretName to a Secret in the gateway's namespace with tls.crt and tls.key." -}}
{{- end -}}
{{- if not .Values.operator.enabled -}}
{{- fail "jupyterhub.enabled needs operator.enabled: without an operator no server has a session." -}}
{{- end -}}
{{- if and (eq $hub.hub.db.type "other") (not $hub.hub.db.url) -}}
{{- fail "jupyterhub.hub.db.type is other: set jupyterhub.hub.db.url to the address of your database." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.monitoring" -}}
{{- $monitoring := .Values.global.monitoring -}}
{{- if hasKey $monitoring "serviceMonitors" -}}
{{- fail (printf "global.monitoring.serviceMonitors is gone: in place of %v set global.monitoring.discovery to %s." $monitoring.serviceMonitors (ternary "ServiceMonitors" "None" (eq (toString $monitoring.serviceMonitors) "true"))) -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.mlflow" -}}
{{- $mlflow := .Values.mlflow -}}
{{- $global := .Values.global.mlflow -}}
{{- if and $mlflow.enabled (not $global.enabled) -}}
{{- fail "mlflow.enabled needs global.mlflow.enabled, which gives sessions tokens for the tracking server." -}}
{{- end -}}
{{- if and $mlflow.enabled $global.url -}}
{{- fail (printf "global.mlflow.url is %s, another tracking server than this chart's; leave it empty, or set mlflow.enabled to false." $global.url) -}}
{{- end -}}
{{- if and $global.enabled (not $mlflow.enabled) (not $global.url) -}}
{{- fail "global.mlflow.enabled needs the address of your tracking server in global.mlflow.url, or mlflow.enabled." -}}
{{- end -}}
{{- if $mlflow.enabled -}}
{{- $namespace := include "casita.mlflow.namespace" . -}}
{{- if has $namespace (concat .Values.global.sessions.namespaces (list .Release.Namespace (include "casita.name.gatewayNamespace" .) (include "casita.hub.namespace" .))) -}}
{{- fail (printf "global.mlflow.namespace is %s, where other parts are; give the tracking server's Secret a namespace of its own." $namespace) -}}
{{- end -}}
{{- if not .Values.operator.enabled -}}
{{- fail "mlflow.enabled needs operator.enabled: the operator makes what the tracking server knows its users by." -}}
{{- end -}}
{{- if and (eq $mlflow.database.type "other") (not $mlflow.database.url) -}}
{{- fail "mlflow.database.type is other: set mlflow.database.url to the address of your database." -}}
{{- end -}}
{{- if and (eq $mlflow.artifacts.type "objectStore") (not $mlflow.artifacts.destination) -}}
{{- fail "mlflow.artifacts.type is objectStore: set mlflow.artifacts.destination to a bucket, for instance s3://mlflow/artifacts." -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.servicex" -}}
{{- $servicex := .Values.servicex -}}
{{- $global := .Values.global.servicex -}}
{{- if and $servicex.enabled (not $global.enabled) -}}
{{- fail "servicex.enabled needs global.servicex.enabled, which gives sessions tokens for it." -}}
{{- end -}}
{{- if and $servicex.enabled $global.url -}}
{{- fail (printf "global.servicex.url is %s, another ServiceX than this chart's; leave it empty, or set servicex.enabled to false." $global.url) -}}
{{- end -}}
{{- if and $global.enabled (not $servicex.enabled) (not $global.url) -}}
{{- fail "global.servicex.enabled needs your ServiceX in global.servicex.url, or servicex.enabled." -}}
{{- end -}}
{{- if $servicex.enabled -}}
{{- include "casita.validate.servicex.places" . -}}
{{- include "casita.validate.servicex.parts" . -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.servicex.places" -}}
{{- $others := concat .Values.global.sessions.namespaces (list .Release.Namespace (include "casita.name.gatewayNamespace" .) (include "casita.hub.namespace" .) (include "casita.batch.poolNamespace" .)) -}}
{{- $own := include "casita.servicex.namespace" . -}}
{{- $transformers := include "casita.servicex.transformers" . -}}
{{- if has $own $others -}}
{{- fail (printf "global.servicex.namespace is %s, where other parts are; give ServiceX a namespace of its own." $own) -}}
{{- end -}}
{{- if has $transformers (append $others $own) -}}
{{- fail (printf "global.servicex.transformers.namespace is %s, where other parts are; users' code runs there, so give it a namespace that nothing else is in." $transformers) -}}
{{- end -}}
{{- if not .Values.operator.enabled -}}
{{- fail "servicex.enabled needs operator.enabled: the operator makes ServiceX's keys and sessions' tokens." -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.servicex.parts" -}}
{{- $servicex := .Values.servicex -}}
{{- $generators := 0 -}}
{{- range $servicex.codeGenerators }}{{ if .enabled }}{{ $generators = add1 $generators }}{{ end }}{{ end -}}
{{- if not $generators -}}
{{- fail "servicex.enabled needs a code generator: switch on one of servicex.codeGenerators." -}}
{{- end -}}
{{- $rucio := $servicex.didFinders.rucio -}}
{{- if and $rucio.enabled (not (and $rucio.host $rucio.authHost $rucio.account $rucio.existingSecret)) -}}
{{- fail "servicex.didFinders.rucio.enabled needs host, authHost, account, and existingSecret with a VOMS proxy." -}}
{{- end -}}
{{- range $name := list "database" "broker" "objectStore" -}}
{{- $external := (get $servicex $name).external -}}
{{- $given := or $external.host $external.endpoint -}}
{{- if and $given (not $external.existingSecret) -}}
{{- fail (printf "servicex.%s.external is %s: set existingSecret beside it to a Secret with its password or keys." $name $given) -}}
{{- end -}}
{{- if and $external.existingSecret (not $given) -}}
{{- fail (printf "servicex.%s.external.existingSecret is %s, but there is no address beside it; the chart's own has a Secret by itself." $name $external.existingSecret) -}}
{{- end -}}
{{- end -}}
{{- $transformers := $servicex.transformers -}}
{{- include "casita.validate.servicex.data" . -}}
{{- if gt (int $transformers.autoscaling.min) (int $transformers.maxWorkers) -}}
{{- fail (printf "servicex.transformers.autoscaling.min is %d, above maxWorkers, %d." (int $transformers.autoscaling.min) (int $transformers.maxWorkers)) -}}
{{- end -}}
{{- end }}

{{- define "casita.validate.servicex.data" -}}
{{- $given := .Values.global.servicex.transformers -}}
{{- $prefix := $given.dataPathPrefix -}}
{{- $exported := .Values.global.cache.pathPrefix -}}
{{- if and $given.dataTokenSecret (not (and .Values.global.cache.enabled .Values.servicex.builtFromSource)) -}}
{{- fail "global.servicex.transformers.dataTokenSecret is a token for the cache: it needs global.cache.enabled, and servicex.builtFromSource to bring it to transformers." -}}
{{- end -}}
{{- if include "casita.servicex.dataTokenMade" . -}}
{{- if not .Values.servicex.builtFromSource -}}
{{- fail "servicex.builtFromSource is false, and ServiceX's own images bring transformers no token for the cache; set global.servicex.transformers.dataPathPrefix to None." -}}
{{- end -}}
{{- if and $prefix (not (hasPrefix $exported $prefix)) -}}
{{- fail (printf "global.servicex.transformers.dataPathPrefix is %s, which is not within global.cache.pathPrefix, %s." $prefix $exported) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The catalogue without the profiles that another values file took away. */}}
{{- define "casita.profiles" -}}
{{- $found := dict -}}
{{- range $name, $profile := .Values.operator.profiles -}}
{{- if $profile }}{{ $_ := set $found $name $profile }}{{ end -}}
{{- end -}}
{{ toYaml $found }}
{{- end }}
