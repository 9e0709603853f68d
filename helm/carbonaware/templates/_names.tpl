{{/* Names, labels and images that several templates share. */}}

{{- define "carbonaware.fullname" -}}
{{- /* A Service must have a DNS label for its name; a release may have dots in its own. */ -}}
{{- .Values.fullnameOverride | default .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "carbonaware.operator.name" -}}
{{ include "carbonaware.fullname" . }}-operator
{{- end }}

{{- define "carbonaware.agent.name" -}}
{{ include "carbonaware.fullname" . }}-agent
{{- end }}

{{- define "carbonaware.operator.account" -}}
{{- .Values.operator.serviceAccount.name | default (include "carbonaware.operator.name" .) -}}
{{- end }}

{{- define "carbonaware.agent.account" -}}
{{- .Values.agent.serviceAccount.name | default (include "carbonaware.agent.name" .) -}}
{{- end }}

{{/* What an object of a component is selected by: (list . "operator"). Never to be changed. */}}
{{- define "carbonaware.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Values.nameOverride | default $root.Chart.Name | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels of an object: (list . "operator"). */}}
{{- define "carbonaware.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{ include "carbonaware.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: carbonaware
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of a program: (list . "operator" .Values.operator.image). */}}
{{- define "carbonaware.image" -}}
{{- $root := index . 0 -}}
{{- $own := index . 2 -}}
{{- $name := $own.repository | default (printf "%s/%s" $root.Values.image.repository (index . 1)) -}}
{{- if $own.digest -}}
{{ $name }}@{{ $own.digest }}
{{- else -}}
{{ $name }}:{{ $own.tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Restricted Pod Security, for the pods that need nothing of the node. */}}
{{- define "carbonaware.restricted.pod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "carbonaware.restricted.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The namespaces in which the operator looks after jobs; the release's stands for all. */}}
{{- define "carbonaware.test.namespace" -}}
{{- first (append .Values.rbac.namespaces .Release.Namespace) -}}
{{- end }}

{{- define "carbonaware.subject" -}}
subjects:
  - kind: ServiceAccount
    name: {{ index . 1 | quote }}
    namespace: {{ (index . 0).Release.Namespace | quote }}
{{- end }}

{{/* A namespace in which the notes may show a job. */}}
{{- define "carbonaware.job.namespace" -}}
{{- first (append .Values.rbac.namespaces "default") -}}
{{- end }}
