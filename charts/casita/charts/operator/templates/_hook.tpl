{{/* When a hook's object is made and removed. Call with its place in the order. */}}
{{- define "operator.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
{{ include "operator.hook.order" . }}
{{- end }}
{{- define "operator.uninstallHook" -}}
helm.sh/hook: pre-delete
{{ include "operator.hook.order" . }}
{{- end }}
{{- define "operator.hook.order" -}}
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "operator.prepare.args" -}}
- prepare
- --namespace={{ .Release.Namespace }}
- --route-api={{ .Values.global.gateway.routeApi }}
{{- include "operator.generatedSecrets" . }}
{{- end }}
{{- define "operator.stop.args" -}}
- stop-sessions
- --seconds=240
{{- range .Values.global.sessions.namespaces }}
- --namespace={{ . }}
{{- end }}
{{- end }}

{{/* The pod of a hook's Job. Call with a dict: root, account, container, args (a YAML list). */}}
{{- define "operator.hook.pod" -}}
restartPolicy: Never
serviceAccountName: {{ .account }}
automountServiceAccountToken: true
enableServiceLinks: false
securityContext: {{- include "casita.podSecurity" .root | nindent 2 }}
{{- include "casita.imagePullSecrets" .root }}
{{- include "casita.placement" .root.Values }}
containers:
  - name: {{ .container }}
    image: {{ include "operator.image" .root }}
    imagePullPolicy: {{ .root.Values.global.imagePullPolicy }}
    args: {{- .args | nindent 6 }}
    resources: {{- toYaml .root.Values.resources | nindent 6 }}
    securityContext: {{- include "casita.containerSecurity" .root | nindent 6 }}
{{- end }}
