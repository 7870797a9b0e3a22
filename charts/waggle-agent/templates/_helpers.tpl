{{- define "waggle.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "waggle.fullname" -}}
{{- default (include "waggle.name" .) .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "waggle.serviceAccount" -}}
{{- if .Values.operator.serviceAccount.create -}}
{{- default (include "waggle.fullname" .) .Values.operator.serviceAccount.name }}
{{- else -}}
{{- required "operator.serviceAccount.create is false: name an existing ServiceAccount in operator.serviceAccount.name" .Values.operator.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "waggle.instance" -}}
app.kubernetes.io/name: {{ include "waggle.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "waggle.selector" -}}
{{ include "waggle.instance" . }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "waggle.uplinkSelector" -}}
{{ include "waggle.instance" . }}
app.kubernetes.io/component: uplink
{{- end }}

{{- define "waggle.chart" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "waggle.labels" -}}
{{ include "waggle.chart" . }}
{{ include "waggle.selector" . }}
{{ include "waggle.marks" . }}
{{- end }}

{{- define "waggle.uplinkLabels" -}}
{{ include "waggle.chart" . }}
{{ include "waggle.uplinkSelector" . }}
{{ include "waggle.marks" . }}
{{- end }}

{{- define "waggle.marks" -}}
app.kubernetes.io/part-of: waggle
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "waggle.image" -}}
{{- default (printf "ghcr.io/waggle-dev/agent:%s" .Chart.AppVersion) .Values.operator.image }}
{{- end }}

{{- define "waggle.lease" -}}
{{- include "waggle.fullname" . }}-leader
{{- end }}

{{/* What policies, audit events and assertions call this cluster. */}}
{{- define "waggle.cluster" -}}
{{- default .Values.cluster.name .Values.edge.cluster }}
{{- end }}

{{/* Name of everything of the uplink. */}}
{{- define "waggle.uplink" -}}
{{- include "waggle.fullname" . }}-uplink
{{- end }}

{{/* Where the operator keeps the public keys of the edge. */}}
{{- define "waggle.edgeKeys" -}}
{{- include "waggle.fullname" . }}-edge-keys
{{- end }}

{{/* Where the uplink keeps its own. */}}
{{- define "waggle.uplinkKeys" -}}
{{- include "waggle.uplink" . }}-keys
{{- end }}

{{/* The port at which the edge answers. */}}
{{- define "waggle.edgePort" -}}
{{- regexFind ":[0-9]+$" (urlParse .Values.edge.url).host | trimPrefix ":" | default "443" }}
{{- end }}

{{/* A port of the operator by its name, as values may number it otherwise. */}}
{{- define "waggle.port" -}}
{{- range .Values.operator.ports }}{{ if eq .name $.port }}{{ .containerPort }}{{ end }}{{ end }}
{{- end }}

{{/* Names of Secrets, given as strings or as {name}, joined by commas. */}}
{{- define "waggle.names" -}}
{{- $names := list }}
{{- range . }}{{ $names = append $names (ternary . (get (ternary (dict) . (kindIs "string" .)) "name") (kindIs "string" .)) }}{{ end }}
{{- join "," $names }}
{{- end }}

{{/* What values may not say together; the schema judges each value alone. */}}
{{- define "waggle.validate" -}}
{{- $operator := .Values.operator }}
{{- $rbac := $operator.rbac }}
{{- if and (eq $rbac.scope "namespace") (empty $rbac.allowedNamespaces) }}
{{- fail "operator.rbac.allowedNamespaces: list the namespaces to manage, or set operator.rbac.scope to cluster" }}
{{- end }}
{{- if and (eq $rbac.scope "cluster") $rbac.allowedNamespaces }}
{{- fail "operator.rbac.scope: set it to namespace, or remove operator.rbac.allowedNamespaces, which scope cluster does not heed" }}
{{- end }}
{{- if eq .Values.cluster.name "edge" }}
{{- fail "cluster.name: edge is what policies call the edge itself; take another name" }}
{{- end }}
{{- $reference := $operator.defaultOIDCConfigRef }}
{{- if and (eq $rbac.scope "namespace") $reference.name (not (has (default .Release.Namespace $reference.namespace) $rbac.allowedNamespaces)) }}
{{- fail (printf "operator.defaultOIDCConfigRef: its namespace %s is not in operator.rbac.allowedNamespaces, so the operator could not read it" (default .Release.Namespace $reference.namespace)) }}
{{- end }}
{{- if and (not $reference.name) (or $reference.namespace $reference.audience) }}
{{- fail "operator.defaultOIDCConfigRef.name: name the MCPOIDCConfig, or remove its namespace and audience" }}
{{- end }}
{{- $edge := .Values.edge }}
{{- if $edge.url }}
{{- if not $edge.cluster }}
{{- fail "edge.cluster: name this cluster as in `waggle cluster add NAME`" }}
{{- end }}
{{- if has $edge.cluster (list "edge" "in-cluster") }}
{{- fail (printf "edge.cluster: no cluster can be called %s; take another name" $edge.cluster) }}
{{- end }}
{{- if not (has .Values.cluster.name (list "in-cluster" $edge.cluster)) }}
{{- fail (printf "cluster.name: edge.cluster calls this cluster %s; remove cluster.name" $edge.cluster) }}
{{- end }}
{{- else if or $edge.cluster $edge.joinTokenSecret }}
{{- fail "edge.url: say where the edge is, or remove edge.cluster and edge.joinTokenSecret" }}
{{- end }}
{{- range $key := list "image" "toolhiveRunnerImage" "vmcpImage" }}
{{- if contains "stacklok/toolhive/" (get $operator $key) }}
{{- fail (printf "operator.%s: %s is ToolHive's; remove the key, or name a copy of ghcr.io/waggle-dev/agent" $key (get $operator $key)) }}
{{- end }}
{{- end }}
{{- range $name := list "metrics" "health" }}
{{- if not (include "waggle.port" (dict "Values" $.Values "port" $name)) }}
{{- fail (printf "operator.ports: one must have the name %s" $name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the operator may do in a namespace that it manages. It writes by server-side apply, which needs no update. */}}
{{- define "waggle.rules" -}}
# Its own kinds: read; patch is for finalizers.
{{- $groups := dict "toolhive.stacklok.dev" (include "waggle.toolhiveKinds" . | splitList " ") "waggle.dev" (list "toolpolicies") }}
{{- range $group, $kinds := $groups }}
- apiGroups: [{{ $group }}]
  resources: [{{ join ", " $kinds }}]
  verbs: [get, list, watch, patch]
- apiGroups: [{{ $group }}]
  resources: [{{ join "/status, " $kinds }}/status]
  verbs: [patch]
# Where the API server enforces blockOwnerDeletion (OpenShift), owned objects need this.
- apiGroups: [{{ $group }}]
  resources: [{{ join "/finalizers, " $kinds }}/finalizers]
  verbs: [update]
{{- end }}
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Each proxy gets a Role to read its own ConfigMaps. Neither escalate nor bind: the API server lets the operator hand on only what it may do itself.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings, roles]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Keys are made in memory and posted once; what is in a Secret cannot be read back.
- apiGroups: [""]
  resources: [secrets]
  verbs: [{{ if .Values.operator.rollOnSecretChange }}get, list, watch, {{ end }}create]
{{- end }}

{{/* What the uplink may do in a namespace: read what it publishes, and say what the edge knows of it. */}}
{{- define "waggle.uplinkRules" -}}
{{- $groups := dict "toolhive.stacklok.dev" (list "mcpgroups" "mcpremoteproxies" "mcpservers" "mcptoolconfigs" "virtualmcpservers") "waggle.dev" (list "toolpolicies") }}
{{- range $group, $kinds := $groups }}
- apiGroups: [{{ $group }}]
  resources: [{{ join ", " $kinds }}]
  verbs: [get, list, watch]
- apiGroups: [{{ $group }}]
  resources: [{{ join "/status, " $kinds }}/status]
  verbs: [patch]
{{- end }}
{{- end }}

{{- define "waggle.toolhiveKinds" -}}
embeddingservers mcpauthzconfigs mcpexternalauthconfigs mcpgroups mcpoidcconfigs mcpregistries mcpremoteproxies mcpserverentries mcpservers mcptelemetryconfigs mcptoolconfigs mcpwebhookconfigs virtualmcpcompositetooldefinitions virtualmcpservers
{{- end }}
