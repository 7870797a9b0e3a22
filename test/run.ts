// `npm test`: everything, with real parts. Sets up what is missing first and fails loudly when it cannot.
//   npm test                 all layers
//   npm test -- unit         beside the code: protocol, gateway, crds, edge, cli
//   npm test -- edge         the edge on real workerd: clients, conformance, streams, faults, security, chaos, fuzz
//   npm test -- proxy        the proxies of a cluster as processes: clients, tokens, assertions
//   npm test -- link         clusters that join the edge, without Kubernetes
//   npm test -- cluster      on a real Kubernetes: the operator, charts and everything they install
// Prints node's own summary, whose closing lines say how many tests ran.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { glob } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { bundle } from '../cli/bundle.ts'
import { down } from './cluster/bed/cluster.ts'
import { cluster } from './cluster/bed/plan.ts'
import { tools } from './cluster/bed/tools.ts'
import { ensureRedis } from './redis.ts'

const root = dirname(import.meta.dirname)
const layers: Readonly<Record<string, readonly string[]>> = {
  unit: [
    'protocol/**/*.test.ts',
    'gateway/**/*.test.ts',
    'crds/**/*.test.ts',
    'edge/**/*.test.ts',
    'plan/**/*.test.ts',
    'agent/**/*.test.ts',
    'test/{,kube/}*.test.ts',
    'test/bench/*.test.ts',
  ],
  cli: ['cli/**/*.test.ts'],
  examples: ['examples/**/*.test.ts'],
  store: ['test/store/*.test.ts'],
  edge: [
    'test/{asks,chaos,clients,conformance,faults,fuzz,lossless,matrix,peers,security,streams,upstream}/**/*.test.ts',
  ],
  proxy: ['test/proxy/**/*.test.ts'],
  link: ['test/link/**/*.test.ts'],
  cluster: ['test/cluster/*.test.ts'],
}

async function files(wanted: readonly string[]): Promise<string[]> {
  const patterns = wanted.flatMap((layer) => layers[layer] ?? [])
  const found = new Set<string>()
  for await (const file of glob([...patterns], { cwd: root })) found.add(file)
  return [...found].sort()
}

const args = process.argv.slice(2)
const unknown = args.filter((layer) => layers[layer] === undefined)
if (unknown.length > 0) {
  console.error(`unknown layer ${unknown.join(', ')}; there are ${Object.keys(layers).join(', ')}`)
  process.exit(2)
}
const wanted = args.length > 0 ? args : Object.keys(layers)
if (wanted.includes('store') || wanted.includes('edge')) await ensureRedis()
if (wanted.some((layer) => layer !== 'unit' && layer !== 'cluster')) await bundle()

const totals = new Map<string, number>()

/** Runs test files in processes of their own, `width` at a time; its closing counts are added to the totals. */
async function phase(paths: readonly string[], width: number, limitMs: number): Promise<boolean> {
  if (paths.length === 0) return true
  const options = ['--test', '--test-reporter=spec', `--test-concurrency=${width}`, `--test-timeout=${limitMs}`]
  const child = spawn(process.execPath, [...options, ...paths], { cwd: root, stdio: ['inherit', 'pipe', 'inherit'] })
  for await (const line of createInterface(child.stdout)) {
    const [, word, count] = /^ℹ (\w+) ([\d.]+)$/u.exec(line) ?? []
    if (word === undefined) console.log(line)
    else totals.set(word, (totals.get(word) ?? 0) + Number(count))
  }
  // The output ends before the process does.
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode === 0
}

// Two files at a time: every edge test runs workerd and servers of its own. A cluster is shared, and busy by itself.
const passed = await phase(await files(wanted.filter((layer) => layer !== 'cluster')), 2, 600_000)
let served = true
if (wanted.includes('cluster')) {
  await tools()
  try {
    served = await phase(await files(['cluster']), 1, 1_800_000)
  } finally {
    for (const letter of 'abcdefo') await down(cluster(letter))
  }
}
for (const [word, count] of totals) console.log(`ℹ ${word} ${count}`)
process.exitCode = passed && served ? 0 : 1
