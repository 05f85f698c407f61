{{/* Configuration of ServiceX's app, a Python file. What is secret is empty here: an environment
     variable of the same name decides over a key that the file has. */}}
{{- define "servicex.config" -}}
import json

INSTANCE_NAME = {{ .Release.Name | toJson }}
CHART = "casita"
APP_IMAGE_TAG = {{ .Values.app.image.tag | default .Chart.AppVersion | toJson }}
DOCS_BASE_URL = "https://servicex-frontend.readthedocs.io/en/stable/"
SECRET_KEY = ""
# Tokens are the front door's; nobody is an admin.
ENABLE_AUTH = True
JWT_ADMIN = ""
JWT_SECRET_KEY = ""
JWT_ENCODE_ISSUER = {{ .Values.global.domain | toJson }}
JWT_DECODE_ISSUER = {{ .Values.global.domain | toJson }}
JWT_REFRESH_TOKEN_EXPIRES = 3600
JWT_ACCESS_TOKEN_EXPIRES = 3600
GLOBUS_CLIENT_ID = ""
GLOBUS_CLIENT_SECRET = ""
MAILGUN_API_KEY = ""
MAILGUN_DOMAIN = ""
SQLALCHEMY_DATABASE_URI = ""
SQLALCHEMY_TRACK_MODIFICATIONS = False
# A connection that the database has closed is noticed before it is used.
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True}
RABBIT_MQ_URL = ""
TRANSFORMER_RABBIT_MQ_URL = ""
ADVERTISED_HOSTNAME = "{{ include "servicex.host" (list . "app") }}:5000"
OBJECT_STORE_ENABLED = True
MINIO_URL = {{ include "servicex.store.endpoint" . | toJson }}
MINIO_URL_TRANSFORMER = {{ include "servicex.store.endpoint" . | toJson }}
MINIO_PUBLIC_URL = {{ include "servicex.store.publicEndpoint" . | toJson }}
MINIO_ENCRYPT = {{ include "servicex.store.secure" . }}
MINIO_ENCRYPT_PUBLIC = {{ include "servicex.store.secure" . }}
MINIO_ACCESS_KEY = ""
MINIO_SECRET_KEY = ""
{{ include "servicex.config.parts" . }}
{{ include "servicex.config.transformers" . }}
{{- end }}

{{/* Code generators and DID finders. */}}
{{- define "servicex.config.parts" -}}
{{- $urls := dict -}}
{{- $images := dict -}}
{{- range $name, $generator := include "servicex.on" .Values.codeGenerators | fromYaml -}}
{{- $_ := set $urls $name (printf "http://%s:5000" (include "servicex.host" (list $ (printf "code-%s" $name)))) -}}
{{- $_ := set $images $name (include "casita.image" (dict "root" $ "image" $generator.image)) -}}
{{- end -}}
CODE_GEN_SERVICE_URLS = {{ toJson $urls }}
CODE_GEN_IMAGES = {{ toJson $images }}
{{- /* ServiceX does not start without a scheme; this one finds nothing. */ -}}
{{- $schemes := include "servicex.on" .Values.didFinders | fromYaml | keys | sortAlpha | default (list "none") }}
VALID_DID_SCHEMES = {{ toJson $schemes }}
DID_FINDER_DEFAULT_SCHEME = {{ ternary "xrootd" (first $schemes) (has "xrootd" $schemes) | toJson }}
{{- range $name, $finder := include "servicex.on" .Values.didFinders | fromYaml }}
DID_{{ upper $name }}_FINDER_TAG = {{ $finder.image.tag | default $.Chart.AppVersion | toJson }}
{{- end }}
{{- end }}

