{{/* One ServiceMonitor or PodMonitor: (list . "ServiceMonitor" "operator" values). */}}
{{- define "carbonaware.monitor" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $component := index . 2 -}}
{{- $values := index . 3 -}}
apiVersion: monitoring.coreos.com/v1
kind: {{ $kind }}
metadata:
  name: {{ include "carbonaware.fullname" $root }}-{{ $component }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "carbonaware.labels" (list $root $component) | nindent 4 }}
    {{- with $values.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "carbonaware.selector" (list $root $component) | nindent 6 }}
  {{ eq $kind "ServiceMonitor" | ternary "endpoints" "podMetricsEndpoints" }}:
    - port: metrics
      path: /metrics
      interval: {{ $values.interval }}
      honorLabels: true # `namespace` and `pod` are those of the jobs, not of the target
      {{- if eq $component "agent" }}
      relabelings:
        - sourceLabels: [__meta_kubernetes_pod_node_name]
          targetLabel: node
      {{- end }}
{{- end }}
