// The resources that legacy sessions want to hear of, by their exposed URIs: stored, since a session outlives its streams and
// whoever holds them.

import { Fault } from '../../protocol/fault.ts'
import type { Store } from '../ports.ts'

/** Resources that one session, or one stream, can be about. */
export const MAX_URIS = 128
/** Characters of all URIs of a session together. */
export const MAX_URI_CHARACTERS = 32 * 1024
const TTL_SECONDS = 24 * 3600

export class Subscriptions {
  readonly #store: Store
  /** Changes of a session, one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(store: Store) {
    this.#store = store
  }

  /** None while the store is away. */
  async read(session: string): Promise<ReadonlySet<string>> {
    const entry = await this.#store.get(keyOf(session)).catch(() => null)
    return new Set(entry === null ? [] : (JSON.parse(entry.value) as string[]))
  }

  /** Adds or removes one; returns all. Throws `Fault` `overloaded` when there are too many, `store_unavailable`. */
  async change(session: string, uri: string, on: boolean): Promise<ReadonlySet<string>> {
    const before = this.#turns.get(session) ?? Promise.resolve()
    const turn = before.then(() => this.#change(session, uri, on))
    const settled = turn.catch(() => undefined)
    this.#turns.set(session, settled)
    void settled.then(() => this.#turns.get(session) === settled && this.#turns.delete(session))
    return turn
  }

  async forget(session: string): Promise<void> {
    await this.#store.del(keyOf(session)).catch(() => undefined)
  }

  async #change(session: string, uri: string, on: boolean): Promise<ReadonlySet<string>> {
    const entry = await this.#store.get(keyOf(session))
    const uris = new Set(entry === null ? [] : (JSON.parse(entry.value) as string[]))
    if (on) uris.add(uri)
    else uris.delete(uri)
    if (uris.size > MAX_URIS) throw new Fault('overloaded', `A session can subscribe to ${MAX_URIS} resources at most.`)
    const text = JSON.stringify([...uris])
    if (text.length > MAX_URI_CHARACTERS) {
      throw new Fault(
        'overloaded',
        `The URIs of a session's subscriptions can have ${MAX_URI_CHARACTERS} characters at most.`,
      )
    }
    await this.#store.set(keyOf(session), text, { ttlSeconds: TTL_SECONDS })
    return uris
  }
}

const keyOf = (session: string): string => `subscriptions/${session}`
