// The matrix's features of broken streams: between client and edge, and between edge and server.

import assert from 'node:assert/strict'
import { rejection, textOf, until } from './cell.ts'
import type { Cell, Feature } from './cell.ts'
import { hasNewsOf, hasNewsOfTools, listening, nameFor, untilTold } from './changes.ts'

/** Begins a call and cuts its stream after its first message. `timeout` is how long the client waits. */
async function cut({ visitor, server, key }: Cell, timeout: number): Promise<{ answer: Promise<string> }> {
  let steps = 0
  const answer = visitor.call('resumable', { key }, { onprogress: () => (steps += 1), timeout }).then(textOf)
  answer.catch(() => undefined)
  await until('the call has begun', () => steps === 1 && server.journal.times(key) === 1)
  visitor.wire.cut('POST')
  return { answer }
}

async function resumes(cell: Cell): Promise<void> {
  const { answer } = await cut(cell, 10_000)
  cell.server.journal.release(cell.key)
  assert.equal(await answer, `resumed ${cell.key}`)
  assert.equal(cell.server.journal.times(cell.key), 1, 'executed once')
}

/** The client's library gives up, at once or when its patience ends, and the server is told. */
async function ends(cell: Cell): Promise<void> {
  const { answer } = await cut(cell, 3_000)
  await rejection(answer)
  await until('the server hears that nobody waits', () => cell.server.journal.cancelled(cell.key))
  assert.equal(cell.server.journal.times(cell.key), 1, 'executed once')
}

/** The connection between edge and server breaks in mid-call, or the server leaves it (SEP-1699); the client notices nothing. */
async function followed({ visitor, server, key }: Cell): Promise<void> {
  for (const tool of ['cut', 'leave']) {
    const one = `${key} ${tool}`
    assert.equal(textOf(await visitor.call(tool, { key: one })), `survived ${one}`)
    assert.equal(server.journal.times(one), 1, 'executed once')
  }
}

/** The call fails at once, typed; it is not repeated. */
async function fails({ visitor, server, key }: Cell): Promise<void> {
  const { code, data } = await rejection(visitor.call('cut', { key }, { timeout: 5_000 }))
  assert.equal(code, 1502)
  assert.equal((data as { reason?: string } | undefined)?.reason, 'backend_unavailable')
  assert.equal(server.journal.times(key), 1, 'executed once')
}

async function streamResumes(cell: Cell): Promise<void> {
  const { visitor, key, kind } = cell
  await listening(visitor)
  if (kind === 'legacy stateless') {
    // Such a server has no news but its catalog, when that is fetched.
    const name = nameFor(key)
    visitor.wire.cut('GET', true)
    await visitor.call('grow', { name })
    await cell.refetch()
    await until('the tool is listed', async () => (await visitor.tools()).includes(name))
    visitor.wire.mend()
    await until('the news from in between', () => hasNewsOfTools(visitor))
    return
  }
  const uri = `note://${visitor.revision}/stream`
  await visitor.subscribe([uri])
  await untilTold(visitor, uri)
  const before = visitor.heard.length
  visitor.wire.cut('GET', true)
  await visitor.call('touch', { uri })
  visitor.wire.mend()
  await until('the news from in between', () => hasNewsOf({ heard: visitor.heard.slice(before) }, uri))
}

/** Nothing is replayed in 2026-07-28: a client that listens again hears what comes then, and reads what it missed. */
async function listensAgain({ visitor }: Cell): Promise<void> {
  const uri = `note://${visitor.revision}/stream`
  await visitor.subscribe([uri])
  visitor.wire.cut('POST')
  await visitor.subscribe([uri])
  await untilTold(visitor, uri)
}

async function listensAgainForTools(cell: Cell): Promise<void> {
  await cell.visitor.subscribe([])
  cell.visitor.wire.cut('POST')
  await cell.visitor.subscribe([])
  const name = nameFor(cell.key)
  await cell.visitor.call('grow', { name })
  await cell.refetch()
  await until('news of the tools', () => hasNewsOfTools(cell.visitor))
  await until('the tool is listed', async () => (await cell.visitor.tools()).includes(name))
}

export const resume: Readonly<Record<string, Feature>> = {
  'resume a call': { works: resumes, ends, 'not in this revision': ends },
  'resume the GET stream': {
    works: streamResumes,
    'not in this revision': (cell) =>
      cell.kind === 'legacy stateless' ? listensAgainForTools(cell) : listensAgain(cell),
  },
  'server lost in mid-call': { works: followed, 'error 1502': fails },
}
