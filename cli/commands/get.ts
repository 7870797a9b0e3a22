// `waggle get`: resources with their status, as a table, or whole as YAML or JSON that `apply` takes back.

import { stringify } from 'yaml'
import { type Admin, connect } from '../admin.ts'
import { type Command, nameOf, namespaceOf, namespaceOptions, parse } from '../command.ts'
import { usage } from '../failure.ts'
import { Shown, ShownList, kindNamed, reference, statusOf } from '../resource.ts'
import { age, table } from '../table.ts'

const outputs = ['wide', 'json', 'yaml', 'name']

export const get: Command = {
  summary: 'show resources and how they are',
  help: `waggle get [KIND] [NAME …] [-n NAMESPACE | -A] [-o wide|json|yaml|name] [--edge URL]

  KIND              a kind, its plural or a short name: VirtualMCPServer, virtualmcpservers, vmcp; without: all kinds
  -n, --namespace   default: default
  -A, --all-namespaces
  -o, --output      wide: more columns; json, yaml: everything; name: names only`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      ...namespaceOptions,
      'all-namespaces': { type: 'boolean', short: 'A' },
      output: { type: 'string', short: 'o' },
    })
    const { output, 'all-namespaces': everywhere = false } = values
    if (output !== undefined && !outputs.includes(output)) {
      throw usage(`there is no output ${JSON.stringify(output)}`, `use one of ${outputs.join(', ')}`)
    }
    const [word, ...names] = slashed(positionals)
    const kind = word === undefined || word === 'all' || word === 'toolhive' ? undefined : kindNamed(word)
    if (kind === undefined && names.length > 0)
      throw usage('a name needs its kind', 'for instance: waggle get vmcp NAME')
    if (everywhere && names.length > 0) throw usage('a name is in one namespace', 'give it with -n instead of -A')
    const namespace = namespaceOf(values.namespace)
    const admin = await connect(io, values.edge)
    const items =
      names.length === 0
        ? await list(admin, kind, everywhere ? undefined : namespace)
        : await Promise.all(
            names.map((name) => admin.request('GET', `resources/${kind}/${namespace}/${nameOf('name', name)}`, Shown)),
          )

    const whole = names.length === 1 ? items[0] : { apiVersion: 'v1', kind: 'List', items }
    if (output === 'json') return io.out(JSON.stringify(whole, null, 2))
    if (output === 'yaml') return io.out(stringify(whole).trimEnd())
    if (output === 'name') return items.forEach((item) => io.out(reference(item.kind, item.metadata.name)))
    if (items.length === 0) {
      const where = everywhere ? 'at this edge' : `in the namespace ${namespace}`
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

async function list(admin: Admin, kind: string | undefined, namespace: string | undefined): Promise<Shown[]> {
  return (await admin.request('GET', 'resources', ShownList, { query: { kind, namespace } })).items
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
