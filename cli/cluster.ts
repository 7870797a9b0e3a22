// Resources of a Kubernetes cluster, by the same kubeconfig that kubectl uses. Only read: kubectl writes.
// The Kubernetes client is loaded when it is needed, for it takes longer to load than everything else together.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Access } from '../agent/kube/access.ts'
import type { KubeClient } from '../agent/kube/client.ts'
import { allKinds, type Kind, kindOf, kinds } from '../crds/kinds.ts'
import { Failure, messageOf, usage } from './failure.ts'
import type { Io } from './io.ts'
import { Shown } from './resource.ts'

/** Kinds that have an address or stand for one: what people mean by "everything". */
const servers: readonly Kind[] = ['MCPServer', 'MCPRemoteProxy', 'MCPServerEntry', 'VirtualMCPServer']

export interface Cluster {
  /** Of one kind, or all servers and virtual servers; of one namespace, or all. Sorted by namespace, kind and name. */
  list(kind: Kind | undefined, namespace: string | undefined): Promise<Shown[]>
  get(kind: Kind, namespace: string, name: string): Promise<Shown>
  close(): Promise<void>
}

/** Whether there is a kubeconfig where kubectl would look for it. */
export function hasKubeconfig({ env }: Io): boolean {
  const paths = env['KUBECONFIG'] ? env['KUBECONFIG'].split(delimiter) : [join(env['HOME'] ?? '', '.kube/config')]
  return paths.some((path) => path !== '' && existsSync(path))
}

/** Who signs the tokens of a cluster's ServiceAccounts, and the public keys that they are signed with, as its API server tells them. */
export async function readIssuer(io: Io, context: string | undefined): Promise<{ issuer: string; jwks: unknown }> {
  const { client } = await openClient(io, context)
  try {
    const [about, jwks] = await Promise.all([
      client.request('GET', '/.well-known/openid-configuration'),
      // It is of a media type of its own.
      client.request('GET', '/openid/v1/jwks', { accept: '*/*' }),
    ])
    const issuer = typeof about === 'object' && about !== null && 'issuer' in about ? about.issuer : undefined
    if (typeof issuer === 'string') return { issuer, jwks }
  } catch (error) {
    if (statusOf(error) !== 403) throw explained(error)
    throw new Failure(
      'this login may not read the keys of the cluster',
      'use a login that may, or bind it to the ClusterRole system:service-account-issuer-discovery',
    )
  } finally {
    await client.close()
  }
  throw new Failure(
    'the API server does not say who signs its tokens',
    'name the issuer with --issuer, its keys with --jwks',
  )
}

/** The cluster of a context, or of the current one. */
export async function openCluster(io: Io, context: string | undefined): Promise<Cluster> {
  const { client, access } = await openClient(io, context)
  return readCluster(client, access.server)
}

async function openClient({ env }: Io, context: string | undefined): Promise<{ client: KubeClient; access: Access }> {
  const [{ kubeconfigAccess }, { KubeClient: Client }] = await Promise.all([
    import('../agent/kube/access.ts'),
    import('../agent/kube/client.ts'),
  ])
  const path = env['KUBECONFIG']
  const options = { ...(path && !path.includes(delimiter) && { path }), ...(context !== undefined && { context }) }
  const access = await kubeconfigAccess(options).catch((error: unknown) => {
    throw new Failure(`the kubeconfig cannot be used: ${messageOf(error)}`, 'check it with `kubectl config view`')
  })
  return { client: new Client(access, { timeoutMs: 20_000 }), access }
}

function readCluster(client: KubeClient, server: string): Cluster {
  const typeOf = (kind: Kind) => ({ ...kinds[kind], kind, namespaced: true })
  const list = async (kind: Kind, namespace: string | undefined): Promise<Shown[] | undefined> => {
    try {
      const { items } = await client.list(typeOf(kind), { namespace })
      return items.map((item) => Shown.parse(item))
    } catch (error) {
      // The kind is not installed.
      if (statusOf(error) === 404) return undefined
      throw explained(error)
    }
  }
  return {
    async list(kind, namespace) {
      const found = await Promise.all((kind === undefined ? servers : [kind]).map((one) => list(one, namespace)))
      if (found.every((one) => one === undefined)) {
        throw new Failure(
          `the cluster ${server} does not know ${kind === undefined ? 'these kinds' : kind}`,
          'install them: helm upgrade --install waggle-crds charts/waggle-crds',
        )
      }
      const items = found.flatMap((one) => one ?? [])
      const place = ({ kind, metadata }: Shown): string => `${metadata.namespace} ${kindOrder(kind)} ${metadata.name}`
      return items.sort((a, b) => (place(a) < place(b) ? -1 : 1))
    },
    async get(kind, namespace, name) {
      try {
        return Shown.parse(await client.get({ type: typeOf(kind), namespace, name }))
      } catch (error) {
        if (statusOf(error) === 404) throw new Failure(`there is no ${kind} ${namespace}/${name} in this cluster`)
        throw explained(error)
      }
    },
    close: () => client.close(),
  }
}

/** The kind of a cluster that a word means; a usage `Failure` when it means none. */
export function clusterKind(word: string): Kind {
  const kind = kindOf(word.split('.')[0] ?? word, 'cluster')
  if (kind !== undefined) return kind
  const known = allKinds.map((each) => `${kinds[each].plural} (${kinds[each].shortNames.join(', ')})`)
  throw usage(`there is no kind ${JSON.stringify(word)}`, `kinds: ${known.join(', ')}`)
}

function kindOrder(kind: string): string {
  return String(allKinds.findIndex((one) => one === kind)).padStart(2, '0')
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined
}

function explained(error: unknown): Failure {
  const status = statusOf(error)
  if (status === 401) return new Failure('the cluster does not accept this login', 'log in to it again, as for kubectl')
  if (status === 403) return new Failure(messageOf(error), 'ask for the right to list these resources')
  return new Failure(`the cluster cannot be asked: ${messageOf(error)}`, 'check it with `kubectl get --raw /readyz`')
}
