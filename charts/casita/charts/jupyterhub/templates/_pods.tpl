{{- define "jupyterhub.hub.pod" -}}
{{- $hub := .Values.hub -}}
serviceAccountName: {{ include "jupyterhub.name.hub" . }}
automountServiceAccountToken: true
enableServiceLinks: false
terminationGracePeriodSeconds: 10
securityContext:
  {{- include "casita.podSecurity" . | nindent 2 }}
  fsGroupChangePolicy: OnRootMismatch
{{- include "casita.imagePullSecrets" . }}
{{- include "casita.placement" $hub }}
containers:
  - name: hub
    image: {{ include "casita.image" (dict "root" . "image" $hub.image) }}
    imagePullPolicy: {{ .Values.global.imagePullPolicy }}
    args: [--config=/etc/jupyterhub/jupyterhub_config.py]
    env:
      {{- range $name, $key := dict "CONFIGPROXY_AUTH_TOKEN" "proxy-token" "JUPYTERHUB_CRYPT_KEY" "crypt-key" "JPY_COOKIE_SECRET" "cookie-secret" }}
      - name: {{ $name }}
        valueFrom: {secretKeyRef: {name: {{ include "casita.hub.secret" $ }}, key: {{ $key }}}}
      {{- end }}
      {{- if include "casita.mlflow.own" . }}
      - name: JUPYTERHUB_SERVICE_TOKEN_MLFLOW
        valueFrom: {secretKeyRef: {name: {{ include "casita.hub.secret" . }}, key: mlflow-token}}
      {{- end }}
      {{- if $hub.authorityConfigMap }}
      - {name: SSL_CERT_FILE, value: /etc/casita/authority/ca.crt}
      {{- end }}
    {{- with $hub.existingSecret }}
    envFrom:
      - secretRef: {name: {{ . }}}
    {{- end }}
    ports:
      - {name: hub, containerPort: 8081}
      - {name: status, containerPort: 8082}
      - {name: metrics, containerPort: 8083}
    readinessProbe:
      httpGet: {path: /hub/health, port: hub}
      periodSeconds: 2
      timeoutSeconds: 5
    livenessProbe:
      httpGet: {path: /hub/health, port: hub}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 12
    resources: {{- toYaml $hub.resources | nindent 6 }}
    securityContext: {{- include "casita.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: config, mountPath: /etc/jupyterhub, readOnly: true}
      - {name: site, mountPath: /etc/casita/site, readOnly: true}
      {{- if $hub.authorityConfigMap }}
      - {name: authority, mountPath: /etc/casita/authority, readOnly: true}
      {{- end }}
      - {name: database, mountPath: /srv/jupyterhub}
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: config, configMap: {name: {{ include "jupyterhub.name.hub" . }}}}
  - {name: site, configMap: {name: {{ include "jupyterhub.name.hub" . }}-site}}
  - {name: tmp, emptyDir: {}}
  {{- with $hub.authorityConfigMap }}
  - {name: authority, configMap: {name: {{ . }}}}
  {{- end }}
  - name: database
    {{- if eq $hub.db.type "sqlite-pvc" }}
    persistentVolumeClaim: {claimName: {{ include "jupyterhub.name.database" . }}}
    {{- else }}
    emptyDir: {}
    {{- end }}
{{- end }}

{{- define "jupyterhub.proxy.pod" -}}
{{- $proxy := .Values.proxy.chp -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 10
securityContext: {{- include "casita.podSecurity" . | nindent 2 }}
{{- include "casita.imagePullSecrets" . }}
{{- include "casita.placement" $proxy }}
containers:
  - name: proxy
    image: {{ include "casita.image" (dict "root" . "image" $proxy.image) }}
    imagePullPolicy: {{ .Values.global.imagePullPolicy }}
    args:
      - --ip=0.0.0.0
      - --port=8000
      - --api-ip=0.0.0.0
      - --api-port=8001
      - --default-target={{ include "jupyterhub.hubUrl" . }}
      - --error-target={{ include "jupyterhub.hubUrl" . }}/hub/error
      - --log-level=info
    env:
      - name: CONFIGPROXY_AUTH_TOKEN
        valueFrom: {secretKeyRef: {name: {{ include "casita.hub.secret" . }}, key: proxy-token}}
    ports:
      - {name: http, containerPort: 8000}
      - {name: api, containerPort: 8001}
    readinessProbe:
      httpGet: {path: /_chp_healthz, port: http}
      periodSeconds: 2
    livenessProbe:
      httpGet: {path: /_chp_healthz, port: http}
      periodSeconds: 10
      failureThreshold: 6
    resources: {{- toYaml $proxy.resources | nindent 6 }}
    securityContext: {{- include "casita.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: tmp, emptyDir: {}}
{{- end }}
