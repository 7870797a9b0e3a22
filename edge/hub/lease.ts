// How long a cluster may be silent before which consequence, and when to look again. Pure: the hub wakes up for it as rarely as
// possible, and never while its links are in use or a minute long after.

import type { Presence } from '../documents/registry.ts'

/** In milliseconds of silence. */
export interface LinkClock {
  /** A link is avoided while there is another. */
  readonly suspect: number
  /** A link is closed, and a cluster without one counts as offline. */
  readonly offline: number
  readonly delist: number
  readonly evict: number
}

const DEFAULT = '25,45,600,86400'

/** Reads the setting LINK_CLOCK. Throws an Error that names it. */
export function linkClock(setting: string | undefined): LinkClock {
  const text = setting === undefined || setting === '' ? DEFAULT : setting
  const seconds = text.split(',').map(Number)
  const [suspect = 0, offline = 0, delist = 0, evict = 0] = seconds.map((one) => one * 1000)
  const rises = 0 < suspect && suspect <= offline && offline <= delist && delist <= evict && Number.isFinite(evict)
  if (seconds.length !== 4 || !rises)
    throw new Error('LINK_CLOCK must be four numbers of seconds that rise, such as 25,45,600,86400')
  return { suspect, offline, delist, evict }
}

/** What a cluster is after so much silence. */
export function stateAfter(silence: number, clock: LinkClock): Presence['state'] | 'evicted' {
  if (silence >= clock.evict) return 'evicted'
  if (silence >= clock.delist) return 'delisted'
  return silence >= clock.offline ? 'offline' : 'online'
}

/** How long to sleep when nobody is connected and it has been silent for so long; undefined: nothing will change any more. */
export function sleepOf(silence: number, clock: LinkClock): number | undefined {
  const next = [clock.offline, clock.delist, clock.evict].find((one) => one > silence)
  return next === undefined ? undefined : next - silence
}

/** How long to sleep while everything is well. */
export const restOf = ({ offline }: LinkClock): number => 2 * offline
/** An alarm that is nearer than this after something happened is put off. */
export const idleOf = ({ offline }: LinkClock): number => 1.5 * offline
