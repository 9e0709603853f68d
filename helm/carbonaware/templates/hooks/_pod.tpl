{{/*
The pod of a hook: (list . "component" "account" (list "module" "--flag" ...)). It runs a module of
the operator's image, so that no other image is needed.
*/}}
{{- define "carbonaware.hook.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ index . 2 | quote }}
restartPolicy: Never
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "carbonaware.restricted.pod" $root | nindent 2 }}
containers:
  - name: {{ index . 1 }}
    image: {{ include "carbonaware.image" (list $root "operator" $root.Values.operator.image) | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    command: [python3, -m]
    args:
      {{- toYaml (index . 3) | nindent 6 }}
    resources:
      {{- toYaml $root.Values.operator.resources | nindent 6 }}
    securityContext:
      {{- include "carbonaware.restricted.container" $root | nindent 6 }}
{{- with $root.Values.operator.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.operator.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* ServiceAccount and bindings of a hook, which exist while it runs: a dict of name, component,
hook, and of rights by place: cluster (nothing else), own and jobs (namespaces). */}}
{{- define "carbonaware.hook.metadata" -}}
labels:
  {{- include "carbonaware.labels" (list .root .component) | nindent 2 }}
annotations:
  helm.sh/hook: {{ .hook }}
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
{{- end }}

{{/* A Role or ClusterRole of a hook and its binding: a dict of root, name, component, hook,
namespace (empty for a ClusterRole) and rights. */}}
{{- define "carbonaware.hook.role" -}}
{{- $kind := empty .namespace | ternary "ClusterRole" "Role" -}}
{{- $metadata := include "carbonaware.hook.metadata" (merge (dict "weight" "-10") .) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  {{- $metadata | nindent 2 }}
rules:
  {{- range .rights }}
  {{- include (printf "carbonaware.rights.%s" .) $.root | nindent 2 }}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  {{- $metadata | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name | quote }}
{{ include "carbonaware.subject" (list .root .account) }}
{{- end }}

{{- define "carbonaware.hook.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .account }}
  namespace: {{ .root.Release.Namespace | quote }}
  {{- include "carbonaware.hook.metadata" (merge (dict "weight" "-20") .) | nindent 2 }}
{{- end }}
