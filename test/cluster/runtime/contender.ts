// A process that wants to lead and writes as long as it does, several writes at once, each with its name and a number.
// Arguments: kubeconfig, namespace, identity. Says `waits`, and `leads` when it does; ends with 1 when it lost the lead.

import { kubeconfigAccess } from '../../../agent/kube/access.ts'
import { KubeClient } from '../../../agent/kube/client.ts'
import { LeaderElection } from '../../../agent/kube/leader.ts'
import { TYPES } from '../../../agent/kube/object.ts'

const [path = '', namespace = '', identity = ''] = process.argv.slice(2)
const access = await kubeconfigAccess({ path })
const timing = { leaseMs: 15_000, renewMs: 10_000, retryMs: 500 }
const election = new LeaderElection(new KubeClient(access, { connections: 1 }), {
  namespace,
  name: 'lead',
  identity,
  ...timing,
})
const stop = new AbortController()
console.log('waits')
const leadership = await election.acquire(stop.signal)
const { fence } = leadership
process.on('SIGTERM', () => {
  void leadership.release().then(() => process.exit(0))
})
fence.signal.addEventListener('abort', () => console.log('lost'))
console.log('leads')
const client = new KubeClient(access).fenced(fence)
let count = 0

/** Goes on whatever happens: it is the fence that must keep it from writing. */
async function write(slot: number): Promise<void> {
  const refused: unknown[] = []
  while (refused.length < 200) {
    const data = { who: identity, count: `${++count}` }
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `slot-${slot}`, namespace }, data }
    await client.apply(object, TYPES.ConfigMap, { manager: 'contender' }).catch((error: unknown) => refused.push(error))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

await Promise.all(Array.from({ length: 12 }, (_, slot) => write(slot)))
process.exit(1)
