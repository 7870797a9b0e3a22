// The matrix's features of broken streams: between client and edge, and between edge and server.

import assert from 'node:assert/strict'
import { rejection, textOf, until } from './cell.ts'
import type { Cell, Feature } from './cell.ts'
import { hasNewsOf, listening } from './changes.ts'

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

/** The server leaves the stream of its call, as SEP-1699 lets it; the client notices nothing. */
async function followed({ visitor, server, key }: Cell): Promise<void> {
  assert.equal(textOf(await visitor.call('leaving', { key })), `left ${key}`)
  assert.equal(server.journal.times(key), 1, 'executed once')
}

async function streamResumes({ visitor }: Cell): Promise<void> {
  const uri = `note://${visitor.revision}/stream`
  await listening(visitor)
  await visitor.subscribe([uri])
  await until('news of the resource', async () => {
    await visitor.call('touch', { uri })
    return hasNewsOf(visitor, uri)
  })
  const before = visitor.heard.length
  visitor.wire.cut('GET', true)
  await visitor.call('touch', { uri })
  visitor.wire.mend()
  await until('the news from in between', () => hasNewsOf({ ...visitor, heard: visitor.heard.slice(before) }, uri))
}

export const resume: Readonly<Record<string, Feature>> = {
  'resume a call': { works: resumes, ends, 'not in this revision: ends': ends },
  'resume the GET stream': { works: streamResumes },
  'resume at the server': { works: followed },
}
