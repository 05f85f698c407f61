{{/* The pod of a DID finder. Call with a dict: root, name, finder. */}}
{{- define "servicex.finder.pod" -}}
{{- $root := .root -}}
{{- $probe := include "servicex.finder.probe" $root -}}
automountServiceAccountToken: false
{{ include "servicex.pod" $root }}
containers:
  - name: did-finder
    {{- include "servicex.image" (list $root .finder.image) | nindent 4 }}
    {{- if $root.Values.builtFromSource }}
    args: [did-finder, {{ .name }}]
    {{- end }}
    env:
      - {name: INSTANCE_NAME, value: {{ $root.Release.Name }}}
      {{- include "servicex.broker.env" (list $root "BROKER_URL" "?heartbeat=9000") | nindent 6 }}
      {{- if eq .name "rucio" }}
      {{- include "servicex.rucio.env" $root | nindent 6 }}
      {{- end }}
    startupProbe: {exec: {command: {{ $probe }}}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 60}
    readinessProbe: {exec: {command: {{ $probe }}}, periodSeconds: 30, timeoutSeconds: 5}
    livenessProbe: {exec: {command: {{ $probe }}}, periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 10}
    resources: {{- toYaml .finder.resources | nindent 6 }}
    securityContext: {{- include "casita.containerSecurity" $root | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- if eq .name "rucio" }}
      - {name: rucio, mountPath: {{ ternary "/etc/rucio/etc" "/opt/rucio/etc" $root.Values.builtFromSource }}, readOnly: true}
      - {name: proxy, mountPath: /etc/grid-security-ro, readOnly: true}
      {{- end }}
volumes:
  - {name: tmp, emptyDir: {}}
  {{- if eq .name "rucio" }}
  - {name: rucio, configMap: {name: {{ include "servicex.part" (list $root "did-rucio") }}}}
  - {name: proxy, secret: {secretName: {{ .finder.existingSecret }}, defaultMode: 0440}}
  {{- end }}
{{- end }}

{{/* A finder has no port: it lives while its connection to the broker stands. */}}
{{- define "servicex.finder.probe" -}}
{{- $port := include "servicex.broker.port" . -}}
{{- if .Values.builtFromSource -}}
{{ list "servicex" "connected" $port | toJson }}
{{- else -}}
{{ list "grep" "-q" (printf ":%04X 01" (int $port)) "/proc/net/tcp" | toJson }}
{{- end -}}
{{- end }}

{{- define "servicex.rucio.env" -}}
{{- $rucio := .Values.didFinders.rucio -}}
- {name: RUCIO_LATITUDE, value: {{ $rucio.latitude | quote }}}
- {name: RUCIO_LONGITUDE, value: {{ $rucio.longitude | quote }}}
{{- if .Values.builtFromSource }}
- {name: RUCIO_HOME, value: /etc/rucio}
- {name: X509_USER_PROXY, value: /etc/grid-security-ro/x509up}
{{- end }}
{{- end }}
