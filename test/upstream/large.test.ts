// Results of many megabytes pass as they came, in either era and on either transport, for what they weigh and not many times
// that. `large.ts` measures the same by hand.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { peakMiB, residentMiB } from '../faults/memory.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'
import { startResumable } from './resumable.ts'
import type { Resumable } from './resumable.ts'

const MEGABYTES = 20
/** Three times the result, and what a garbage collector leaves lying about. */
const MAX_MIB = 3 * MEGABYTES + 40

/** JSON text of `content`: long strings with every kind of character and escape, among short ones. */
function cargo(megabytes: number): string {
  const long = JSON.stringify('plain é 漢 🐝 "quoted" \\ \n\t\u0001\u2028 '.repeat(5_000)).replaceAll(
    'é',
    String.raw`\u00E9`,
  )
  const block = `{"type":"text", "text":${long},"_meta":{"n":12345678901234567890,"a":"b"}}`
  const count = Math.ceil((megabytes * 1_000_000) / Buffer.byteLength(block))
  return `[${Array.from({ length: count }, () => block).join(',\n ')}]`
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

describe('large results', () => {
  const peers: Recorder[] = []
  let old: Resumable
  let edge: TestEdge
  const content = cargo(MEGABYTES)

  before(async () => {
    for (const era of ['modern', 'legacy'] as const)
      for (const reply of ['json', 'sse'] as const) peers.push(await startRecorder({ era, reply }))
    old = await startResumable('sse')
    edge = await startEdge({
      resources: [
        ...peers.flatMap((peer) => [entry(nameOf(peer), peer.url), virtual(nameOf(peer), [nameOf(peer)])]),
        entry('old', old.url, { transport: 'sse' }),
        virtual('old', ['old']),
      ],
    })
    for (const peer of peers) await edge.lists(edge.endpoint(nameOf(peer)), ['echo'])
    await edge.lists(edge.endpoint('old'), ['count'])
  })
  after(async () => {
    await edge?.close()
    await Promise.all([...peers, old].map((peer) => peer?.close()))
  })

  const nameOf = ({ era, reply }: Recorder): string => `${era}-${reply}`

  for (const name of ['modern-json', 'modern-sse', 'legacy-json', 'legacy-sse']) {
    for (const era of ['modern', 'legacy'] as const) {
      test(`${MEGABYTES} MB of a ${name} server reach a ${era} client byte for byte`, async () => {
        const peer = peers.find((one) => nameOf(one) === name)
        assert.ok(peer)
        peer.on('tools/call', () => `{"content":${content}}`)
        const endpoint = edge.endpoint(name)
        const token = await edge.token(endpoint)
        const session = era === 'legacy' ? await openSession(endpoint, token) : undefined
        await sleep(500)
        const base = await residentMiB(edge.pid)
        let body = ''
        const peak = await peakMiB(edge.pid, async () => {
          const params = { name: 'echo', arguments: {} }
          const answered = await exchange(endpoint, { method: 'tools/call', params, token, era, session })
          body = answered.texts.at(-1) ?? answered.body.slice(0, 300)
        })
        const at = body.indexOf('"content":') + '"content":'.length
        const received = body.slice(at, at + content.length)
        // Line breaks between values may not survive an event stream, which has lines of its own.
        assert.equal(digest(received.replaceAll('\n', '')), digest(content.replaceAll('\n', '')), body.slice(0, 300))
        assert.ok(peak - base < MAX_MIB, `${(peak - base).toFixed(0)} MiB`)
      })
    }
  }

  for (const era of ['modern', 'legacy'] as const) {
    test(`20 MB of an old SSE server reach a ${era} client`, async () => {
      const endpoint = edge.endpoint('old')
      const token = await edge.token(endpoint)
      const session = era === 'legacy' ? await openSession(endpoint, token) : undefined
      const params = { name: 'large', arguments: {} }
      const { answer, body } = await exchange(endpoint, { method: 'tools/call', params, token, era, session })
      const [block] = (answer?.result?.['content'] ?? []) as { text: string }[]
      assert.equal(block?.text.length, 20_000_000, body.slice(0, 300))
    })
  }

  test('what is large and no JSON is refused as what is small and none', async () => {
    const endpoint = edge.endpoint('modern-json')
    const token = await edge.token(endpoint)
    const peer = peers[0]
    assert.ok(peer)
    const ask = { method: 'tools/call', params: { name: 'echo', arguments: {} }, token } as const
    for (const broken of [
      content.replace('plain', 'pl\u0001in'),
      content.replace('\\n', '\\x'),
      content.slice(0, -2),
      content.replace('"type"', 'type'),
    ]) {
      peer.on('tools/call', () => `{"content":${broken}}`)
      const { answer, body } = await exchange(endpoint, ask)
      assert.equal(answer?.error?.data?.['reason'], 'backend_protocol', body.slice(0, 300))
    }
  })
})
