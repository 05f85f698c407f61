{{/* The pod of a code generator. Call with a dict: root, name, generator. */}}
{{- define "servicex.code.pod" -}}
{{- $root := .root -}}
automountServiceAccountToken: false
{{ include "servicex.pod" $root }}
containers:
  - name: code-generator
    {{- include "servicex.image" (list $root .generator.image) | nindent 4 }}
    {{- if $root.Values.builtFromSource }}
    args: [codegen, {{ .name }}]
    {{- end }}
    env:
      - {name: INSTANCE_NAME, value: {{ $root.Release.Name }}}
      - {name: WEB_CONCURRENCY, value: "1"}
      - {name: TRANSFORMER_SCIENCE_IMAGE, value: {{ include "casita.image" (dict "root" $root "image" .generator.scienceImage) | quote }}}
    ports:
      - {name: http, containerPort: 5000}
    startupProbe: {tcpSocket: {port: http}, periodSeconds: 3, failureThreshold: 60}
    readinessProbe: {tcpSocket: {port: http}, periodSeconds: 10, timeoutSeconds: 5}
    livenessProbe: {tcpSocket: {port: http}, periodSeconds: 20, timeoutSeconds: 5}
    resources: {{- toYaml .generator.resources | nindent 6 }}
    securityContext: {{- include "casita.containerSecurity" $root | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: tmp, emptyDir: {}}
{{- end }}
