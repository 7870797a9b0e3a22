// What a run leaves behind: memory, sockets and awake objects of workerd, sessions and streams at the backends.

import { setTimeout as sleep } from 'node:timers/promises'
import { awakeObjects, openFiles } from '../bench/objects.ts'
import { residentMiB } from '../faults/memory.ts'
import type { Backend } from './backend.ts'
import type { EdgeProcess } from './process.ts'

export interface Footprint {
  readonly residentMiB: number
  readonly sockets: number
  /** Awake Durable Objects by class. */
  readonly objects: Readonly<Record<string, number>>
  /** Sessions at the backends that nobody ended. */
  readonly sessions: number
  /** Responses that the backends have not finished: calls, and streams held open. */
  readonly responses: number
}

export async function footprint(edge: EdgeProcess, backends: readonly Backend[]): Promise<Footprint> {
  const files = openFiles(edge.pid)
  return {
    residentMiB: Math.round(await residentMiB(edge.pid)),
    sockets: files.filter((file) => file.startsWith('socket:')).length,
    objects: Object.fromEntries(awakeObjects(edge.pid)),
    sessions: backends.reduce((sum, backend) => sum + backend.sessions(), 0),
    responses: backends.reduce((sum, backend) => sum + backend.responses(), 0),
  }
}

/** What may remain. */
export interface Allowance {
  /** Sessions that nobody could end. */
  readonly sessions: number
  /** More resident memory, as a part of what there was. */
  readonly growth: number
}

/** What is more than it was, in words; empty when everything is back. */
export function excess(before: Footprint, after: Footprint, { sessions, growth }: Allowance): string[] {
  const found: string[] = []
  const more = (what: string, was: number, is: number, allowed: number): void => {
    if (is > was + allowed) found.push(`${what}: ${was} before, ${is} after`)
  }
  more('resident MiB', before.residentMiB, after.residentMiB, before.residentMiB * growth)
  more('sockets', before.sockets, after.sockets, 8)
  more('sessions at the backends', before.sessions, after.sessions, sessions)
  more('responses under way', before.responses, after.responses, 2)
  for (const [className, count] of Object.entries(after.objects))
    more(className, before.objects[className] ?? 0, count, 2)
  return found
}

/** Waits until nothing is more than it was, at most so long; returns what there is then. */
export async function settled(
  edge: EdgeProcess,
  backends: readonly Backend[],
  before: Footprint,
  allowed: Allowance,
  deadlineMs: number,
): Promise<Footprint> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const after = await footprint(edge, backends)
    if (excess(before, after, allowed).length === 0 || performance.now() > deadline) return after
    await sleep(500)
  }
}
