{{/* JupyterHub's configuration, as JSON: what the chart says, and over it hub.config, class by class. */}}
{{- define "jupyterhub.config" -}}
{{- $own := include "jupyterhub.config.own" . | fromYaml -}}
{{ mergeOverwrite $own (deepCopy .Values.hub.config) | toPrettyJson }}
{{- end }}

{{- define "jupyterhub.config.own" -}}
JupyterHub:
  hub_bind_url: http://:8081
  hub_connect_url: {{ include "jupyterhub.hubUrl" . }}
  public_url: https://{{ include "casita.hub.host" . }}/
  db_url: {{ include "jupyterhub.databaseUrl" . | quote }}
  upgrade_db: true
  # Servers and the proxy outlive the hub.
  cleanup_servers: false
  cleanup_proxy: false
  # A proxy that starts anew has lost its routes: they are compared so often, in seconds.
  last_activity_interval: 10
  allow_named_servers: {{ .Values.hub.allowNamedServers }}
  named_server_limit_per_user: {{ int .Values.hub.namedServerLimitPerUser }}
  concurrent_spawn_limit: {{ int .Values.hub.concurrentSpawnLimit }}
  spawner_class: casita
  tornado_settings: {slow_spawn_timeout: 0}
  services: {{- include "jupyterhub.config.services" . | nindent 4 }}
  load_roles: {{- include "jupyterhub.config.roles" . | nindent 4 }}
  {{- with include "jupyterhub.announcement" . }}
  template_vars: {announcement_login: {{ . | quote }}}
  {{- end }}
ConfigurableHTTPProxy:
  api_url: {{ include "jupyterhub.proxyApiUrl" . }}
  should_start: false
CasitaSpawner: {{- include "jupyterhub.config.spawner" . | nindent 2 }}
{{- end }}

{{/* The hub's own services: the status page, and what ends servers that nobody uses. */}}
{{- define "jupyterhub.config.services" -}}
{{- $cull := .Values.cull -}}
- name: status
  url: {{ include "jupyterhub.statusUrl" . }}
  oauth_no_confirm: true
  command:
    - /opt/casita/bin/python3
    - -m
    - casita.hub.status
    - --namespace={{ include "jupyterhub.sessions" . }}
    - --hub-name={{ .Release.Name }}
    - --idle-seconds={{ ternary $cull.timeout 0 $cull.enabled | int }}
    - --age-seconds={{ ternary $cull.maxAge 0 $cull.enabled | int }}
  environment:
    JUPYTERHUB_API_URL: http://127.0.0.1:8081/hub/api
    # In-cluster configuration: services know nothing of the hub's own variables.
    KUBERNETES_SERVICE_HOST: kubernetes.default.svc
    KUBERNETES_SERVICE_PORT: "443"
