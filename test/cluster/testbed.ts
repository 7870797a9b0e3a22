// The testbed by hand: `node test/cluster/testbed.ts` lists its verbs. The tests import the same functions.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { down, start, stop, up } from './bed/cluster.ts'
import { cut, guard, namespace } from './bed/network.ts'
import { bridge, cluster, images, programs } from './bed/plan.ts'
import type { Program } from './bed/plan.ts'
import * as store from './bed/store.ts'
import { cache, tools } from './bed/tools.ts'

const usage = `testbed build                        build the programs and the base images, once
testbed up [a b …]                   new clusters, from nothing
testbed down [a b …]                 remove them and all they made
testbed kubectl a ARGUMENT…          kubectl, as the administrator of cluster a
testbed helm a ARGUMENT…             helm, likewise
testbed exec a COMMAND…              a command in the network namespace of cluster a
testbed image NAME FOLDER SCRIPT…    an image that runs \`node SCRIPT…\` in FOLDER, for all clusters
testbed load NAME ARCHIVE            an image made elsewhere (OCI archive)
testbed tag NAME NEW                 another name for an image
testbed stop|start|restart a PROGRAM kill -9 and start: etcd, kube-apiserver, kubelet, containerd, …
testbed open|close a                 let connections from the bridge in, or not (closed at first)
testbed cut|heal a                   take the cluster's link down, and up again
testbed env                          where things are, as shell variables`

const [verb = '', ...rest] = process.argv.slice(2)
const clusters = (rest.length > 0 ? rest : ['a', 'b']).map((name) => () => cluster(name))
const [first = '', second = '', ...others] = rest

const verbs: Readonly<Record<string, () => unknown>> = {
  build: tools,
  up: async () => {
    const built = await tools()
    await Promise.all(clusters.map((one) => up(one(), built)))
  },
  down: () => Promise.all(clusters.map((one) => down(one()))),
  kubectl: async () => become([(await tools()).kube, 'kubectl', ...rest.slice(1)], administrator()),
  helm: async () => become([(await tools()).helm, ...rest.slice(1)], administrator()),
  exec: () => become(['nsenter', `--net=${namespace(cluster(first))}`, ...rest.slice(1)]),
  image: async () => {
    const config = { User: '1000:1000', WorkingDir: '/app', Entrypoint: ['/bin/node', ...others] }
    await store.build((await tools()).store, first, [{ folder: second, at: '/app' }], config, images.node)
  },
  load: async () => store.load((await tools()).store, first, second),
  tag: async () => store.tag((await tools()).store, first, second),
  start: async () => start(cluster(first), await tools(), program()),
  stop: async () => stop(cluster(first), await tools(), program()),
  restart: async () => {
    await stop(cluster(first), await tools(), program())
    await start(cluster(first), await tools(), program())
  },
  open: () => guard(cluster(first), false),
  close: () => guard(cluster(first), true),
  cut: () => cut(cluster(first), true),
  heal: () => cut(cluster(first), false),
  env: async () => {
    const { kube, helm } = await tools()
    const folders = { DIR_A: cluster('a').dir, DIR_B: cluster('b').dir }
    const variables = { OUTSIDE: bridge.address, KUBE: kube, HELM: helm, CACHE: cache, ...folders }
    for (const [name, value] of Object.entries(variables)) console.log(`TESTBED_${name}='${value}'`)
  },
}

const act = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
if (act === undefined) {
  console.error(usage)
  process.exitCode = 2
} else await act()

function administrator(): Record<string, string> {
  return { KUBECONFIG: join(cluster(first).dir, 'kubeconfig') }
}

function program(): Program {
  const found = programs.find((name) => name === second)
  if (found === undefined) throw new Error(`there is no program ${second}; there are ${programs.join(', ')}`)
  return found
}

/** Hands the terminal to another program and ends as it ends. */
function become([file = '', ...args]: string[], env: Record<string, string> = {}): void {
  const { status, error } = spawnSync(file, args, { stdio: 'inherit', env: { ...process.env, ...env } })
  if (error !== undefined) throw error
  process.exitCode = status ?? 1
}
