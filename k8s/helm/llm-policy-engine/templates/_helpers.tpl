{{/* The name of everything. */}}
{{- define "llm-policy-engine.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 43 | trimSuffix "-" -}}
{{- end -}}

{{- define "llm-policy-engine.serviceAccount" -}}
{{- default (include "llm-policy-engine.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Labels that pods are selected by. */}}
{{- define "llm-policy-engine.selector" -}}
app: {{ include "llm-policy-engine.name" . }}
{{- end -}}

{{/* Labels of pods: none that changes with the chart. */}}
{{- define "llm-policy-engine.podLabels" -}}
{{ include "llm-policy-engine.selector" . }}
app.kubernetes.io/name: llm-policy-engine
app.kubernetes.io/part-of: llm-devops
{{- end -}}

{{- define "llm-policy-engine.labels" -}}
{{ include "llm-policy-engine.podLabels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "llm-policy-engine.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "llm-policy-engine.workloadKind" -}}
{{ ternary "StatefulSet" "Deployment" .Values.durableLog.enabled }}
{{- end -}}
