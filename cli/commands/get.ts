// `waggle get`: resources with their status, as a table, or whole as YAML or JSON that `apply` takes back. They are an edge's, or a
// cluster's: where an edge is chosen or logged in to it is asked, else the cluster of the kubeconfig.

import { stringify } from 'yaml'
import type { Kind } from '../../crds/kinds.ts'
import { type Admin, connect } from '../admin.ts'
import { type Cluster, clusterKind, hasKubeconfig, openCluster } from '../cluster.ts'
import { type Command, nameOf, namespaceOf, namespaceOptions, parse } from '../command.ts'
import { readCredentials } from '../credentials.ts'
import { usage } from '../failure.ts'
import type { Io } from '../io.ts'
import { Shown, ShownList, kindNamed, reference, statusOf } from '../resource.ts'
import { age, table } from '../table.ts'

const outputs = ['wide', 'json', 'yaml', 'name']

export const get: Command = {
  summary: 'show resources and how they are',
  help: `waggle get [KIND] [NAME …] [-n NAMESPACE | -A] [-o wide|json|yaml|name] [--edge URL | --cluster | --context NAME]

  KIND              a kind, its plural or a short name: VirtualMCPServer, virtualmcpservers, vmcp; without: all kinds
  -n, --namespace   default: default
  -A, --all-namespaces
  -o, --output      wide: more columns; json, yaml: everything; name: names only
  --cluster         ask the Kubernetes cluster of the kubeconfig: all servers and virtual servers, or one KIND
  --context         ask the cluster of this context`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      ...namespaceOptions,
      'all-namespaces': { type: 'boolean', short: 'A' },
      output: { type: 'string', short: 'o' },
      cluster: { type: 'boolean' },
      context: { type: 'string' },
    })
    const { output, 'all-namespaces': everywhere = false } = values
    if (output !== undefined && !outputs.includes(output)) {
      throw usage(`there is no output ${JSON.stringify(output)}`, `use one of ${outputs.join(', ')}`)
    }
    const [word, ...names] = slashed(positionals)
    const isCluster = await asksCluster(values, io)
    const named = isCluster ? clusterKind : kindNamed
    const kind = word === undefined || word === 'all' || word === 'toolhive' ? undefined : named(word)
    if (kind === undefined && names.length > 0)
      throw usage('a name needs its kind', 'for instance: waggle get vmcp NAME')
    if (everywhere && names.length > 0) throw usage('a name is in one namespace', 'give it with -n instead of -A')
    const namespace = namespaceOf(values.namespace)
    const source = isCluster ? await openCluster(io, values.context) : edge(await connect(io, values.edge))
    const items = await itemsOf(source, kind, everywhere ? undefined : namespace, names)

    const whole = names.length === 1 ? items[0] : { apiVersion: 'v1', kind: 'List', items }
    if (output === 'json') return io.out(JSON.stringify(whole, null, 2))
    if (output === 'yaml') return io.out(stringify(whole).trimEnd())
    if (output === 'name') return items.forEach((item) => io.out(reference(item.kind, item.metadata.name)))
    if (items.length === 0) {
      const where = everywhere ? (isCluster ? 'in this cluster' : 'at this edge') : `in the namespace ${namespace}`
      return io.err(`no ${kind === undefined ? 'resources' : `resource of kind ${kind}`} ${where}`)
    }
    const columns = columnsFor(kind === undefined, everywhere, output === 'wide')
    const rows = [columns.map(({ head }) => head), ...items.map((item) => columns.map(({ cell }) => cell(item)))]
    for (const line of table(rows)) io.out(line)
  },
}

/** `vmcp/tools` as `vmcp tools`. */
function slashed([word, ...names]: string[]): string[] {
  const [kind, name] = word?.split('/') ?? []
  return kind === undefined ? [] : name === undefined ? [kind, ...names] : [kind, name, ...names]
}

async function itemsOf(
  source: Cluster,
  kind: Kind | undefined,
  namespace: string | undefined,
  names: readonly string[],
): Promise<Shown[]> {
  try {
    if (kind === undefined || namespace === undefined || names.length === 0) return await source.list(kind, namespace)
    return await Promise.all(names.map((name) => source.get(kind, namespace, nameOf('name', name))))
  } finally {
    await source.close()
  }
}

/** Whether a cluster is meant: it is named, or no edge is and a kubeconfig is there. */
async function asksCluster(
  { edge, cluster = false, context }: { edge?: string; cluster?: boolean; context?: string },
  io: Io,
): Promise<boolean> {
  const named = cluster || context !== undefined
  if (named && edge !== undefined) throw usage('an edge or a cluster', 'leave out --edge, or --cluster and --context')
  if (named || edge !== undefined || io.env['WAGGLE_EDGE']) return named
  return (await readCredentials(io)).current === undefined && hasKubeconfig(io)
}

/** An edge, as a place with resources. */
function edge(admin: Admin): Cluster {
  return {
    list: async (kind, namespace) =>
      (await admin.request('GET', 'resources', ShownList, { query: { kind, namespace } })).items,
    get: (kind, namespace, name) => admin.request('GET', `resources/${kind}/${namespace}/${name}`, Shown),
    close: () => Promise.resolve(),
  }
}

interface Column {
  head: string
  cell: (item: Shown) => string
}

function columnsFor(kinds: boolean, namespaces: boolean, wide: boolean): Column[] {
  const now = Date.now()
  return [
    ...(namespaces ? [{ head: 'NAMESPACE', cell: (item: Shown) => item.metadata.namespace }] : []),
    { head: 'NAME', cell: (item) => item.metadata.name },
    ...(kinds ? [{ head: 'KIND', cell: (item: Shown) => item.kind }] : []),
    { head: 'STATUS', cell: statusOf },
    { head: 'URL', cell: (item) => item.status?.url ?? '' },
    ...(kinds && !wide ? [] : [{ head: 'AGE', cell: (item: Shown) => age(item.metadata.creationTimestamp, now) }]),
    ...(wide
      ? [
          { head: 'REMOTE URL', cell: (item: Shown) => text(item.spec?.['remoteUrl']) },
          { head: 'BACKENDS', cell: (item: Shown) => text(item.status?.['backendCount']) },
          { head: 'MESSAGE', cell: (item: Shown) => item.status?.message ?? '' },
        ]
      : []),
  ]
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}
