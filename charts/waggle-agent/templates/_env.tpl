{{/* Settings as environment: the admin's own entries (`more`) first, except those whose names the chart sets. A setting without a value is left out. */}}
{{- define "waggle.environment" -}}
{{- $fields := dict "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" }}
{{- if .uid }}{{ $_ := set $fields "POD_UID" "metadata.uid" }}{{ end }}
{{- $ours := keys $fields }}
{{- range .settings }}{{ $ours = append $ours (first .) }}{{ end }}
{{- range .more }}
{{- if not (has .name $ours) }}
{{- toYaml (list .) | nindent 0 }}
{{- end }}
{{- end }}
{{- range $name, $path := $fields }}
- name: {{ $name }}
  valueFrom:
    fieldRef:
      fieldPath: {{ $path }}
{{- end }}
{{- range .settings }}
{{- if not (has (last .) (list "" nil)) }}
- name: {{ first . }}
  value: {{ last . | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The operator's settings. */}}
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
  (list "WAGGLE_CLUSTER" (include "waggle.cluster" .))
  (list "WAGGLE_LEASE" (include "waggle.lease" .))
  (list "WAGGLE_METRICS_PORT" (include "waggle.port" (dict "Values" .Values "port" "metrics")))
  (list "WAGGLE_HEALTH_PORT" (include "waggle.port" (dict "Values" .Values "port" "health")))
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
  (list "WAGGLE_EDGE_URL" .Values.edge.url)
  (list "WAGGLE_EDGE_KEYS_CONFIGMAP" (ternary (include "waggle.edgeKeys" .) "" (not (empty .Values.edge.url))))
  (list "WAGGLE_UPLINK_KEYS_CONFIGMAP" (ternary (include "waggle.uplinkKeys" .) "" (not (empty .Values.edge.url))))
  (list "WAGGLE_POD_TEMPLATE_ALLOW" (join "," $operator.podTemplate.allow))
  (list "WAGGLE_NETWORK_POLICIES" .Values.networkPolicies.enabled)
  (list "WAGGLE_METRICS_NAMESPACES" (join "," .Values.metrics.namespaces))
  (list "WAGGLE_POD_DISRUPTION_BUDGETS" .Values.pdb.enabled)
  (list "WAGGLE_TOPOLOGY_SPREAD" .Values.topologySpread.enabled)
  (list "WAGGLE_ROLL_ON_SECRET_CHANGE" $operator.rollOnSecretChange)
  (list "WAGGLE_OPENSHIFT" $operator.openshift)
  (list "WAGGLE_TAKE_OVER" $operator.takeOver)
}}
{{- include "waggle.environment" (dict "settings" $settings "more" $operator.env "uid" false) }}
{{- end }}

{{/* The uplink's settings. The file of the token that it joins by says how it joins. */}}
{{- define "waggle.uplinkEnv" -}}
{{- $edge := .Values.edge }}
{{- $rbac := .Values.operator.rbac }}
{{- $settings := list
  (list "WATCH_NAMESPACE" (ternary (join "," $rbac.allowedNamespaces) "" (eq $rbac.scope "namespace")))
  (list "WAGGLE_CLUSTER" (include "waggle.cluster" .))
  (list "WAGGLE_EDGE_URL" $edge.url)
  (list "WAGGLE_EDGE_TOKEN_FILE" (ternary "/var/run/secrets/waggle/edge/token" "" (empty $edge.joinTokenSecret)))
  (list "WAGGLE_JOIN_TOKEN_FILE" (ternary "/var/run/secrets/waggle/join/token" "" (not (empty $edge.joinTokenSecret))))
  (list "WAGGLE_EXTRA_CA_DIR" (ternary "/etc/waggle/ca" "" (not (empty .Values.operator.extraCA.configMap))))
  (list "WAGGLE_GRACE_SECONDS" (max 1 (min 600 (sub $edge.uplink.terminationGracePeriodSeconds 5))))
  (list "WAGGLE_UPLINK_LEASE" (include "waggle.uplink" .))
  (list "WAGGLE_UPLINK_SECRET" (include "waggle.uplink" .))
  (list "WAGGLE_UPLINK_KEYS_CONFIGMAP" (include "waggle.uplinkKeys" .))
}}
{{- include "waggle.environment" (dict "settings" $settings "more" $edge.uplink.env "uid" true) }}
{{- end }}
