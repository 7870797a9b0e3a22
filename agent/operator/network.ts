// Who may connect to whom, per server: a server hears only its proxy, a proxy without authentication only its own namespace.
// The addresses where clouds hand out credentials are never reachable from a server.

import { INTERNAL_PORT } from '../../plan/address.ts'
import type { KubeObject } from '../kube/object.ts'
import {
  MANAGED_BY,
  MANAGER,
  proxyLabels,
  proxySelector,
  serverLabels,
  uplinkPods,
  virtualPods,
  type ProxiedKind,
} from './label.ts'

/** AWS, Google, Azure and OpenStack; AWS's containers; Alibaba. Not all of link-local: node-local DNS is there. */
const METADATA_IPV4 = ['169.254.169.254/32', '169.254.170.2/32', '169.254.170.23/32', '100.100.100.200/32']
const METADATA_IPV6 = ['fd00:ec2::254/128', 'fd00:ec2::23/128']

/** What a server may connect to: anything, nothing, or some ports. */
export type Egress = 'network' | 'none' | { readonly ports: readonly number[] }

export interface ServerPolicyDraft {
  readonly namespace: string
  readonly name: string
  readonly selector: Readonly<Record<string, string>>
  /** Undefined: the server listens nowhere. */
  readonly port: number | undefined
  readonly egress: Egress
}

/** NetworkPolicy `X-server`. */
export function serverPolicy({ namespace, name, selector, port, egress }: ServerPolicyDraft): KubeObject {
  const from = [{ podSelector: { matchLabels: proxySelector('MCPServer', name) } }]
  return policy(namespace, `${name}-server`, serverLabels(name), {
    podSelector: { matchLabels: { ...selector } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: port === undefined ? [] : [{ from, ports: [{ port, protocol: 'TCP' }] }],
    egress: egressRules(egress),
  })
}

function egressRules(egress: Egress): unknown[] {
  // Some network plugins do not count pods among addresses, so they are named as well.
  const to = [
    { namespaceSelector: {} },
    { ipBlock: { cidr: '0.0.0.0/0', except: METADATA_IPV4 } },
    { ipBlock: { cidr: '::/0', except: METADATA_IPV6 } },
  ]
  if (egress === 'none') return []
  if (egress === 'network') return [{ to }]
  const dns = [
    { port: 53, protocol: 'UDP' },
    { port: 53, protocol: 'TCP' },
  ]
  return [{ to, ports: [...dns, ...egress.ports.map((port) => ({ port, protocol: 'TCP' }))] }]
}

export interface ProxyPolicyDraft {
  readonly kind: ProxiedKind
  readonly namespace: string
  readonly name: string
  /** Port of the pods. */
  readonly port: number
  /** Anybody may call without showing who they are. */
  readonly anonymous: boolean
  /** Other namespaces whose virtual servers may use it. */
  readonly consented: readonly string[]
  readonly metricsNamespaces: readonly string[]
  /** The namespace of the uplink, where that may call. */
  readonly uplink: string | undefined
}

/** NetworkPolicy `X-proxy` (`X-vmcp` of a virtual server). */
export function proxyPolicy(draft: ProxyPolicyDraft): KubeObject {
  const { kind, namespace, name, port, anonymous, consented, metricsNamespaces, uplink } = draft
  const own = { podSelector: {} }
  const virtual = inNamespaces(consented).map((peer) => ({ ...peer, podSelector: { matchLabels: { ...virtualPods } } }))
  const link = inNamespaces(uplink === undefined ? [] : [uplink]).map((peer) => ({
    ...peer,
    podSelector: { matchLabels: { ...uplinkPods } },
  }))
  return policy(namespace, `${name}-${kind === 'VirtualMCPServer' ? 'vmcp' : 'proxy'}`, proxyLabels(kind, name), {
    podSelector: { matchLabels: proxySelector(kind, name) },
    policyTypes: ['Ingress'],
    ingress: [
      { ...(anonymous && { from: [own, ...virtual, ...link] }), ports: [{ port, protocol: 'TCP' }] },
      {
        from: [own, ...virtual, ...link, ...inNamespaces(metricsNamespaces)],
        ports: [{ port: INTERNAL_PORT, protocol: 'TCP' }],
      },
    ],
  })
}

function inNamespaces(namespaces: readonly string[]): { namespaceSelector: object }[] {
  if (namespaces.length === 0) return []
  const values = [...new Set(namespaces)].sort()
  return [{ namespaceSelector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }] } }]
}

function policy(namespace: string, name: string, labels: Record<string, string>, spec: object): KubeObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace, labels: { ...labels, [MANAGED_BY]: MANAGER } },
    spec,
  }
}
