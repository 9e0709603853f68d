{{- /* Generated from carbonaware_operator.api.rights by `make generate`; do not edit. */}}

{{- define "carbonaware.rights.operator-cluster" -}}
# follow the zones
- apiGroups:
  - carbonaware.io
  resources:
  - carbonzones
  verbs:
  - list
  - watch
# say what the grid does
- apiGroups:
  - carbonaware.io
  resources:
  - carbonzones/status
  verbs:
  - patch
# wait until the API server serves them
- apiGroups:
  - apiextensions.k8s.io
  resources:
  - customresourcedefinitions
  verbs:
  - get
  resourceNames:
  - carbonawarejobs.carbonaware.io
  - carbonzones.carbonaware.io
# say whether the operator is guarded
- apiGroups:
  - admissionregistration.k8s.io
  resources:
  - validatingadmissionpolicies
  - validatingadmissionpolicybindings
  verbs:
  - get
  resourceNames:
  - carbonawarejobs.carbonaware.io
  - operator-jobs.carbonaware.io
{{- end }}

{{- define "carbonaware.rights.operator-jobs" -}}
# decide on jobs
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs
  verbs:
  - get
  - list
  - watch
# ttlAfterFinished
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs
  verbs:
  - delete
# say what was decided and used
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs/status
  verbs:
  - patch
# own a Job with blockOwnerDeletion
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs/finalizers
  verbs:
  - update
# release, suspend and resume
- apiGroups:
  - batch
  resources:
  - jobs
  verbs:
  - get
  - list
  - watch
  - create
  - patch
# tell a job's story
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
# say why a started job has no ready pod, or how it failed
- apiGroups:
  - ''
  resources:
  - pods
  verbs:
  - list
# say why a Job gets no pods, such as a quota on pods
- apiGroups:
  - ''
  resources:
  - events
  verbs:
  - list
{{- end }}

{{- define "carbonaware.rights.operator-own" -}}
# RBAC cannot name what is created
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - create
# lead alone
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - get
  - update
  resourceNames:
  - {{ include "carbonaware.operator.name" . }}
# recordings read, archives kept
- apiGroups:
  - ''
  resources:
  - configmaps
  verbs:
  - get
  - create
  - patch
# keys of providers; it uses labelled Secrets alone
- apiGroups:
  - ''
  resources:
  - secrets
  verbs:
  - get
# where the agents are
- apiGroups:
  - discovery.k8s.io
  resources:
  - endpointslices
  verbs:
  - list
{{- end }}

{{- define "carbonaware.rights.exporter" -}}
# the exporter's values
- apiGroups:
  - ''
  resources:
  - configmaps
  verbs:
  - get
  resourceNames:
  - {{ .Values.rbac.exporter.configMap | quote }}
{{- end }}

{{- define "carbonaware.rights.agent" -}}
# whose energy it is; its own node's by field selector
- apiGroups:
  - ''
  resources:
  - pods
  verbs:
  - list
  - watch
# what its node can allocate
- apiGroups:
  - ''
  resources:
  - nodes
  verbs:
  - get
# kubelet's list, while the API server cannot be asked
- apiGroups:
  - ''
  resources:
  - nodes/pods
  verbs:
  - get
{{- end }}

{{- define "carbonaware.rights.pre-delete-jobs" -}}
# take the settle finalizer off
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs
  verbs:
  - list
  - patch
{{- end }}

{{- define "carbonaware.rights.pre-delete-cluster" -}}
# remove the zones that came with a release
- apiGroups:
  - carbonaware.io
  resources:
  - carbonzones
  verbs:
  - list
  - delete
{{- end }}

{{- define "carbonaware.rights.pre-delete-own" -}}
# end the operator
- apiGroups:
  - apps
  resources:
  - deployments/scale
  verbs:
  - patch
  resourceNames:
  - {{ include "carbonaware.operator.name" . }}
# remove the archives of the grid
- apiGroups:
  - ''
  resources:
  - configmaps
  verbs:
  - list
  - delete
# RBAC cannot name what is created
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - create
# be sure that no operator acts
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - get
  - update
  - delete
  resourceNames:
  - {{ include "carbonaware.operator.name" . }}
{{- end }}

{{- define "carbonaware.rights.zones" -}}
# write what Helm 3 leaves out
- apiGroups:
  - carbonaware.io
  resources:
  - carbonzones
  verbs:
  - get
  - update
{{- end }}

{{- define "carbonaware.rights.helm-test" -}}
# apply a held job
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs
  verbs:
  - create
  - get
  - delete
# the policy asks this of who creates a CarbonAwareJob
- apiGroups:
  - batch
  resources:
  - jobs
  verbs:
  - create
{{- end }}

{{- define "carbonaware.rights.view" -}}
# see jobs
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs
  verbs:
  - get
  - list
  - watch
# see what jobs wait for
- apiGroups:
  - carbonaware.io
  resources:
  - carbonzones
  verbs:
  - get
  - list
  - watch
{{- end }}

{{- define "carbonaware.rights.edit" -}}
# change jobs
- apiGroups:
  - carbonaware.io
  resources:
  - carbonawarejobs
  verbs:
  - create
  - delete
  - deletecollection
  - patch
  - update
{{- end }}

{{- define "carbonaware.aggregate.view" -}}
rbac.authorization.k8s.io/aggregate-to-view: 'true'
rbac.authorization.k8s.io/aggregate-to-edit: 'true'
rbac.authorization.k8s.io/aggregate-to-admin: 'true'
{{- end }}

{{- define "carbonaware.aggregate.edit" -}}
rbac.authorization.k8s.io/aggregate-to-edit: 'true'
rbac.authorization.k8s.io/aggregate-to-admin: 'true'
{{- end }}
