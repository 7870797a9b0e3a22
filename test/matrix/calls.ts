// The matrix's features of a call: its answer, what comes before it, its end.

import assert from 'node:assert/strict'
import { bigText, blob } from './content.ts'
import { rejection, textOf, until } from './cell.ts'
import type { Cell, Feature } from './cell.ts'

async function add({ visitor }: Cell): Promise<void> {
  assert.equal(textOf(await visitor.call('add', { a: 2, b: 3 })), '5')
}

async function progress({ visitor }: Cell): Promise<void> {
  const steps: number[] = []
  const answer = await visitor.call('slow', {}, { onprogress: (step) => steps.push(step.progress) })
  assert.equal(textOf(answer), 'done')
  assert.deepEqual(steps, [1, 2, 3])
}

async function cancel({ visitor, server, key }: Cell): Promise<void> {
  const controller = new AbortController()
  const failed = rejection(visitor.call('wait', { key }, { signal: controller.signal }))
  await until('the server works', () => server.journal.times(key) === 1)
  controller.abort('changed my mind')
  await failed
  await until('the server hears that the call was cancelled', () => server.journal.cancelled(key))
  assert.equal(server.journal.times(key), 1)
}

async function logging({ visitor }: Cell): Promise<void> {
  await visitor.setLevel('info')
  assert.equal(textOf(await visitor.call('log')), 'logged')
  const said = (): unknown[] =>
    visitor.heard.filter(({ method }) => method === 'notifications/message').map(({ params }) => params?.['data'])
  await until('the message of the call arrives', () => said().includes('info of the call'))
  assert.ok(!said().some((data) => String(data).startsWith('debug')), 'nothing below the level')
}

async function big({ visitor }: Cell): Promise<void> {
  // Compared without printing them.
  assert.ok(textOf(await visitor.call('big')) === bigText, 'the text is as the server sent it')
  const answer = await visitor.call('big_blob')
  const resource = answer.content[0]?.['resource'] as { blob?: string } | undefined
  assert.ok(resource?.blob === blob, 'the blob is as the server sent it')
}

export const calls: Readonly<Record<string, Feature>> = {
  call: { works: add },
  progress: { works: progress },
  cancel: { works: cancel },
  logging: { works: logging },
  '20 MB result': { works: big },
}
