// `npm test`: everything, with real parts. Sets up what is missing first and fails loudly when it cannot.
//   npm test                 all layers
//   npm test -- unit         beside the code: protocol, gateway, crds, edge, cli
//   npm test -- edge         the edge on real workerd: clients, conformance, streams, faults, security, chaos, fuzz
// Prints node's own summary, whose closing lines say how many tests ran.

import { spawn } from 'node:child_process'
import { glob } from 'node:fs/promises'
import { dirname } from 'node:path'
import { bundle } from '../cli/bundle.ts'
import { ensureRedis } from './redis.ts'

const root = dirname(import.meta.dirname)
const layers: Readonly<Record<string, readonly string[]>> = {
  unit: [
    'protocol/**/*.test.ts',
    'gateway/**/*.test.ts',
    'crds/**/*.test.ts',
    'edge/**/*.test.ts',
    'test/*.test.ts',
    'test/bench/*.test.ts',
  ],
  cli: ['cli/**/*.test.ts'],
  examples: ['examples/**/*.test.ts'],
  store: ['test/store/*.test.ts'],
  edge: [
    'test/{asks,chaos,clients,conformance,faults,fuzz,lossless,matrix,peers,security,streams,upstream}/**/*.test.ts',
  ],
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
if (wanted.some((layer) => layer !== 'unit')) await bundle()
const paths = await files(wanted)
// Two files at a time: every edge test runs workerd and servers of its own.
const child = spawn(process.execPath, ['--test', '--test-concurrency=2', '--test-timeout=300000', ...paths], {
  cwd: root,
  stdio: 'inherit',
})
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
