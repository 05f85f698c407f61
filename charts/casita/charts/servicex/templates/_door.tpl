{{/* The pod of the front door. */}}
{{- define "servicex.door.pod" -}}
{{- $door := .Values.frontDoor -}}
serviceAccountName: {{ include "servicex.name" . }}
automountServiceAccountToken: true
{{ include "servicex.pod" . }}
containers:
  - name: front-door
    {{- include "servicex.ownImage" (list . $door.image) | nindent 4 }}
    command: [/usr/bin/tini, --, python3, -m, casita.columns]
    args:
      - --settings=/etc/casita/columns/columns.yaml
      - --secrets=/etc/casita/secrets
      - --log-level={{ $door.logLevel }}
    ports:
      - {name: http, containerPort: 5000}
      - {name: metrics, containerPort: 9100}
    startupProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 2
      failureThreshold: 60
    readinessProbe:
      httpGet: {path: /readyz, port: metrics}
      periodSeconds: 10
      timeoutSeconds: 5
    livenessProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 20
      timeoutSeconds: 5
    resources: {{- toYaml $door.resources | nindent 6 }}
    securityContext: {{- include "casita.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: settings, mountPath: /etc/casita/columns, readOnly: true}
      - {name: secrets, mountPath: /etc/casita/secrets, readOnly: true}
volumes:
  - {name: settings, configMap: {name: {{ include "servicex.name" . }}}}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        - secret:
            name: {{ include "casita.servicex.secret" . }}
            items: [{key: jwt-secret-key, path: jwt-secret-key}]
        - secret:
            name: {{ include "servicex.database.secret" . }}
            items: [{key: {{ include "servicex.database.key" . }}, path: postgres-password}]
        {{- if not .Values.objectStore.external.endpoint }}
        - secret:
            name: {{ include "casita.servicex.secret" . }}
            items:
              - {key: object-store-access-key, path: object-store-access-key}
              - {key: object-store-secret-key, path: object-store-secret-key}
        {{- end }}
{{- end }}
