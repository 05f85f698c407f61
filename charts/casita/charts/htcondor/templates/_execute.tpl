{{/* The token is root's alone; jobs run as other accounts. */}}
{{- define "htcondor.execute.deliver" -}}
{{ include "htcondor.deliver" (dict "root" . "image" .Values.execute.image "target" "/run/casita/tokens" "files" (list "token")) }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: token, mountPath: /secrets, readOnly: true}
  - {name: tokens, mountPath: /run/casita}
{{- end }}

{{- define "htcondor.execute.container" -}}
{{ include "htcondor.image" (dict "root" . "image" .Values.execute.image) }}
args: [start-condor]
ports:
  - {name: condor, containerPort: 9618}
{{ include "htcondor.probes" "startd" }}
resources: {{- toYaml .Values.execute.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  # To give a job's folder to its account, to run the job as it, and to end what it leaves behind.
  capabilities: {drop: [ALL], add: [CHOWN, DAC_OVERRIDE, SETUID, SETGID, KILL]}
volumeMounts:
  - {name: config, mountPath: /etc/casita/htcondor, readOnly: true}
  - {name: tokens, mountPath: /run/casita, readOnly: true}
  - {name: condor, mountPath: /var/lib/condor}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "htcondor.execute.volumes" -}}
- name: config
  configMap:
    name: {{ include "htcondor.name.execute" . }}
- name: token
  secret:
    secretName: {{ include "casita.batch.epTokenSecret" . }}
    defaultMode: 0400
    items: [{key: token, path: token}]
- name: tokens
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
# Jobs' files: no memory volume.
- name: condor
  emptyDir: {sizeLimit: {{ int .Values.execute.diskMiB }}Mi}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end }}
