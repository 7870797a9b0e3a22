// A key does not last for ever: where it is what the edge knows a cluster by, the leader makes another one each month. The edge and the
// proxies are told of it first, and a while later all replicas sign with it; the one before is good for a day more. Every step is kept in
// the Secret before the next is taken, so whoever leads goes on where the last one stopped.

import type { KubeClient } from '../kube/client.ts'
import { sleep, systemClock } from '../kube/clock.ts'
import { isConflict } from '../kube/error.ts'
import { TYPES, type KubeObject } from '../kube/object.ts'
import { Identity } from './identity.ts'
import { IDENTITY_KEY, identityOf, privateText, publishKey, readSecret, SINCE_KEY, type KeyPlaces } from './keys.ts'
import type { Sessions } from './session.ts'

/** The key to come, and since when edge and proxies have been told of it. */
const NEXT_KEY = 'next.jwk'
const TOLD_KEY = 'next.told'

export interface Paces {
  /** Life of a key. */
  readonly ageMs: number
  /** Until every proxy has heard of a new one. */
  readonly settleMs: number
  /** Between two looks at the Secret. */
  readonly lookMs: number
}

const PACES: Paces = { ageMs: 30 * 24 * 3_600_000, settleMs: 15 * 60_000, lookMs: 5 * 60_000 }

/** What the Secret says; times in milliseconds since the epoch. */
export interface KeyState {
  readonly since: number | undefined
  readonly hasNext: boolean
  readonly told: number | undefined
}

export type Step = 'wait' | 'date' | 'make' | 'tell' | 'take'

export function rotationStep({ since, hasNext, told }: KeyState, now: number, { ageMs, settleMs }: Paces): Step {
  if (hasNext) return told === undefined ? 'tell' : now - told >= settleMs ? 'take' : 'wait'
  if (since === undefined) return 'date'
  return now - since >= ageMs ? 'make' : 'wait'
}

export interface RotationHost {
  readonly client: KubeClient
  readonly places: KeyPlaces
  readonly sessions: Pick<Sessions, 'identity' | 'announce'>
  /** Whether the key is the cluster's identity, and this replica is the one that makes others. */
  readonly rotates: () => boolean
  /** All replicas sign with this key from now on. */
  readonly changed: (identity: Identity) => void
  readonly failed: (error: unknown) => void
  readonly paces?: Paces
}

/** Follows the key, and rotates it where that is ours to do, until the signal aborts. Never rejects. */
export async function keepRotating(host: RotationHost, signal: AbortSignal): Promise<void> {
  const { lookMs } = host.paces ?? PACES
  // Replicas that began together do not look together.
  for (;;) {
    await sleep(systemClock, lookMs * (0.8 + 0.4 * Math.random()), signal)
    if (signal.aborted) return
    try {
      await look(host, signal)
    } catch (error) {
      if (!signal.aborted && !isConflict(error)) host.failed(error)
    }
  }
}

async function look(
  { client, places, sessions, rotates, changed, paces = PACES }: RotationHost,
  signal: AbortSignal,
): Promise<void> {
  const secret = await readSecret(client, places, signal)
  const current = await identityOf(secret, IDENTITY_KEY, places)
  if (current === undefined) return
  if (current.thumbprint !== sessions.identity.thumbprint) changed(current)
  if (!rotates()) return
  const now = Date.now()
  const next = await identityOf(secret, NEXT_KEY, places)
  const state = { since: timeOf(secret, SINCE_KEY), hasNext: next !== undefined, told: timeOf(secret, TOLD_KEY) }
  const keep = (data: Readonly<Record<string, string | undefined>>) => write(client, secret, data, signal)
  switch (rotationStep(state, now, paces)) {
    case 'wait':
      return
    case 'date':
      return keep({ [SINCE_KEY]: timeText(now) })
    case 'make':
      return keep({ [NEXT_KEY]: privateText(await Identity.generate()), [TOLD_KEY]: undefined })
    case 'tell':
      if (next === undefined) return
      await publishKey(client, places, next, signal)
      await sessions.announce(signal, next.publicJwk)
      return keep({ [TOLD_KEY]: timeText(now) })
    case 'take':
      if (next === undefined) return
      await keep({
        [IDENTITY_KEY]: privateText(next),
        [SINCE_KEY]: timeText(now),
        [NEXT_KEY]: undefined,
        [TOLD_KEY]: undefined,
      })
      return changed(next)
  }
}

/** By the version that was read: of two who try, one does. */
async function write(
  client: KubeClient,
  secret: KubeObject,
  changes: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<void> {
  const data = { ...secret.data }
  for (const [name, text] of Object.entries(changes)) {
    if (text === undefined) delete data[name]
    else data[name] = Buffer.from(text).toString('base64')
  }
  await client.replace({ ...secret, data }, TYPES.Secret, { signal })
}

function timeOf(secret: KubeObject, name: string): number | undefined {
  const text = Buffer.from(secret.data?.[name] ?? '', 'base64').toString()
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}

function timeText(now: number): string {
  return new Date(now).toISOString()
}
