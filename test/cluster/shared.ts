// One cluster for all files of a run: brought up by whoever comes first, taken down by the runner. Every file works in namespaces of its own.
import { join } from 'node:path'
import { call, Refusal } from './bed/api.ts'
import { inhabitants } from './bed/network.ts'
import { up } from './bed/cluster.ts'
import { cluster } from './bed/plan.ts'
import type { Cluster } from './bed/plan.ts'
import { run, until } from './bed/shell.ts'
import { kubectl, tools } from './bed/tools.ts'
import type { Tools } from './bed/tools.ts'

const HELM_S = 300

export interface Shared {
  readonly cluster: Cluster
  readonly tools: Tools
  /** kubectl as the administrator: what it prints. Throws with its complaint. */
  kubectl(args: readonly string[], input?: string): string
  /** helm as the administrator, waiting for what it installs. Throws with its complaint. */
  helm(args: readonly string[], input?: string): string
  /** An empty namespace of this name, whatever was in it before. */
  namespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>
}

/** The cluster `a`, or the one that TESTBED_CLUSTER names, up and ready. */
export async function sharedCluster(): Promise<Shared> {
  const built = await tools()
  const a = cluster(process.env.TESTBED_CLUSTER ?? 'a')
  if (!(await serves(a))) await up(a, built)
  return handle(a, built)
}

/** What tests do to a cluster that is up. */
export function handle(c: Cluster, built: Tools): Shared {
  return {
    cluster: c,
    tools: built,
    kubectl: (args, input) => kubectl(built, c.dir, args, input),
    helm: (args, input) => {
      const command = [built.helm, `--kubeconfig=${join(c.dir, 'kubeconfig')}`, ...args, `--timeout=${HELM_S}s`]
      return run(command, input === undefined ? {} : { input })
    },
    namespace: async (name, labels = {}) => {
      await remove(c, name)
      await call(c, 'POST', '/api/v1/namespaces', { metadata: { name, labels } })
      // A pod without it is refused.
      const account = `/api/v1/namespaces/${name}/serviceaccounts/default`
      await until(`the service account of ${name}`, () => call(c, 'GET', account))
    },
  }
}

async function serves(c: Cluster): Promise<boolean> {
  if (inhabitants(c).length === 0) return false
  return call<string>(c, 'GET', '/readyz').then(
    (answer) => answer === 'ok',
    () => false,
  )
}

async function remove(c: Cluster, name: string): Promise<void> {
  await until(`namespace ${name} to go`, () =>
    call(c, 'DELETE', `/api/v1/namespaces/${name}`).then(
      () => false,
      (error: unknown) => {
        if (error instanceof Refusal && error.status === 404) return true
        if (error instanceof Refusal && error.status === 409) return false
        throw error
      },
    ),
  )
}
