{{/* Where models come from. Call with a server's dict; exactly one kind is given
     (casita.validate.triton). */}}

{{/* As Triton takes it. In a mounted ConfigMap every name is a link, and beside them are folders of
     the kubelet's own, which would pass for models: so they are one folder below. */}}
{{- define "triton.repository.path" -}}
{{- .server.repository.objectStore.url | default "/repository/models" -}}
{{- end }}

{{/* Credentials of an object store: these keys, and no other that a Secret may have. */}}
{{- define "triton.repository.env" -}}
{{- with .server.repository.objectStore.existingSecret -}}
{{- $secret := . -}}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN" "AWS_DEFAULT_REGION" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ . }}, optional: {{ has . (list "AWS_SESSION_TOKEN" "AWS_DEFAULT_REGION") }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "triton.repository.mount" -}}
{{- $claim := .server.repository.claim -}}
{{- if $claim.name }}
- name: repository
  mountPath: /repository/models
  {{- with $claim.subPath }}
  subPath: {{ . }}
  {{- end }}
  readOnly: true
{{- else if .server.repository.configMap.name }}
- {name: repository, mountPath: /repository, readOnly: true}
{{- end }}
{{- end }}

{{- define "triton.repository.volume" -}}
{{- $repository := .server.repository -}}
{{- if $repository.claim.name }}
- name: repository
  persistentVolumeClaim: {claimName: {{ $repository.claim.name }}, readOnly: true}
{{- else if $repository.configMap.name }}
- name: repository
  configMap:
    name: {{ $repository.configMap.name }}
    items:
      {{- range $path, $key := $repository.configMap.files }}
      - {key: {{ $key }}, path: models/{{ $path }}}
      {{- end }}
{{- end }}
{{- end }}
