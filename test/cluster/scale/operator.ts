// The operator as its image runs it, outside the cluster: access comes from the testbed's kubeconfig instead of a pod's files.
// Bundled and spawned by scale.test.ts.

import { run } from '../../../agent/operator/main.ts'
import { readAccess } from '../bed/api.ts'

const { server, ca, token } = readAccess(process.env['KUBECONFIG'] ?? '')
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort(new Error('SIGTERM')))
await run(stop.signal, process.env, {
  server,
  ca: ca.toString(),
  authorization: () => Promise.resolve(`Bearer ${token}`),
})