{{- define "servicex.config.transformers" -}}
{{- $transformers := .Values.transformers -}}
TRANSFORMER_NAMESPACE = {{ include "servicex.transformers" . | toJson }}
TRANSFORMER_MANAGER_ENABLED = True
TRANSFORMER_MANAGER_MODE = "internal-kubernetes"
{{- with $transformers.cachePrefix }}
TRANSFORMER_CACHE_PREFIX = {{ toJson . }}
{{- end }}
TRANSFORMER_AUTOSCALE_ENABLED = {{ ternary "True" "False" $transformers.autoscaling.enabled }}
TRANSFORMER_CPU_LIMIT = {{ $transformers.cpuLimit | toJson }}
TRANSFORMER_CPU_SCALE_THRESHOLD = {{ int $transformers.autoscaling.cpuPercent }}
TRANSFORMER_MIN_REPLICAS = {{ int $transformers.autoscaling.min }}
TRANSFORMER_MAX_REPLICAS = {{ int $transformers.maxWorkers }}
TRANSFORMER_X509_SECRET = None
TRANSFORMER_VALIDATE_DOCKER_IMAGE = False
TRANSFORMER_SIDECAR_IMAGE = {{ include "casita.image" (dict "root" . "image" $transformers.sidecarImage) | toJson }}
TRANSFORMER_SIDECAR_PULL_POLICY = {{ .Values.global.imagePullPolicy | toJson }}
TRANSFORMER_SCIENCE_IMAGE_PULL_POLICY = {{ .Values.global.imagePullPolicy | toJson }}
TRANSFORMER_SIDECAR_VOLUME_PATH = "/servicex/output"
TRANSFORMER_PERSISTENCE_PROVIDED_CLAIM = ""
TRANSFORMER_PERSISTENCE_SUBDIR = ""
{{- with $transformers.priorityClassName }}
TRANSFORMER_PRIORITY_CLASS = {{ toJson . }}
{{- end }}
{{- if .Values.builtFromSource }}
TRANSFORMER_DEPLOYMENT_PATCH = json.loads(r'''{{ include "servicex.patch" . | fromYaml | toJson }}''')
{{- end }}
{{- end }}

{{/* What the front door is told (operator/casita/columns/settings.py). */}}
{{- define "servicex.settings" -}}
{{- $door := .Values.frontDoor -}}
{{- $transformers := .Values.transformers -}}
app: http://{{ include "servicex.host" (list . "app") }}:5000
issuer: {{ .Values.global.domain }}
sessionNamespaces: {{- toYaml .Values.global.sessions.namespaces | nindent 2 }}
database:
  host: {{ include "servicex.database.host" . }}
  port: {{ include "servicex.database.port" . }}
  name: {{ .Values.database.name }}
  user: {{ .Values.database.user }}
transformers:
  namespace: {{ include "servicex.transformers" . }}
  maxSeconds: {{ include "servicex.maxSeconds" . }}
  reapAfterSeconds: {{ int $transformers.reapAfterSeconds }}
  autoscaling: {{ $transformers.autoscaling.enabled }}
  imagePullSecrets: {{- toYaml .Values.global.imagePullSecrets | nindent 4 }}
{{- if not .Values.objectStore.external.endpoint }}
objectStore: http://{{ include "servicex.store.endpoint" . }}
{{- end }}
codeGenerators: {{- include "servicex.on" .Values.codeGenerators | fromYaml | keys | sortAlpha | toYaml | nindent 2 }}
images: {{- include "servicex.allowedImages" . | nindent 2 }}
limits:
  requestBytes: {{ int $door.requestBytes }}
  files: {{ int $door.maxFiles }}
  workers: {{ int $transformers.maxWorkers }}
accessSeconds: {{ int $door.accessTokenSeconds }}
{{- end }}

{{/* The code generators' own science images, and further ones of the site. */}}
{{- define "servicex.allowedImages" -}}
{{- $images := list -}}
{{- range $name, $generator := include "servicex.on" .Values.codeGenerators | fromYaml -}}
{{- $image := include "casita.image" (dict "root" $ "image" $generator.scienceImage) -}}
{{- /* ServiceX keeps it with each request, in a column of this width. */ -}}
{{- if gt (len $image) 128 -}}
{{- fail (printf "servicex.codeGenerators.%s.scienceImage is %s: ServiceX takes 128 characters at most; leave out tag or digest." $name $image) -}}
{{- end -}}
{{- $images = append $images $image -}}
{{- end -}}
{{ concat $images .Values.frontDoor.allowedImages | uniq | toYaml }}
{{- end }}

{{- define "servicex.rucioConfig" -}}
{{- $rucio := .Values.didFinders.rucio -}}
[client]
rucio_host = {{ $rucio.host }}
auth_host = {{ $rucio.authHost }}
auth_type = x509_proxy
ca_cert = {{ ternary "/etc/ssl/certs/ca-certificates.crt" "/etc/pki/tls/certs/ca-bundle.crt" .Values.builtFromSource }}
account = {{ $rucio.account }}
client_x509_proxy = $X509_USER_PROXY
request_retries = 3

[policy]
permission = {{ $rucio.experiment }}
schema = {{ $rucio.experiment }}
lfn2pfn_algorithm_default = hash
{{- end }}
