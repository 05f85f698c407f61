{{/* The pods of the chart's own database, broker and object store. */}}

{{/* What all three have. Call with a list: root, part, values of the part. */}}
{{- define "servicex.store.rest" -}}
{{- $root := first . -}}
resources: {{- toYaml (last .).resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" $root | nindent 2 }}
{{- end }}
{{- define "servicex.store.claim" -}}
- name: data
  persistentVolumeClaim:
    claimName: {{ (last .).storage.existingClaim | default (include "servicex.part" (list (first .) (index . 1))) }}
- {name: tmp, emptyDir: {}}
{{- end }}

{{- define "servicex.database.pod" -}}
{{- $all := list . "database" .Values.database -}}
automountServiceAccountToken: false
{{ include "servicex.pod" . }}
containers:
  - name: postgresql
    {{- include "servicex.image" (list . .Values.database.image) | nindent 4 }}
    env:
      - {name: POSTGRES_USER, value: {{ .Values.database.user }}}
      - {name: POSTGRES_DB, value: {{ .Values.database.name }}}
      - {name: POSTGRES_PASSWORD_FILE, value: /etc/postgresql-password/password}
    ports:
      - {name: postgresql, containerPort: 5432}
    startupProbe: {tcpSocket: {port: postgresql}, periodSeconds: 2, failureThreshold: 90}
    readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1, -q]}, periodSeconds: 10, timeoutSeconds: 5}
    livenessProbe: {tcpSocket: {port: postgresql}, periodSeconds: 20, timeoutSeconds: 5}
    {{- include "servicex.store.rest" $all | nindent 4 }}
    volumeMounts:
      - {name: data, mountPath: /var/lib/postgresql}
      - {name: password, mountPath: /etc/postgresql-password, readOnly: true}
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: password
    secret:
      secretName: {{ include "casita.servicex.secret" . }}
      defaultMode: 0440
      items: [{key: postgres-password, path: password}]
  {{- include "servicex.store.claim" $all | nindent 2 }}
{{- end }}

{{- define "servicex.broker.pod" -}}
{{- $all := list . "broker" .Values.broker -}}
automountServiceAccountToken: false
{{ include "servicex.pod" . }}
# Its node's name, by which it finds its queues again.
hostname: broker
containers:
  - name: rabbitmq
    {{- include "servicex.image" (list . .Values.broker.image) | nindent 4 }}
    env:
      - {name: RABBITMQ_DEFAULT_USER, value: {{ .Values.broker.user }}}
      - {name: RABBITMQ_DEFAULT_PASS_FILE, value: /etc/rabbitmq-password/password}
    ports:
      - {name: amqp, containerPort: 5672}
    startupProbe: {tcpSocket: {port: amqp}, periodSeconds: 3, failureThreshold: 100}
    readinessProbe: {tcpSocket: {port: amqp}, periodSeconds: 10, timeoutSeconds: 5}
    livenessProbe: {tcpSocket: {port: amqp}, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 6}
    {{- include "servicex.store.rest" $all | nindent 4 }}
    volumeMounts:
      - {name: data, mountPath: /var/lib/rabbitmq}
      - {name: password, mountPath: /etc/rabbitmq-password, readOnly: true}
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: password
    secret:
      secretName: {{ include "casita.servicex.secret" . }}
      defaultMode: 0440
      items: [{key: rabbitmq-password, path: password}]
  {{- include "servicex.store.claim" $all | nindent 2 }}
{{- end }}

{{- define "servicex.store.pod" -}}
{{- $store := .Values.objectStore -}}
{{- $secret := include "casita.servicex.secret" . -}}
{{- $all := list . "store" $store -}}
automountServiceAccountToken: false
{{ include "servicex.pod" . }}
initContainers:
  # Runs beside the store: deletes what is too old, and the oldest of what is too much.
  - name: shelf
    {{- include "servicex.ownImage" (list . .Values.frontDoor.image) | nindent 4 }}
    command: [/usr/bin/tini, --, python3, -m, casita.columns.shelf]
    args:
      - --folder=/data/buckets
      - --max-age-seconds={{ mul 86400 (int $store.keepDays) }}
      - --max-bytes={{ mul 1073741824 (int $store.keepGiB) }}
    restartPolicy: Always
    resources:
      requests: {cpu: 5m, memory: 32Mi}
      limits: {memory: 128Mi}
    securityContext: {{- include "casita.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: data, mountPath: /data}
containers:
  - name: object-store
    {{- include "servicex.image" (list . $store.image) | nindent 4 }}
    env:
      {{- include "servicex.secretEnv" (list "ROOT_ACCESS_KEY" $secret "object-store-access-key") | nindent 6 }}
      {{- include "servicex.secretEnv" (list "ROOT_SECRET_KEY" $secret "object-store-secret-key") | nindent 6 }}
    ports:
      - {name: s3, containerPort: 9000}
    startupProbe: {tcpSocket: {port: s3}, periodSeconds: 2, failureThreshold: 60}
    readinessProbe: {tcpSocket: {port: s3}, periodSeconds: 10, timeoutSeconds: 5}
    livenessProbe: {tcpSocket: {port: s3}, periodSeconds: 20, timeoutSeconds: 5}
    {{- include "servicex.store.rest" $all | nindent 4 }}
    volumeMounts:
      - {name: data, mountPath: /data}
      - {name: accounts, mountPath: /accounts}
      - {name: tmp, mountPath: /tmp}
volumes:
  # Users' keys, which the front door makes anew when they are gone.
  - {name: accounts, emptyDir: {medium: Memory, sizeLimit: 64Mi}}
  {{- include "servicex.store.claim" $all | nindent 2 }}
{{- end }}
