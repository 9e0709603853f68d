{{/*
One DaemonSet of agents: (list . "plain") for nodes without GPUs, (list . "gpu") for those with.
Two, because a runtime class keeps a pod from every node that lacks it.
*/}}
{{- define "carbonaware.agent.daemonset" -}}
{{- $root := index . 0 -}}
{{- $nodes := index . 1 -}}
{{- $gpu := eq $nodes "gpu" -}}
{{- $labels := include "carbonaware.labels" (list $root "agent") -}}
{{- with $root.Values.agent -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ include "carbonaware.agent.name" $root }}{{ $gpu | ternary "-gpu" "" }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "carbonaware.selector" (list $root "agent") | nindent 6 }}
      carbonaware.io/nodes: {{ $nodes }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: {{ .maxUnavailable }}
  template:
    metadata:
      labels:
        {{- $labels | nindent 8 }}
        carbonaware.io/nodes: {{ $nodes }}
        {{- with .podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "carbonaware.agent.pod" (list $root $gpu) | nindent 6 }}
      {{- include "carbonaware.agent.placement" (list $root $gpu) | nindent 6 }}
{{- end }}
{{- end }}

{{- define "carbonaware.agent.pod" -}}
{{- $root := index . 0 -}}
{{- $gpu := index . 1 -}}
{{- with $root.Values.agent -}}
serviceAccountName: {{ include "carbonaware.agent.account" $root | quote }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- if $gpu }}
{{- with .gpu.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
hostPID: {{ .gpu.hostPID }}
{{- end }}
securityContext:
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: agent
    image: {{ include "carbonaware.image" (list $root "agent" .image) | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    command: [carbonaware-agent]
    {{- include "carbonaware.agent.settings" (list $root $gpu) | nindent 4 }}
    ports:
      - name: metrics
        containerPort: 9102
    livenessProbe:
      httpGet:
        path: /healthz
        port: metrics
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet:
        path: /readyz
        port: metrics
      periodSeconds: 5
      timeoutSeconds: 5
    resources:
      {{- toYaml .resources | nindent 6 }}
    securityContext:
      runAsUser: 0 # energy counters are readable by root alone
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: {{ and $gpu .gpu.migMonitor }}
      capabilities:
        drop: [ALL]
        {{- if and $gpu .gpu.migMonitor }}
        add: [SYS_ADMIN] # NVIDIA's runtime asks for it with NVIDIA_MIG_MONITOR_DEVICES
        {{- end }}
    volumeMounts:
      - name: sys
        mountPath: /host/sys
        readOnly: true
      - name: state
        mountPath: /var/lib/carbonaware-agent
      - name: pod-resources
        mountPath: /host/var/lib/kubelet/pod-resources
        readOnly: true
      {{- if .settings.curvesConfigMap }}
      - name: curves
        mountPath: /etc/carbonaware/curves
        readOnly: true
      {{- end }}
volumes:
  - name: sys
    hostPath:
      path: /sys
      type: Directory
  - name: state
    hostPath:
      path: {{ .stateHostPath | quote }}
      type: DirectoryOrCreate
  - name: pod-resources # the folder, since kubelet makes a new socket when it starts
    hostPath:
      path: {{ printf "%s/pod-resources" .kubeletRootDir | quote }}
  {{- with .settings.curvesConfigMap }}
  - name: curves
    configMap:
      name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "carbonaware.agent.settings" -}}
{{- $root := index . 0 -}}
{{- $gpu := index . 1 -}}
{{- with $root.Values.agent -}}
args:
  - --listen={{ .listenAddress }}:9102
  - --host-root=/host
  - --accounting-period-seconds={{ $root.Values.accounting.periodSeconds }}
  - --tick-seconds={{ .settings.tickSeconds }}
  - --idle-policy={{ .settings.idlePolicy }}
  - --log-level={{ .settings.logLevel }}
  {{- with .settings.maxWatts }}
  - --max-watts={{ . }}
  {{- end }}
  {{- with .settings.idleWatts }}
  - --idle-watts={{ . }}
  {{- end }}
  {{- if .settings.curvesConfigMap }}
  - --curves=/etc/carbonaware/curves
  {{- end }}
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  - name: NODE_NAME
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  - name: NODE_IP # where kubelet is, whose list of pods stands in for the API server's
    valueFrom:
      fieldRef:
        fieldPath: status.hostIP
  {{- if $gpu }}
  - name: NVIDIA_VISIBLE_DEVICES
    value: all
  - name: NVIDIA_DRIVER_CAPABILITIES
    value: utility
  {{- if .gpu.migMonitor }}
  - name: NVIDIA_MIG_MONITOR_DEVICES
    value: all
  {{- end }}
  {{- end }}
  {{- with .extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "carbonaware.agent.placement" -}}
{{- $gpu := index . 1 -}}
{{- with (index . 0).Values.agent -}}
{{- $selector := $gpu | ternary (merge (dict) .gpu.nodeSelector .nodeSelector) .nodeSelector -}}
{{- $tolerations := $gpu | ternary (concat .tolerations .gpu.tolerations) .tolerations -}}
automountServiceAccountToken: true
{{- with $selector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and .gpu.enabled (not $gpu) }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: # a node that lacks one of the labels is no GPU node
        {{- range $key, $value := .gpu.nodeSelector }}
        - matchExpressions:
            - key: {{ $key | quote }}
              operator: NotIn
              values: [{{ $value | quote }}]
        {{- end }}
{{- end }}
{{- end }}
{{- end }}
