{{/* The operator's settings as environment: the admin's own entries first, except those whose names the chart sets. */}}
{{- define "waggle.env" -}}
{{- $operator := .Values.operator }}
{{- $redis := $operator.defaultRedis }}
{{- $global := default (dict) .Values.global.redis }}
{{- $address := $redis.addr }}
{{- if and (not $address) $global.host }}
{{- $address = printf "%s:%v" $global.host (default 6379 $global.port) }}
{{- end }}
{{- $secret := default $global.existingSecret $redis.existingSecret }}
{{- $reference := $operator.defaultOIDCConfigRef }}
{{- $image := default (include "waggle.image" .) $operator.toolhiveRunnerImage }}
{{- $settings := list
  (list "WATCH_NAMESPACE" (ternary (join "," $operator.rbac.allowedNamespaces) "" (eq $operator.rbac.scope "namespace")))
  (list "WAGGLE_CLUSTER" .Values.cluster.name)
  (list "WAGGLE_LEASE" (include "waggle.lease" .))
  (list "WAGGLE_IMAGE" $image)
  (list "WAGGLE_VMCP_IMAGE" $operator.vmcpImage)
  (list "WAGGLE_IMAGE_PULL_POLICY" $operator.imagePullPolicy)
  (list "WAGGLE_IMAGE_PULL_SECRETS" (include "waggle.names" $operator.defaultImagePullSecrets))
  (list "WAGGLE_DEFAULT_OIDC_CONFIG" (ternary (printf "%s/%s" (default .Release.Namespace $reference.namespace) $reference.name) "" (not (empty $reference.name))))
  (list "WAGGLE_DEFAULT_OIDC_AUDIENCE" $reference.audience)
  (list "WAGGLE_REQUIRE_AUTHENTICATION" $operator.requireAuthentication)
  (list "WAGGLE_DEFAULT_REDIS_ADDRESS" $address)
  (list "WAGGLE_DEFAULT_REDIS_SECRET" $secret)
  (list "WAGGLE_DEFAULT_REDIS_SECRET_KEY" (ternary (default (default "redis-password" $global.existingSecretKey) $redis.existingSecretKey) "" (not (empty $secret))))
  (list "WAGGLE_EGRESS_ALLOW" (join "," $operator.egress.allow))
  (list "WAGGLE_EXTRA_CA_CONFIGMAP" $operator.extraCA.configMap)
  (list "WAGGLE_POD_TEMPLATE_ALLOW" (join "," $operator.podTemplate.allow))
  (list "WAGGLE_NETWORK_POLICIES" .Values.networkPolicies.enabled)
  (list "WAGGLE_METRICS_NAMESPACES" (join "," .Values.metrics.namespaces))
  (list "WAGGLE_POD_DISRUPTION_BUDGETS" .Values.pdb.enabled)
  (list "WAGGLE_TOPOLOGY_SPREAD" .Values.topologySpread.enabled)
  (list "WAGGLE_ROLL_ON_SECRET_CHANGE" $operator.rollOnSecretChange)
  (list "WAGGLE_OPENSHIFT" $operator.openshift)
  (list "WAGGLE_TAKE_OVER" $operator.takeOver)
}}
{{- $ours := list "POD_NAME" "POD_NAMESPACE" }}
{{- range $settings }}{{ $ours = append $ours (first .) }}{{ end }}
{{- range $operator.env }}
{{- if not (has .name $ours) }}
{{- toYaml (list .) | nindent 0 }}
{{- end }}
{{- end }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- range $settings }}
{{- if not (has (last .) (list "" nil)) }}
- name: {{ first . }}
  value: {{ last . | toString | quote }}
{{- end }}
{{- end }}
{{- end }}
