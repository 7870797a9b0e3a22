// What a ServiceAccount may do, as the API server says (`kubectl auth can-i --list` asks the same), in the words of rights.yaml:
// `resource.group: [verbs]`, or `resource.group/name: [verbs]` where a right is for one name.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { call } from './bed/api.ts'
import type { Cluster } from './bed/plan.ts'

export type Rights = Record<string, string[]>

/** The allow-list of rights.yaml. */
export const allowed = parse(readFileSync(join(import.meta.dirname, 'rights.yaml'), 'utf8'), { merge: true }) as {
  operator: { managed: Rights; own: Rights; apart: Rights; joined: Rights }
  uplink: { managed: Rights; own: Rights }
  proxy: Rights
  virtualServer: Rights
}

/** Rights by their names in an allow-list, with what stands for other names filled in. */
export const fill = (rights: Rights, values: Readonly<Record<string, string>>): Rights =>
  Object.fromEntries(
    Object.entries(rights).map(([key, verbs]) => [
      key.replace(/\{(\w+)\}/, (_, name: string) => values[name] ?? ''),
      verbs,
    ]),
  )
export const sorted = (rights: Rights): Rights =>
  Object.fromEntries(Object.entries(rights).map(([key, verbs]) => [key, [...verbs].sort()]))

/** A rule of a Role, or of what the API server says somebody may do. */
export interface Rule {
  readonly verbs: readonly string[]
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
  readonly resourceNames?: readonly string[]
}

interface Review {
  status: { resourceRules: Rule[]; incomplete: boolean }
}

const TOKEN_SECONDS = 3600

/** A token of a ServiceAccount, as its pods have one; for the API server unless an audience is given. */
export async function tokenOf(c: Cluster, namespace: string, account: string, audience?: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`
  const answer = await call<{ status: { token: string } }>(c, 'POST', path, {
    spec: { expirationSeconds: TOKEN_SECONDS, ...(audience !== undefined && { audiences: [audience] }) },
  })
  return answer.status.token
}

/** The rights of a token's owner in a namespace, cluster-wide ones included, but for `common`. */
export async function rightsOf(c: Cluster, token: string, namespace: string, common: Rights = {}): Promise<Rights> {
  const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
  const { status } = await call<Review>(c, 'POST', path, { spec: { namespace } }, token)
  if (status.incomplete) throw new Error('the API server does not know all rules')
  return Object.fromEntries(
    Object.entries(rightsIn(status.resourceRules)).filter(([key]) => !Object.hasOwn(common, key)),
  )
}

/** What rules give, by names as in an allow-list. */
export function rightsIn(rules: readonly Rule[]): Rights {
  const found = new Map<string, Set<string>>()
  for (const { verbs, apiGroups = [], resources = [], resourceNames = [''] } of rules)
    for (const group of apiGroups)
      for (const resource of resources)
        for (const name of resourceNames) {
          const key = describe(resource, group, name)
          const known = found.get(key) ?? new Set()
          for (const verb of verbs) known.add(verb)
          found.set(key, known)
        }
  return Object.fromEntries([...found].map(([key, verbs]) => [key, [...verbs].sort()]))
}

/** Subresources are written as rights.yaml does: `mcpservers.toolhive.stacklok.dev/status`. */
function describe(resource: string, group: string, name: string): string {
  const [plural = '', sub] = resource.split('/')
  return [group === '' ? plural : `${plural}.${group}`, sub, name].filter(Boolean).join('/')
}
