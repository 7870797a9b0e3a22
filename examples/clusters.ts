// `npm run demo:clusters`: two real Kubernetes clusters on this machine that nothing can dial into, an edge outside of both, and a vendor's server,
// behind one URL. Needs what the cluster tests need: Linux and root. Ends with Ctrl-C, and nothing is left.

import { setTimeout as sleep } from 'node:timers/promises'
import { bridge } from '../test/cluster/bed/plan.ts'
import { EDGE_URL } from '../test/cluster/edge.ts'
import { ENDPOINT, OPERATORS, furnish } from '../test/cluster/furnish.ts'
import { startScene, type Scene } from '../test/cluster/scene.ts'
import { exchange, toolNames } from '../test/peers/wire.ts'

const TOKEN_HOURS = 8
const PATIENCE_MS = 180_000
/** Tools of everything that runs; the last of them makes the page complete. */
const EXPECTED = ['grafana_list_alerts', 'github_list_issues', 'tracker_list_tickets']

let isInterrupted = false
const ending = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (isInterrupted) process.exit(1)
      isInterrupted = true
      console.log('\nEnding everything. This takes some seconds.')
      resolve()
    })
})

async function login({ edge }: Scene, sub: string, groups: readonly string[]): Promise<string> {
  return edge.token(ENDPOINT, { sub, groups, exp: Math.floor(Date.now() / 1000) + TOKEN_HOURS * 3600 })
}

/** Waits until everything is listed, or Ctrl-C. */
async function complete(token: string): Promise<readonly string[]> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const names = toolNames(await exchange(ENDPOINT, { method: 'tools/list', token }))
    if (EXPECTED.every((tool) => names.includes(tool))) return names
    if (isInterrupted) throw new Error('interrupted')
    if (Date.now() > end) throw new Error(`after ${PATIENCE_MS / 1000} s there are only the tools ${names.join(', ')}`)
    await sleep(500)
  }
}

async function page(scene: Scene): Promise<string> {
  const ada = await login(scene, 'ada', [OPERATORS])
  const ben = await login(scene, 'ben', [])
  const names = await complete(ada)
  const { dev, prod } = scene.sites
  const call = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'grafana_list_alerts', arguments: { cluster: '*' } },
  })
  return `
  One URL for two clusters and a vendor:

    ${ENDPOINT}

  ${names.length} tools. Where a server runs in both clusters its tools ask for the cluster: dev, prod, or "*" for all that only read.

  To log in, show a token of the demo's issuer (good for ${TOKEN_HOURS} hours) as "Authorization: Bearer …":

    ada, who is in the group ${OPERATORS} and may use both clusters:
    export ADA=${ada}

    ben, who may use dev:
    export BEN=${ben}

  A call in both clusters, from another terminal:

    curl --cacert ${scene.edge.folder}/ca.pem --resolve edge.test:443:${bridge.address} ${ENDPOINT} \\
      -H "Authorization: Bearer $ADA" -H 'content-type: application/json' -H 'accept: application/json, text/event-stream' \\
      -H 'mcp-protocol-version: 2025-11-25' -d '${call}'

  For other clients: \`${bridge.address} edge.test\` in /etc/hosts, and NODE_EXTRA_CA_CERTS=${scene.edge.folder}/ca.pem

  The clusters, which accept no connection from outside (try ${dev.cluster.address} and ${prod.cluster.address}):

    KUBECONFIG=${dev.cluster.dir}/kubeconfig kubectl get toolhive -A
    KUBECONFIG=${prod.cluster.dir}/kubeconfig kubectl get toolhive -A

  They have joined ${EDGE_URL} by these commands:

    ${scene.commands.join('\n    ')}

${await scene.edge.waggle(['status'])}
  Ctrl-C ends everything.
`
}

async function run(): Promise<void> {
  const scene = await startScene((step) => console.log(`  starting: ${step}`))
  try {
    console.log('  starting: the servers')
    await furnish(scene)
    console.log(await page(scene))
    await ending
  } finally {
    await scene.close()
  }
}

try {
  await run()
} catch (error) {
  // Ctrl-C ends programs that the start waits for.
  if (!isInterrupted) throw error
}
