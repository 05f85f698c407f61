{{/* Where the parts find database, broker and object store: the chart's own, or the site's. */}}

{{- define "servicex.database.host" -}}
{{ .Values.database.external.host | default (include "servicex.host" (list . "database")) }}
{{- end }}
{{- define "servicex.database.port" -}}
{{ ternary .Values.database.external.port 5432 (ne .Values.database.external.host "") | int }}
{{- end }}
{{- define "servicex.database.secret" -}}
{{ .Values.database.external.existingSecret | default (include "casita.servicex.secret" .) }}
{{- end }}
{{- define "servicex.database.key" -}}
{{ ternary "password" "postgres-password" (ne .Values.database.external.host "") }}
{{- end }}

{{- define "servicex.broker.host" -}}
{{ .Values.broker.external.host | default (include "servicex.host" (list . "broker")) }}
{{- end }}
{{- define "servicex.broker.port" -}}
{{ ternary .Values.broker.external.port 5672 (ne .Values.broker.external.host "") | int }}
{{- end }}
{{- define "servicex.broker.secret" -}}
{{ .Values.broker.external.existingSecret | default (include "casita.servicex.secret" .) }}
{{- end }}
{{- define "servicex.broker.key" -}}
{{ ternary "password" "rabbitmq-password" (ne .Values.broker.external.host "") }}
{{- end }}
{{/* The broker's password, and after it the address that has it. Call with a list: root, name of
     the variable, query. */}}
{{- define "servicex.broker.env" -}}
{{- $root := first . -}}
{{ include "servicex.secretEnv" (list "BROKER_PASSWORD" (include "servicex.broker.secret" $root) (include "servicex.broker.key" $root)) }}
{{ include "servicex.broker.url" . }}
{{- end }}
{{- define "servicex.broker.url" -}}
{{- $root := first . -}}
- name: {{ index . 1 }}
  value: amqp://{{ $root.Values.broker.user }}:$(BROKER_PASSWORD)@{{ include "servicex.broker.host" $root }}:{{ include "servicex.broker.port" $root }}/{{ $root.Values.broker.virtualHost | urlquery }}{{ last . }}
{{- end }}

{{/* host:port of the object store, for the parts of ServiceX and for sessions. */}}
{{- define "servicex.store.endpoint" -}}
{{ .Values.objectStore.external.endpoint | default (printf "%s:9000" (include "servicex.host" (list . "store"))) }}
{{- end }}
{{- define "servicex.store.publicEndpoint" -}}
{{ .Values.objectStore.publicEndpoint | default (include "servicex.store.endpoint" .) }}
{{- end }}
{{- define "servicex.store.secure" -}}
{{ ternary "True" "False" (and (ne .Values.objectStore.external.endpoint "") .Values.objectStore.external.secure) }}
{{- end }}
{{- define "servicex.store.secret" -}}
{{ .Values.objectStore.external.existingSecret | default (include "casita.servicex.secret" .) }}
{{- end }}
{{/* Key of the Secret. Call with a list: root, access-key or secret-key. */}}
{{- define "servicex.store.key" -}}
{{ ternary (last .) (printf "object-store-%s" (last .)) (ne (first .).Values.objectStore.external.endpoint "") }}
{{- end }}
