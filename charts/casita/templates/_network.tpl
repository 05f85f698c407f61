{{/* Peers and rules that several NetworkPolicies share. */}}

{{/* A namespace by its name. Call with the name. */}}
{{- define "casita.network.namespace" -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ . }}
{{- end }}

{{/* The namespaces of sessions. */}}
{{- define "casita.network.sessionNamespaces" -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{- toYaml .Values.global.sessions.namespaces | nindent 8 }}
{{- end }}

{{/* Egress to cluster DNS: policies see the pods' own port, which is 5353 where DNS does not run as
root (OpenShift, for instance). */}}
{{- define "casita.network.toDns" -}}
{{- $dns := .Values.global.network.clusterDns -}}
{{- $labels := $dns.podLabels | default (dict "k8s-app" "kube-dns") -}}
- to:
    - {{- include "casita.network.namespace" $dns.namespace | nindent 6 }}
      podSelector:
        matchLabels: {{- $labels | toYaml | nindent 10 }}
    {{- range $dns.cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- end }}

{{/* Egress to the Kubernetes API, at its own address or behind its Service's. */}}
{{- define "casita.network.toKubernetesApi" -}}
{{- $api := .Values.global.network.kubernetesApi -}}
- ports:
    {{- range $api.ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with $api.cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  {{- end }}
{{- end }}

{{/* Egress to the gateway's pods, whatever ports they listen on. */}}
{{- define "casita.network.toGateway" -}}
{{- $namespace := include "casita.name.gatewayNamespace" . -}}
- to:
    - {{- include "casita.network.namespace" $namespace | nindent 6 }}
      podSelector:
        matchLabels: {{- include "casita.gatewayPodLabels" . | nindent 10 }}
{{- end }}

{{/* Egress to this chart's own cache and pool; where they are the site's, ranges lead to them. */}}
{{- define "casita.network.toData" -}}
{{- if include "casita.cache.own" . }}
- to:
    - {{- include "casita.network.namespace" .Release.Namespace | nindent 6 }}
      podSelector:
        matchLabels: {{- include "casita.cache.selector" . | nindent 10 }}
  ports:
    - {port: {{ int .Values.global.cache.port }}, protocol: TCP}
{{- end }}
{{- if include "casita.batch.own" . }}
- to:
    - {{- include "casita.network.namespace" .Release.Namespace | nindent 6 }}
      podSelector:
        matchLabels: {{- include "casita.batch.selector" . | nindent 10 }}
  ports:
    - {port: 9618, protocol: TCP}
{{- end }}
{{- end }}

{{/* Egress to workers that are jobs of the site's own pool. */}}
{{- define "casita.network.toWorkers" -}}
{{- $workers := .Values.global.batch.workers -}}
{{- if and .Values.global.batch.enabled $workers.ranges }}
- to:
    {{- range $workers.ranges }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    - {port: {{ int $workers.firstPort }}, endPort: {{ int $workers.lastPort }}, protocol: TCP}
{{- end }}
{{- end }}

{{/* Egress to address ranges. Call with a list of {cidr, except, ports}. */}}
{{- define "casita.network.toRanges" -}}
{{- range . }}
- to:
    - ipBlock:
        cidr: {{ .cidr }}
        {{- with .except }}
        except: {{- toYaml . | nindent 10 }}
        {{- end }}
  {{- with .ports }}
  ports:
    {{- range . }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Ingress of metrics. Call with a dict: root, port. */}}
{{- define "casita.network.fromMonitoring" -}}
- from:
    - {{- include "casita.network.namespace" .root.Values.global.monitoring.namespace | nindent 6 }}
  ports:
    - {port: {{ .port }}, protocol: TCP}
{{- end }}
