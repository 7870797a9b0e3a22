// The whole of it on one machine: two clusters that nothing can dial into, an edge outside of both, a vendor, one issuer. The clusters join as
// an admin lets them: by the command line, and by the commands that it prints.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Manifest } from '../peers/manifests.ts'
import { down, up } from './bed/cluster.ts'
import { cluster as letter } from './bed/plan.ts'
import type { Cluster } from './bed/plan.ts'
import { perform } from './bed/shell.ts'
import { tools } from './bed/tools.ts'
import type { Tools } from './bed/tools.ts'
import { EDGE_ADDRESS, startGlobalEdge } from './edge.ts'
import type { GlobalEdge } from './edge.ts'
import { publishAgent, publishFixtures } from './image.ts'
import { startOutside } from './outside.ts'
import type { Outside } from './outside.ts'
import { SYSTEM, examples } from './release.ts'

export const NAMESPACE = 'platform-tools'
/** What the edge calls the two: `dev` joins by its ServiceAccount, `prod` by a join token. */
export type SiteName = 'dev' | 'prod'

/** A joined cluster, and its administrator. */
export interface Site {
  readonly name: SiteName
  readonly cluster: Cluster
  /** What kubectl prints. Rejects with its complaint. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>
  /** Applies manifests to the namespace of the fleet, as `kubectl apply -f` does. */
  apply(...manifests: readonly (string | object)[]): Promise<void>
}

export interface Scene {
  readonly edge: GlobalEdge
  readonly outside: Outside
  readonly tools: Tools
  readonly sites: Readonly<Record<SiteName, Site>>
  /** The commands that the command line printed for each cluster, as they were run. */
  readonly commands: readonly string[]
  close(): Promise<void>
}

const root = dirname(dirname(import.meta.dirname))
const letters: Readonly<Record<SiteName, string>> = { dev: 'c', prod: 'd' }
const names: readonly SiteName[] = ['dev', 'prod']

/** Brings everything up; `onStep` hears what is done next. Rejects, with nothing left running, when something fails. */
export async function startScene(onStep: (step: string) => void = () => {}): Promise<Scene> {
  const built = await tools()
  const closing: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const end of closing.toReversed()) await end()
    closing.length = 0
  }
  try {
    onStep('two clusters')
    const clusters = names.map((name) => letter(letters[name]))
    closing.push(async () => void (await Promise.all(clusters.map(down))))
    const images = Promise.all([publishFixtures(built.store), publishAgent(built.store)])
    await Promise.all([images, ...clusters.map((one) => up(one, built))])
    onStep('the edge, an issuer and a vendor')
    const outside = await startOutside(EDGE_ADDRESS)
    closing.push(() => outside.close())
    const edge = await startGlobalEdge(outside)
    closing.push(() => edge.close())
    const sites = Object.fromEntries(names.map((name) => [name, siteOf(name, letter(letters[name]), built)])) as Record<
      SiteName,
      Site
    >
    onStep('the clusters join')
    const commands = (await Promise.all(names.map((name) => admit(sites[name], edge, outside, built)))).flat()
    return { edge, outside, tools: built, sites, commands, close }
  } catch (error) {
    await close()
    throw error
  }
}

function siteOf(name: SiteName, cluster: Cluster, { kube }: Tools): Site {
  const kubectl: Site['kubectl'] = (args, input) =>
    perform(
      [kube, 'kubectl', `--kubeconfig=${join(cluster.dir, 'kubeconfig')}`, ...args],
      input === undefined ? {} : { input },
    )
  return {
    name,
    cluster,
    kubectl,
    apply: async (...manifests) => {
      const files = manifests.filter((one) => typeof one === 'string')
      const items = manifests.filter((one) => typeof one !== 'string')
      for (const file of files) await kubectl(['apply', '-n', NAMESPACE, '-f', join(examples, file)])
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
      if (items.length > 0) await kubectl(['apply', '-n', NAMESPACE, '-f', '-'], list)
    },
  }
}

/** What a resource says of the edge: the status and the reason of its condition `EdgeRegistered`. */
export async function edgeRegistered(site: Site, resource: string, namespace = NAMESPACE): Promise<string> {
  const path = '{.status.conditions[?(@.type=="EdgeRegistered")]}'
  const text = await site.kubectl(['get', '-n', namespace, resource, '-o', `jsonpath=${path}`])
  const { status, reason } = JSON.parse(text === '' ? '{}' : text) as { status?: string; reason?: string }
  return `${status} ${reason}`
}

/** Lets a cluster join: what an admin types at the edge, and then in the cluster. Returns what was run there. */
async function admit(site: Site, edge: GlobalEdge, outside: Outside, built: Tools): Promise<string[]> {
  const { name, cluster, kubectl } = site
  const kubeconfig = { KUBECONFIG: join(cluster.dir, 'kubeconfig') }
  const how = name === 'dev' ? '--from-kubeconfig' : '--join-token'
  const printed = await edge.waggle(['cluster', 'add', name, how, '--allow-namespace', NAMESPACE], kubeconfig)
  const lines = printed.trim().split('\n')
  const path = programs(edge, built, name)
  const run = async (line: string): Promise<void> => {
    const env = { ...(await edge.login()), ...kubeconfig, PATH: `${path}:${process.env['PATH'] ?? ''}` }
    await perform(['sh', '-ec', line], { cwd: root, env })
  }
  const [crds = '', ...rest] = lines
  await run(crds)
  await kubectl(['create', 'namespace', NAMESPACE])
  await kubectl(['create', 'configmap', 'outside-ca', '-n', SYSTEM, `--from-literal=ca.crt=${outside.ca}`])
  const values = ['operator.extraCA.configMap=outside-ca', 'operator.egress.allow={mcp.linear.app,idp.test}']
  // One cluster has a login of its own for those inside, the other has none.
  if (name === 'dev') {
    const spec = { type: 'inline', inline: { issuer: outside.issuer.url } }
    await site.apply(manifest('MCPOIDCConfig', 'fleet', spec))
    values.push('operator.defaultOIDCConfigRef.name=fleet', `operator.defaultOIDCConfigRef.namespace=${NAMESPACE}`)
  }
  const more = values.map((value) => ` --set '${value}'`).join('')
  for (const line of rest) await run(line.includes('charts/waggle-agent') ? line + more : line)
  return lines
}

/** The programs that printed commands name, as an admin of the cluster has them. */
function programs(edge: GlobalEdge, { kube, helm }: Tools, name: string): string {
  const folder = join(edge.folder, `bin-${name}`)
  mkdirSync(folder)
  const scripts = {
    helm: `exec ${helm} "$@"`,
    kubectl: `exec ${kube} kubectl "$@"`,
    waggle: edge.script,
  }
  for (const [program, line] of Object.entries(scripts)) {
    writeFileSync(join(folder, program), `#!/bin/sh\n${line}\n`)
    chmodSync(join(folder, program), 0o755)
  }
  return folder
}

/** A resource of the ToolHive group in the namespace of the fleet. */
export function manifest(
  kind: string,
  name: string,
  spec: Readonly<Record<string, unknown>>,
  annotations?: Readonly<Record<string, string>>,
): Manifest {
  const metadata = { name, namespace: NAMESPACE, ...(annotations !== undefined && { annotations }) }
  return { apiVersion: 'toolhive.stacklok.dev/v1beta1', kind, metadata, spec }
}
