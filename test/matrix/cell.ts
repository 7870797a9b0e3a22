// A cell of docs/matrix.md while it is tested: one client, one server, and what the table's words mean as assertions.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kind, Server } from './servers.ts'
import type { Answer, Visitor } from './visitors.ts'

export interface Cell {
  readonly visitor: Visitor
  readonly kind: Kind
  readonly server: Server
  /** Has the edge fetch the server's catalog again, as a changed manifest does. */
  readonly refetch: () => Promise<void>
  /** Unique in the matrix. */
  readonly key: string
}

/** What a cell does when it is as the word in the table says; rejects when it is not. */
export type Check = (cell: Cell) => Promise<void>

/** A feature's possible words. */
export type Feature = Readonly<Record<string, Check>>

/** The text of an answer's only block. */
export function textOf(answer: Answer): string {
  assert.equal(answer.content.length, 1)
  return String(answer.content[0]?.['text'])
}

/** Waits until something is so, 8 s at most. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await holds())) {
    if (Date.now() > deadline) assert.fail(`not within 60 s: ${what}`)
    await sleep(25)
  }
}

/** Why a promise rejected; fails when it did not. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<{ code?: unknown; message: string; data?: unknown }> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (cause: unknown) => ({ cause }),
  )
  if ('value' in outcome) assert.fail(`did not fail: ${JSON.stringify(outcome.value).slice(0, 300)}`)
  return outcome.cause as { code?: unknown; message: string; data?: unknown }
}
