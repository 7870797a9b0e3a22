// By hand: what one large result costs the edge. `node test/upstream/large.ts [megabytes] [eras]` prints, for each way a result can
// travel, the resident memory of workerd above its baseline and how long it took.

import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import { residentMiB } from '../faults/memory.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'

const size = Number(process.argv[2] ?? 20) * 1_000_000
const eras = (process.argv[3] ?? 'modern,legacy').split(',') as ('modern' | 'legacy')[]
const fillers = {
  'one text': JSON.stringify([{ type: 'text', text: 'x'.repeat(size) }]),
  'many texts': JSON.stringify(Array.from({ length: 1000 }, () => ({ type: 'text', text: 'x'.repeat(size / 1000) }))),
  accents: JSON.stringify([{ type: 'text', text: 'é'.repeat(size / 2) }]),
  bees: JSON.stringify([{ type: 'text', text: '🐝'.repeat(size / 4) }]),
  mixed: `[${Array.from({ length: 100 }, () => `{"type":"text","text":${JSON.stringify('plain é 漢 🐝 "quoted" \\ \n\t '.repeat(size / 4_400))}}`).join(',')}]`,
} as const

/** The highest resident memory since the mark was last reset, in MiB. */
async function highWater(pid: number): Promise<number> {
  const [, kib = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}

for (const era of eras) {
  for (const reply of ['json', 'sse'] as const) {
    for (const [name, content] of Object.entries(fillers)) {
      if (process.argv[4] !== undefined && name !== process.argv[4]) continue
      const recorder = await startRecorder({ era, reply })
      const edge = await startEdge({ resources: [entry('big', recorder.url), virtual('big', ['big'])] })
      const endpoint = edge.endpoint('big')
      const token = await edge.token(endpoint)
      await edge.lists(endpoint, ['echo'])
      const session = era === 'legacy' ? await openSession(endpoint, token) : undefined
      const call = { method: 'tools/call', params: { name: 'echo', arguments: {} }, token, era, session } as const
      for (let warm = 0; warm < 50; warm += 1) await exchange(endpoint, call)
      recorder.on('tools/call', () => `{"content":${content}}`)
      await sleep(1000)
      const base = await residentMiB(edge.pid)
      const results: string[] = []
      for (let round = 0; round < 3; round += 1) {
        await writeFile(`/proc/${edge.pid}/clear_refs`, '5')
        const started = performance.now()
        const { body } = await exchange(endpoint, call)
        const ms = performance.now() - started
        if (body.length < size / 4) throw new Error(body.slice(0, 300))
        results.push(`+${((await highWater(edge.pid)) - base).toFixed(0)} MiB ${ms.toFixed(0)} ms`)
      }
      await sleep(3000)
      const after = (await residentMiB(edge.pid)) - base
      process.stdout.write(`${era} ${reply} ${name}: ${results.join(', ')}; later +${after.toFixed(0)} MiB\n`)
      await edge.close()
      await recorder.close()
    }
  }
}
