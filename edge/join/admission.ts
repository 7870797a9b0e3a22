// What only the hub of a cluster can judge, because it takes memory: that a proof comes once, that a token stays with the first key
// that showed it, how often a cluster knocks, and that its entry still stands at this very moment.
// Invariant: whatever is admitted was admitted to at most one key and by a proof that nobody used before.

import type { Clock } from '../../gateway/ports.ts'
import { PROOF_SECONDS } from '../../protocol/join.ts'
import { keyOf } from '../documents/clusters.ts'
import type { ClusterBook } from './book.ts'
import { DETAIL_HEADER, Refusal } from './refusal.ts'

/** Header of the requests that isolates send to a hub: the JSON of a `Knock`. Nothing from outside reaches a hub. */
export const KNOCK_HEADER = 'waggle-knock'
/** Joins, sessions and connects of one cluster in a minute. */
export const MAX_KNOCKS = 300
const MINUTE = 60_000
/** A proof is refused by its age after this. */
const REMEMBERED_MS = 2 * PROOF_SECONDS * 1000

/** A request that an isolate has verified. Times in milliseconds since the epoch. */
export interface Knock {
  readonly at: 'join' | 'session' | 'connect'
  readonly cluster: string
  /** Of the entry it was verified against. */
  readonly uid: string
  readonly replica: string
  /** Of the key that signed. */
  readonly thumbprint: string
  /** Of the proof. */
  readonly jti: string
  /** When the session credential ends; for a join, now. */
  readonly expires: number
  /** The token that was shown. */
  readonly token?: { readonly id: string; readonly until: number }
  /** A connection that goes on with the new credential. */
  readonly connection?: string
}

/** The part of a Durable Object's SQL storage that is needed here. */
export interface Sql {
  exec(query: string, ...bindings: (string | number)[]): { toArray(): Record<string, unknown>[] }
}

export interface AdmissionHost {
  readonly sql: Sql
  readonly clusters: ClusterBook
  readonly now: Clock
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS join_proofs (jti TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS join_tokens (id TEXT PRIMARY KEY, thumbprint TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
`

export class Admission {
  readonly #host: AdmissionHost

  constructor(host: AdmissionHost) {
    this.#host = host
    host.sql.exec(SCHEMA)
  }

  /** Who comes in, or the response that says why not. */
  async enter(request: Request): Promise<Knock | Response> {
    try {
      const knock = JSON.parse(request.headers.get(KNOCK_HEADER) ?? '') as Knock
      await this.#stands(knock)
      this.#once(knock)
      return knock
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal('unavailable', 'the cluster entry cannot be read')
      const response = refusal.response()
      if (refusal.detail !== undefined) response.headers.set(DETAIL_HEADER, refusal.detail)
      return response
    }
  }

  /** The entry as it is now, not as an isolate remembers it. */
  async #stands({ at, cluster, uid, thumbprint }: Knock): Promise<void> {
    const entry = await this.#host.clusters.find(cluster, 0)
    if (entry === undefined || entry.uid !== uid) throw new Refusal('not_admitted', 'cluster is not known any more')
    if (entry.revokedAt !== undefined) throw new Refusal('not_admitted', 'cluster is revoked')
    // Whoever joins is about to bring the key.
    if (at !== 'join' && entry.method === 'join-token' && keyOf(entry, thumbprint, this.#host.now()) === undefined)
      throw new Refusal('not_admitted', `key ${thumbprint} is not one of the cluster`)
  }

  /** In one turn of the event loop, so that two of the same never both pass. */
  #once({ jti, thumbprint, token }: Knock): void {
    const { sql, now } = this.#host
    const at = now()
    sql.exec('DELETE FROM join_proofs WHERE at <= ?', at - REMEMBERED_MS)
    sql.exec('DELETE FROM join_tokens WHERE until <= ?', at)
    if (sql.exec('SELECT 1 FROM join_proofs WHERE jti = ?', jti).toArray().length > 0)
      throw new Refusal('replayed', 'proof was used before')
    const [{ lately, first } = {}] = sql
      .exec('SELECT count(*) AS lately, min(at) AS first FROM join_proofs WHERE at > ?', at - MINUTE)
      .toArray()
    if (Number(lately) >= MAX_KNOCKS) {
      const retryAfterSeconds = Math.max(1, Math.ceil((Number(first) + MINUTE - at) / 1000))
      throw new Refusal('too_many', `${MAX_KNOCKS} in a minute`, { retryAfterSeconds })
    }
    if (token !== undefined) {
      const [bound] = sql.exec('SELECT thumbprint FROM join_tokens WHERE id = ?', token.id).toArray()
      if (bound !== undefined && bound['thumbprint'] !== thumbprint)
        throw new Refusal('token_bound', `token belongs to the key ${String(bound['thumbprint'])}`)
      sql.exec(
        'INSERT OR IGNORE INTO join_tokens (id, thumbprint, until) VALUES (?, ?, ?)',
        token.id,
        thumbprint,
        token.until,
      )
    }
    sql.exec('INSERT INTO join_proofs (jti, at) VALUES (?, ?)', jti, at)
  }
}
