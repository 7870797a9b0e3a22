// Somebody outside who tries to get in: knows every address of a cluster, has routes to its pods and services, and never stops dialing.
// The program `fixtures/knocks.ts` dials, in a network namespace of its own.

import type { Pod, Service } from 'kubernetes-types/core/v1.js'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { call } from './bed/api.ts'
import { inhabitants, namespace, settle, unplug } from './bed/network.ts'
import type { Cluster } from './bed/plan.ts'
import { run, until } from './bed/shell.ts'

const place = { id: 'wgl-probe', address: '10.100.0.41' }
/** API server, kubelet, kube-proxy, controller manager, scheduler, etcd. */
const NODE_PORTS = [6443, 10250, 10256, 10257, 10259, 2379]
/** Of programs that say nothing about their ports: metrics, probes, catalogs, servers. */
const POD_PORTS = [8000, 8080, 8081, 9464]

export interface Knocks {
  readonly attempts: number
  /** `host:port` of whatever let somebody in. */
  readonly open: readonly string[]
}

export interface Prober {
  /** Dials what is in the clusters by now, too. */
  look(): Promise<void>
  /** What came of it. */
  stop(): Promise<Knocks>
}

export async function startProber(clusters: readonly Cluster[]): Promise<Prober> {
  await leave()
  settle(place)
  for (const { pods, services, address } of clusters)
    for (const network of [pods, services]) run(['ip', '-n', place.id, 'route', 'add', network, 'via', address])
  const program = join(import.meta.dirname, 'fixtures/knocks.ts')
  const child = spawn('nsenter', [`--net=${namespace(place)}`, process.execPath, program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const said = text(child.stdout)
  const look = async (): Promise<void> => {
    const found = await Promise.all(clusters.map(addresses))
    child.stdin.write(`${JSON.stringify(found.flat())}\n`)
  }
  await look()
  return {
    look,
    stop: async () => {
      child.stdin.end()
      const knocks = JSON.parse(await said) as Knocks
      await leave()
      return knocks
    },
  }
}

/** Everything in a cluster that may listen. */
async function addresses(cluster: Cluster): Promise<string[]> {
  const [services, pods] = await Promise.all([
    call<{ items: Service[] }>(cluster, 'GET', '/api/v1/services'),
    call<{ items: Pod[] }>(cluster, 'GET', '/api/v1/pods'),
  ])
  const found = new Set(NODE_PORTS.map((port) => `${cluster.address}:${port}`))
  for (const { spec } of services.items)
    for (const { port } of spec?.ports ?? [])
      if (spec?.clusterIP !== undefined && spec.clusterIP !== 'None') found.add(`${spec.clusterIP}:${port}`)
  for (const { status, spec } of pods.items) {
    const named = (spec?.containers ?? []).flatMap(({ ports = [] }) => ports.map(({ containerPort }) => containerPort))
    for (const port of [...POD_PORTS, ...named]) if (status?.podIP !== undefined) found.add(`${status.podIP}:${port}`)
  }
  return [...found]
}

async function leave(): Promise<void> {
  await until('the prober to end', () => {
    const left = inhabitants(place)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    return left.length === 0
  })
  unplug(place)
}
