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
  last_activity_interval: 20
  allow_named_servers: {{ .Values.hub.allowNamedServers }}
  named_server_limit_per_user: {{ int .Values.hub.namedServerLimitPerUser }}
  concurrent_spawn_limit: {{ int .Values.hub.concurrentSpawnLimit }}
  spawner_class: casita
  tornado_settings: {slow_spawn_timeout: 0}
  {{- with include "jupyterhub.announcement" . }}
  template_vars: {announcement_login: {{ . | quote }}}
  {{- end }}
ConfigurableHTTPProxy:
  api_url: {{ include "jupyterhub.proxyApiUrl" . }}
  should_start: false
CasitaSpawner: {{- include "jupyterhub.config.spawner" . | nindent 2 }}
{{- end }}

{{- define "jupyterhub.config.spawner" -}}
{{- $user := .Values.singleuser -}}
site_file: /etc/casita/site/site.yaml
hub_name: {{ .Release.Name }}
namespace: {{ include "jupyterhub.sessions" . }}
cmd: [jupyterhub-singleuser]
default_url: {{ $user.defaultUrl | quote }}
start_timeout: {{ int $user.startTimeout }}
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
