// The matrix's features of servers that change: clients that asked for it hear of it.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './cell.ts'
import type { Cell, Feature } from './cell.ts'
import type { Visitor } from './visitors.ts'

const updated = 'notifications/resources/updated'
const grown = 'notifications/tools/list_changed'

/** Whether a client heard that a resource changed. */
export function hasNewsOf({ heard }: Pick<Visitor, 'heard'>, uri: string): boolean {
  return heard.some(({ method, params }) => method === updated && params?.['uri'] === uri)
}

/** Waits until the stream for what is about no call is there. */
export async function listening(visitor: Visitor): Promise<void> {
  if (visitor.revision === '2026-07-28') return
  await until('the GET stream is open', () => visitor.wire.opened.GET > 0)
}

/** Touches a resource until its subscriber hears of it: when a subscription holds at the server is up to the edge. */
export async function untilTold(visitor: Visitor, uri: string): Promise<void> {
  await until('news of the resource', async () => {
    await visitor.call('touch', { uri })
    await sleep(200)
    return hasNewsOf(visitor, uri)
  })
}

async function subscribe({ visitor }: Cell): Promise<void> {
  const uri = `note://${visitor.revision}/subscribe`
  await listening(visitor)
  await visitor.subscribe([uri])
  await visitor.call('touch', { uri: `note://${visitor.revision}/other` })
  await untilTold(visitor, uri)
  assert.ok(!hasNewsOf(visitor, `note://${visitor.revision}/other`), 'no news of others')
}

async function notOffered({ visitor }: Cell): Promise<void> {
  const resources = visitor.capabilities['resources'] as { subscribe?: boolean } | undefined
  assert.ok(resources?.subscribe !== true, 'resources.subscribe is not declared')
}

/** Whether a client heard that the list of tools changed. */
export function hasNewsOfTools({ heard }: Pick<Visitor, 'heard'>): boolean {
  return heard.some(({ method }) => method === grown)
}

async function listChanged({ visitor, key }: Cell, refetch?: () => Promise<void>): Promise<void> {
  await listening(visitor)
  const tools = visitor.capabilities['tools'] as { listChanged?: boolean } | undefined
  assert.equal(tools?.listChanged, true, 'tools.listChanged is declared')
  if (visitor.revision === '2026-07-28') await visitor.subscribe([])
  const name = nameFor(key)
  await visitor.call('grow', { name })
  await refetch?.()
  await until('news of the tools', () => hasNewsOfTools(visitor))
  await until('the tool is listed', async () => (await visitor.tools()).includes(name))
}

/** The name of a late tool. */
export const nameFor = (key: string): string => `late_${key.replaceAll(/\W+/g, '_')}`

export const changes: Readonly<Record<string, Feature>> = {
  subscribe: { works: subscribe, 'not offered': notOffered },
  list_changed: { works: (cell) => listChanged(cell), later: (cell) => listChanged(cell, cell.refetch) },
}
