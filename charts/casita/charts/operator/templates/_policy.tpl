{{/* Variables of the maker's policy. */}}
{{- define "operator.policy.makerVariables" -}}
# The old and the new user, should the schema ever let them differ.
- name: users
  expression: >-
    (request.operation == 'CREATE' ? [] : [oldObject.spec.user]) +
    (request.operation == 'DELETE' || (request.operation == 'UPDATE' &&
    object.spec.user == oldObject.spec.user) ? [] : [object.spec.user])
- name: sameSpec
  expression: request.operation == 'UPDATE' && object.spec == oldObject.spec
# Namespace controller and garbage collector remove sessions and finalizers, whoever's they are.
# The operator keeps its own finalizer; that it does nothing more is for its own policy to say.
- name: housekeeping
  expression: >-
    ((request.userInfo.username == 'system:kube-controller-manager' ||
    'system:serviceaccounts:kube-system' in request.userInfo.groups) &&
    (request.operation == 'DELETE' || variables.sameSpec)) ||
    (request.userInfo.username == {{ include "operator.username" . | squote }} &&
    variables.sameSpec)
- name: profile
  expression: object.spec.?profile.orValue({{ .Values.defaultProfile | squote }})
# Only a new choice is asked about, so that a lost right never blocks stopping or deleting.
- name: sameProfile
  expression: >-
    request.operation == 'DELETE' || (request.operation == 'UPDATE' &&
    object.spec.?profile == oldObject.spec.?profile)
- name: rights
  expression: authorizer.group('casita.dev')
{{- end }}

{{/* A policy's binding to the namespaces of sessions. Call with a dict: root, name. */}}
{{- define "operator.policy.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "operator.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
  matchResources:
    {{- include "casita.network.sessionNamespaces" .root | nindent 4 }}
{{- end }}
