{{- define "modelport.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) -}}{{- $name = printf "%s-%s" $name .Chart.Name -}}{{- end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "modelport.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "modelport.labels" -}}
{{ include "modelport.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: modelport
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* Of the number of a shard and how many there are: what its Deployment and its Lease are called beyond the full name.
       The operator makes the Lease's name of --shard in the same way. */ -}}
{{- define "modelport.suffix" -}}
{{- if gt (int (last .)) 1 -}}-shard-{{ first . }}-of-{{ last . }}{{- end -}}
{{- end -}}

{{- /* The label that tells the pods of one shard from those of the others. */ -}}
{{- define "modelport.shard" -}}
{{- if gt (int (last .)) 1 -}}
modelport.io/shard: {{ first . }}-of-{{ last . }}
{{- end -}}
{{- end -}}

{{- define "modelport.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "modelport.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* The settings file, as the operator reads it. */ -}}
{{- define "modelport.settings" -}}
{{- $settings := dict
    "images" .Values.images
    "imagePullSecrets" .Values.models.imagePullSecrets
    "hub" .Values.hub
    "defaults" .Values.defaults
    "namespaces" .Values.namespaces
    "diagnosis" .Values.diagnosis
    "door" .Values.door
    "lease" (dict "name" (include "modelport.fullname" .))
    "metrics" .Values.metrics
    "logLevel" .Values.logLevel
    "writes" .Values.writes
    "workers" (int .Values.workers) -}}
{{ toYaml $settings }}
{{- end -}}

{{- /* What the operator may do in a namespace with models. Nothing on Secrets: the kubelet mounts them, nobody reads them. */ -}}
{{- define "modelport.rules" -}}
- apiGroups: [modelport.io]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [modelport.io]
  resources: [modeldeployments/status]
  verbs: [patch]
# Owner references of the children block the owner's deletion; some clusters ask for this right then.
- apiGroups: [modelport.io]
  resources: [modeldeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
# Create and delete: a pod without GPU that tries a new revision, before an old one gives its GPU away.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, delete]
- apiGroups: [""]
  resources: [resourcequotas]
  verbs: [list]
# Nothing is made anew in a namespace that is being deleted.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- if .Values.diagnosis.readLogs }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
# Read: why the volumes of a pod that waits cannot be mounted.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create]
{{- end -}}
