// What the cluster's admin decided for all servers, from the chart's values by way of the environment.

/** One setting of each is documented in charts/waggle-agent/values.yaml. */
export interface Settings {
  /** Namespace that the operator runs in. */
  readonly namespace: string
  /** Watched namespaces; undefined: all. */
  readonly namespaces: readonly string[] | undefined
  /** What policies and assertions call this cluster; `in-cluster` until it joins an edge. */
  readonly cluster: string
  /** Image of proxies. */
  readonly image: string
  /** Image of virtual servers. */
  readonly virtualImage: string
  readonly imagePullPolicy: string
  /** Names of Secrets for pulling images, for every pod. */
  readonly imagePullSecrets: readonly string[]
  /** MCPOIDCConfig for resources that name none. */
  readonly defaultOidcConfig:
    | { readonly namespace: string; readonly name: string; readonly audience: string | undefined }
    | undefined
  /** Resources without any authentication are refused instead of served within their namespace. */
  readonly requireAuthentication: boolean
  readonly defaultRedis:
    | { readonly address: string; readonly secret: { readonly name: string; readonly key: string } | undefined }
    | undefined
  /** See RunConfig. */
  readonly egressAllow: readonly string[]
  /** ConfigMap of the operator's namespace with PEM certificates to trust, all of its keys. */
  readonly extraCaConfigMap: string | undefined
  /** The edge that this cluster has joined. */
  readonly edge:
    | {
        /** Without a slash at its end. */
        readonly url: string
        /** ConfigMap of the operator's namespace with the edge's public keys, which the operator keeps there. */
        readonly keysConfigMap: string
        /** Another with those of this cluster's uplink, which that keeps there. */
        readonly uplinkKeysConfigMap: string
      }
    | undefined
  /** What a podTemplateSpec may ask for although it weakens the pod: `hostNamespaces`, `privileged`, `hostPath`, `serviceAccount`. */
  readonly podTemplateAllow: ReadonlySet<string>
  readonly networkPolicies: boolean
  /** Namespaces whose pods may reach the internal port, for metrics. */
  readonly metricsNamespaces: readonly string[]
  readonly podDisruptionBudgets: boolean
  readonly topologySpread: boolean
  /** Roll servers when a Secret they use changes; needs the right to watch Secrets' metadata. */
  readonly rollOnSecretChange: boolean
  /** OpenShift assigns user ids itself. */
  readonly openshift: boolean
  /** Manage a cluster where a ToolHive operator is installed. */
  readonly takeOver: boolean
}

/** ConfigMaps of the operator's own namespace that every plan reads. */
export function commonConfigMaps({ extraCaConfigMap, edge }: Settings): readonly string[] {
  return [extraCaConfigMap, edge?.keysConfigMap, edge?.uplinkKeysConfigMap].filter((name) => name !== undefined)
}
