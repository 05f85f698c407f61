{{- define "htcondor.accessPoint.deliver" -}}
{{- $files := keys (include "htcondor.keys" . | fromYaml) | sortAlpha -}}
{{ include "htcondor.deliver" (dict "root" . "image" .Values.image "target" "/run/casita/keys" "files" $files) }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: secrets, mountPath: /secrets, readOnly: true}
  - {name: keys, mountPath: /run/casita}
{{- end }}

{{- define "htcondor.accessPoint.container" -}}
{{ include "htcondor.image" (dict "root" . "image" .Values.image) }}
args: [start-condor]
ports:
  - {name: condor, containerPort: 9618}
{{ include "htcondor.probes" "schedd" }}
resources: {{- toYaml .Values.accessPoint.resources | nindent 2 }}
securityContext: {{- include "casita.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/casita/htcondor, readOnly: true}
  # Whoever could add a key could be anybody.
  - {name: keys, mountPath: /run/casita, readOnly: true}
  - {name: condor, mountPath: /var/lib/condor}
  - {name: spool, mountPath: /var/lib/condor/spool}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "htcondor.accessPoint.volumes" -}}
- name: config
  configMap:
    name: {{ include "htcondor.name.accessPoint" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $id, $secret := include "htcondor.keys" . | fromYaml }}
      - secret:
          name: {{ $secret }}
          items: [{key: key, path: {{ $id }}}]
      {{- end }}
- name: keys
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: condor
  emptyDir: {sizeLimit: 1Gi}
- name: spool
  persistentVolumeClaim:
    claimName: {{ include "htcondor.name.spool" . }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end }}