# Without a url: no way of the proxy leads to it.
- name: metrics
  display: false
  environment: {JUPYTERHUB_API_URL: http://127.0.0.1:8081/hub/api}
  command: [/opt/casita/bin/python3, -m, casita.hub.metrics, --port=8083]
{{- if $cull.enabled }}
- name: cull
  display: false
  environment: {JUPYTERHUB_API_URL: http://127.0.0.1:8081/hub/api}
  command:
    - /opt/casita/bin/python3
    - -m
    - jupyterhub_idle_culler
    - --timeout={{ int $cull.timeout }}
    - --cull-every={{ int $cull.every }}
    - --concurrency={{ int $cull.concurrency }}
    - --max-age={{ int $cull.maxAge }}
    - --cull-users={{ $cull.users }}
    - --cull-admin-users={{ $cull.adminUsers }}
    - --remove-named-servers={{ $cull.removeNamedServers }}
{{- end }}
{{- if include "casita.mlflow.own" . }}
# Its token comes by a variable (casita.hub.configuration).
- name: mlflow
  url: {{ include "casita.mlflow.serverUrl" . }}
  oauth_no_confirm: true
{{- end }}
{{- range $name, $service := .Values.hub.services }}
{{ list (merge (dict "name" $name) $service) | toYaml }}
{{- end }}
{{- end }}

{{- define "jupyterhub.config.roles" -}}
- name: user
  scopes: [self, "access:services!service=status"{{ if include "casita.mlflow.own" . }}, "access:services!service=mlflow"{{ end }}]
- name: status
  services: [status]
  # Who has which server; to start and stop those of whoever presses a button.
  scopes: [list:users, "read:users:name", "read:users:activity", "read:servers", servers]
- name: metrics
  services: [metrics]
  scopes: ["read:metrics"]
{{- if .Values.cull.enabled }}
- name: cull
  services: [cull]
  scopes: [list:users, "read:users:activity", "read:servers", "delete:servers"{{ if .Values.cull.users }}, "admin:users"{{ end }}]
{{- end }}
{{- range $name, $role := .Values.hub.loadRoles }}
{{ list (merge (dict "name" $name) $role) | toYaml }}
{{- end }}
{{- end }}

{{- define "jupyterhub.config.spawner" -}}
{{- $user := .Values.singleuser -}}
site_file: /etc/casita/site/site.yaml
hub_name: {{ .Release.Name }}
namespace: {{ include "jupyterhub.sessions" . }}
cmd: [python3, -P, -m, casita.access.welcome, jupyterhub-singleuser]
default_url: {{ $user.defaultUrl | quote }}
start_timeout: {{ int $user.startTimeout }}
# A request that is given up in a burst has often been served: its pod is then made twice.
k8s_api_request_timeout: 10
image_pull_policy: {{ .Values.global.imagePullPolicy }}
image_pull_secrets: {{- toYaml .Values.global.imagePullSecrets | nindent 2 }}
# Restricted Pod Security.
uid: 1000
gid: 1000
fs_gid: 1000
pod_security_context: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
allow_privilege_escalation: false
automount_service_account_token: false
enable_user_namespaces: false
container_security_context: {capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
extra_pod_config: {enableServiceLinks: false}
cpu_guarantee: {{ $user.cpu.guarantee }}
extra_labels:
  app.kubernetes.io/part-of: casita
node_selector: {{- toYaml $user.nodeSelector | nindent 2 }}
tolerations: {{- toYaml $user.tolerations | nindent 2 }}
environment: {{- toYaml $user.extraEnv | nindent 2 }}
working_dir: {{ $user.storage.homeMountPath | quote }}
notebook_dir: {{ $user.storage.homeMountPath | quote }}
{{- include "jupyterhub.config.home" . }}
{{- end }}

{{/* A user's home: a claim that all of the user's servers share, or a folder that ends with the pod. */}}
{{- define "jupyterhub.config.home" }}
{{- $storage := .Values.singleuser.storage }}
{{- $own := eq $storage.type "dynamic" }}
storage_pvc_ensure: {{ $own }}
# With the user; a server's end leaves it.
delete_pvc: {{ $own }}
{{- if $own }}
pvc_name_template: home-{username}
storage_capacity: {{ $storage.capacity }}
storage_access_modes: {{- toYaml $storage.accessModes | nindent 2 }}
{{- with $storage.storageClass }}
storage_class: {{ . }}
{{- end }}
{{- end }}
volumes:
  - name: home
    {{- if $own }}
    persistentVolumeClaim: {claimName: "{pvc_name}"}
    {{- else }}
    emptyDir: {sizeLimit: {{ $storage.capacity }}}
    {{- end }}
  - name: tmp
    emptyDir: {}
  {{- with $storage.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volume_mounts:
  - {name: home, mountPath: {{ $storage.homeMountPath | quote }}}
  - {name: tmp, mountPath: /tmp}
  {{- with $storage.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Whom everybody can be is said where they log in. */}}
{{- define "jupyterhub.announcement" -}}
{{- if has (dig "JupyterHub" "authenticator_class" "" .Values.hub.config) (list "dummy" "jupyterhub.auth.DummyAuthenticator") -}}
This facility is a demonstration: whoever comes here may log in under any name.
{{- end -}}
{{- end }}
