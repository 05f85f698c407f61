{{/* files/rules.yaml for this site, as YAML: groups of the parts that it has, without the alerts that
     it does not want. */}}
{{- define "monitoring.rules" -}}
{{- $parts := include "monitoring.parts" . | fromYaml -}}
{{- $groups := list -}}
{{- range (.Files.Get "files/rules.yaml" | fromYaml).groups -}}
{{- if get $parts .name -}}
{{- $rules := list -}}
{{- range .rules -}}
{{- if not (has .alert $.Values.rules.disabled) -}}
{{- $rules = append $rules (include "monitoring.rule" (dict "root" $ "rule" .) | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- $groups = append $groups (set . "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{ dict "groups" $groups | toYaml }}
{{- end }}

{{/* Not empty for the groups of parts that the site has. */}}
{{- define "monitoring.parts" -}}
{{- $gateway := .Values.global.gateway -}}
{{- $used := or (ne $gateway.routeApi "None") .Values.global.hub.enabled -}}
casita-operator: "yes"
# Who says how the gateway's pods are labelled has a gateway of their own.
casita-gateway: {{ and $used (not $gateway.podLabels) | ternary "yes" "" | quote }}
casita-hub: {{ .Values.global.hub.enabled | ternary "yes" "" | quote }}
casita-batch: {{ .Values.global.batch.enabled | ternary "yes" "" | quote }}
casita-data: {{ .Values.global.cache.enabled | ternary "yes" "" | quote }}
casita-cache: {{ include "casita.cache.own" . | quote }}
casita-inference: {{ include "casita.triton.own" . | quote }}
casita-tracking: {{ .Values.global.mlflow.enabled | ternary "yes" "" | quote }}
casita-columns: {{ .Values.global.servicex.enabled | ternary "yes" "" | quote }}
{{- end }}

{{/* A rule with the names of this release's Services, and the site's threshold at its end. Call with a
     dict: root, rule. */}}
{{- define "monitoring.rule" -}}
{{- $named := printf "${1}%s-" .root.Release.Name -}}
{{- $expression := regexReplaceAll "(service=~?\")casita-" .rule.expr $named -}}
{{- with get .root.Values.rules.thresholds (.rule.alert | default "") -}}
{{- $expression = regexReplaceAll "[0-9.]+$" $expression (toString .) -}}
{{- end -}}
{{ set (deepCopy .rule) "expr" $expression | toYaml }}
{{- end }}
