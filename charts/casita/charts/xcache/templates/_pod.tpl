{{- define "xcache.image" -}}
image: {{ include "casita.image" (dict "root" . "image" .Values.image) }}
imagePullPolicy: {{ .Values.global.imagePullPolicy }}
{{- end }}

{{/* Brings keys and certificates to where XRootD takes them: it refuses a file that its group may
     read, as those of a Secret are. */}}
{{- define "xcache.deliver" -}}
{{ include "xcache.image" . }}
command: [/usr/bin/tini, --, python3, -m, casita.access.deliver]
args: [--from=/secrets, --to={{ include "xcache.keys" . }}, --follow, --ready=/run/casita/delivered]
restartPolicy: Always
startupProbe:
  exec: {command: [test, -e, /run/casita/delivered]}
  periodSeconds: 1
  failureThreshold: 120
resources:
  requests: {cpu: 5m, memory: 24Mi}
  limits: {memory: 64Mi}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: secrets, mountPath: /secrets, readOnly: true}
  - {name: keys, mountPath: /run/casita}
{{- end }}

{{- define "xcache.container" -}}
{{- $probe := list "python3" "-m" "casita.xcache" "probe" (printf "--port=%d" (int .Values.global.cache.port)) -}}
{{ include "xcache.image" . }}
args:
  - serve
  - --config=/etc/casita/xcache/xrootd.cfg
  - --folder=/cache/files
  - --key={{ include "xcache.keys" . }}/macaroon-key
  - --key-copy=/run/xcache/macaroon.key
  {{- if .Values.origin.existingSecret }}
  - --watch={{ include "xcache.keys" . }}/origin-token
  {{- end }}
  {{- if .Values.origin.authorityConfigMap }}
  - --watch={{ include "xcache.originAuthority" . }}
  {{- end }}
env:
  # Seconds for which a connection to the origin that failed is not tried again.
  - {name: XRD_STREAMERRORWINDOW, value: "5"}
  - {name: X509_CERT_FILE, value: {{ include "xcache.originAuthority" . }}}
  {{- if .Values.origin.existingSecret }}
  - {name: BEARER_TOKEN_FILE, value: {{ include "xcache.keys" . }}/origin-token}
  {{- end }}
ports:
  - {name: xroot, containerPort: {{ int .Values.global.cache.port }}}
  {{- if .Values.https.enabled }}
  - {name: https, containerPort: 8443}
  {{- end }}
# Cached files can be read without the origin, so these ask the cache alone.
startupProbe:
  exec: {command: {{ append $probe "--tls" | toJson }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  exec: {command: {{ append $probe "--tls" | toJson }}}
  periodSeconds: 10
  timeoutSeconds: 5
livenessProbe:
  exec: {command: {{ $probe | toJson }}}
  periodSeconds: 20
  timeoutSeconds: 5
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/casita/xcache, readOnly: true}
  - {name: keys, mountPath: /run/casita, readOnly: true}
  - {name: own-key, mountPath: /run/xcache}
  - {name: files, mountPath: /cache}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.origin.authorityConfigMap }}
  - {name: origin-authority, mountPath: /etc/casita/origin-authority, readOnly: true}
  {{- end }}
{{- end }}

{{- define "xcache.metrics" -}}
{{- $tag := .Values.metrics.image.tag | default .Chart.Version -}}
{{- $image := merge (dict "tag" $tag) .Values.metrics.image -}}
image: {{ include "casita.image" (dict "root" . "image" $image) }}
imagePullPolicy: {{ .Values.global.imagePullPolicy }}
command: [/usr/bin/tini, --, python3, -m, casita.monitoring.xcache]
args: [--cache=/cache, "--origin={{ include "xcache.origin" . }}"]
ports:
  - {name: metrics, containerPort: 9100}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
resources: {{- toYaml .Values.metrics.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: files, mountPath: /cache, readOnly: true}
{{- end }}

{{- define "xcache.volumes" -}}
- name: config
  configMap:
    name: {{ include "xcache.name" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "casita.cache.keySecret" . }}
          items: [{key: key, path: macaroon-key}]
      - secret:
          name: {{ include "casita.cache.tlsSecret" . }}
          items:
            - {key: tls.crt, path: tls.crt}
            - {key: tls.key, path: tls.key}
            - {key: ca.pem, path: ca.pem}
      {{- with .Values.origin.existingSecret }}
      - secret:
          name: {{ . }}
          items: [{key: token, path: origin-token}]
      {{- end }}
- name: keys
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: own-key
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: files
  persistentVolumeClaim:
    claimName: {{ include "xcache.name.files" . }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.origin.authorityConfigMap }}
- name: origin-authority
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}
