// Where endpoints are: at an edge or in a cluster. What planning needs to know of the place.

import type { Fleets } from './fleet.ts'
import type { IssuerPlan } from './issuer.ts'

export interface Site {
  /** What the `clusters` of a ToolPolicy call this place. */
  readonly cluster: string
  /** For endpoints that name no issuer. */
  readonly defaultIssuer: IssuerPlan | undefined
  /** Of tokens of the default issuer; undefined: the endpoint's URL. */
  readonly defaultAudience: string | undefined
  /** Endpoints that name no issuer, where there is no default either: they admit everybody, or nobody. */
  readonly open: boolean
  /** Every MCPServer and MCPRemoteProxy has a proxy of its own, which virtual servers call. */
  readonly proxies: boolean
  /** Servers that speak over stdio are processes beside their proxies. */
  readonly processes?: boolean
  /** Tokens of the cluster's own service accounts can be verified here. */
  readonly serviceAccounts: boolean
  /** What clusters published; undefined in a cluster. */
  readonly fleets: Fleets | undefined
  /** A ConfigMap's data; undefined where there is none. */
  readonly configMap: (namespace: string, name: string) => Readonly<Record<string, string>> | undefined
}

interface BundleRef {
  readonly configMapRef?: { readonly name: string; readonly key: string } | undefined
}

/** The PEM certificates that a `caBundleRef` names; empty, which trusts nobody more, when they do not exist. */
export function certificates(ref: BundleRef, namespace: string, site: Site): string {
  const { configMapRef } = ref
  if (configMapRef === undefined) return ''
  return pemOf(valueOf(site.configMap(namespace, configMapRef.name), configMapRef.key) ?? '')
}

/** The value of a key of a ConfigMap. Keys are anybody's words: `constructor` is one. */
export function valueOf(data: Readonly<Record<string, string>> | undefined, key: string): string | undefined {
  return data !== undefined && Object.hasOwn(data, key) ? data[key] : undefined
}

/** The certificates of a text and nothing else of it: what stands beside them, such as a key, is passed on to nobody. */
export function pemOf(text: string): string {
  return (text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/gu) ?? []).join('\n')
}

/** The identity of a server or virtual server, as `aud` and `iss` of assertions. */
export function identity(of: { cluster: string; kind: string; namespace: string; name: string }): string {
  return `${of.cluster}/${of.namespace}/${of.kind}/${of.name}`
}

/** What an edge is called where clusters have names: in policies, and as `iss` of its assertions. No cluster has this name. */
export const EDGE = 'edge'

/** `iss` of the assertions by which the uplink of a cluster reads catalogs. */
export function uplinkIdentity(cluster: string): string {
  return `${cluster}/uplink`
}
