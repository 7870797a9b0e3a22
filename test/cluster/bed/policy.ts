// NetworkPolicy as packet rules: from the policies, pods and namespaces of a one-node cluster, the nft script that enforces them. Pure.
// A pod is isolated in a direction by any policy that selects it for that direction; then only what some policy allows may begin. Replies always pass, and so does what a pod
// sends to itself.
// Enforced: pod and namespace selectors, ipBlock with except, numeric ports, ranges and named ports. The node itself always reaches its pods, as the API says.

type Selector = {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}
type Meta = { uid: string; name: string; namespace: string; labels?: Record<string, string> }
export type Namespace = { metadata: Meta }
export type Pod = {
  metadata: Meta
  spec: {
    hostNetwork?: boolean
    containers: { ports?: { name?: string; containerPort: number; protocol?: string }[] }[]
  }
  status?: { podIP?: string; phase?: string }
}
type Peer = { podSelector?: Selector; namespaceSelector?: Selector; ipBlock?: { cidr: string; except?: string[] } }
type Port = { protocol?: string; port?: number | string; endPort?: number }
export type Policy = {
  metadata: Meta
  spec: {
    podSelector: Selector
    policyTypes?: string[]
    ingress?: { from?: Peer[]; ports?: Port[] }[]
    egress?: { to?: Peer[]; ports?: Port[] }[]
  }
}

export function selects(selector: Selector, labels: Record<string, string> = {}): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const value = labels[key]
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value)
        case 'NotIn':
          return value === undefined || !values.includes(value)
        case 'Exists':
          return value !== undefined
        case 'DoesNotExist':
          return value === undefined
        default:
          throw new Error(`no such operator: ${operator}`)
      }
    })
  )
}

/** The whole ruleset; loading it replaces the one before it in one step. */
export function render(policies: Policy[], all: Pod[], namespaces: Namespace[]): string {
  const pods = all.filter(
    (pod) => pod.status?.podIP && !pod.spec.hostNetwork && !['Succeeded', 'Failed'].includes(pod.status.phase ?? ''),
  )
  const labels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels]))
  const chains: string[] = []
  const isolated = { ingress: [] as string[], egress: [] as string[] }

  for (const [number, pod] of pods.entries())
    for (const way of ['ingress', 'egress'] as const) {
      const mine = policies.filter(
        (policy) =>
          policy.metadata.namespace === pod.metadata.namespace &&
          covers(policy, way) &&
          selects(policy.spec.podSelector, pod.metadata.labels),
      )
      if (mine.length === 0) continue
      isolated[way].push(`${pod.status?.podIP} : jump ${way}-${number}`)
      const itself = `${way === 'ingress' ? 'ip saddr' : 'ip daddr'} ${pod.status?.podIP} return`
      chains.push(
        `chain ${way}-${number} { ${[...new Set([itself, ...mine.flatMap((policy) => allowances(policy, way, pod))]), 'drop'].join('; ')}; }`,
      )
    }

  function allowances(policy: Policy, way: 'ingress' | 'egress', pod: Pod): string[] {
    const rules =
      way === 'ingress'
        ? (policy.spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
        : (policy.spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }))
    const side = way === 'ingress' ? 'ip saddr' : 'ip daddr'
    return rules.flatMap(({ peers, ports }) => {
      const ends: { match: string; pod?: Pod }[] = peers?.length
        ? peers.flatMap((peer) => expand(peer, policy, side))
        : [{ match: '' }]
      return ends.flatMap((end) =>
        services(ports, way === 'ingress' ? pod : end.pod).map((service) => `${end.match} ${service} return`.trim()),
      )
    })
  }

  function expand(peer: Peer, policy: Policy, side: string): { match: string; pod?: Pod }[] {
    if (peer.ipBlock) {
      const { cidr, except = [] } = peer.ipBlock
      // No pod has an IPv6 address, and nft would refuse the whole ruleset.
      if (cidr.includes(':')) return []
      return [{ match: [`${side} ${cidr}`, ...except.map((one) => `${side} != ${one}`)].join(' ') }]
    }
    const near = ({ metadata }: Pod) =>
      peer.namespaceSelector
        ? selects(peer.namespaceSelector, labels.get(metadata.namespace))
        : metadata.namespace === policy.metadata.namespace
    return pods
      .filter((pod) => near(pod) && selects(peer.podSelector ?? {}, pod.metadata.labels))
      .map((pod) => ({ match: `${side} ${pod.status?.podIP}`, pod }))
  }

  const verdicts = (way: 'ingress' | 'egress') =>
    isolated[way].length > 0
      ? `${way === 'ingress' ? 'ip daddr' : 'ip saddr'} vmap { ${isolated[way].join(', ')} };`
      : ''
  return `table inet policies
delete table inet policies
table inet policies {
${chains.join('\n')}
chain forward { type filter hook forward priority filter; ct state established,related accept; ${verdicts('egress')} ${verdicts('ingress')} }
chain input { type filter hook input priority filter; ct state established,related accept; ${verdicts('egress')} }
}
`
}

/** `policyTypes` when it is left out: ingress always, egress if there are egress rules. */
const covers = ({ spec }: Policy, way: 'ingress' | 'egress'): boolean =>
  spec.policyTypes
    ? spec.policyTypes.some((type) => type.toLowerCase() === way)
    : way === 'ingress' || spec.egress !== undefined

/** The port matches of a rule; `pod` is the receiving end, which gives named ports their numbers. */
function services(ports: Port[] | undefined, pod: Pod | undefined): string[] {
  if (!ports?.length) return ['']
  return ports.flatMap(({ protocol = 'TCP', port, endPort }) => {
    const kind = protocol.toLowerCase()
    if (port === undefined) return [`meta l4proto ${kind}`]
    if (typeof port === 'number') return [`${kind} dport ${endPort ? `${port}-${endPort}` : port}`]
    const named = (pod?.spec.containers ?? [])
      .flatMap((container) => container.ports ?? [])
      .filter((one) => one.name === port && (one.protocol ?? 'TCP') === protocol)
    return named.map((one) => `${kind} dport ${one.containerPort}`)
  })
}
