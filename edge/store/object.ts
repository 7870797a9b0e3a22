// The Durable Object that holds the data of DurableStore, in SQLite.
// Invariants: no row holds more than 1.4 MB of a value (Cloudflare refuses 2 MB, the local runtime does not); a value changes
// in one transaction; expired rows are never answered, whether or not the alarm has swept them; versions never come back,
// because each holds the random id of the life of the object that wrote it.

import { DurableObject } from 'cloudflare:workers'
import type { Row, StoreRpc } from './durable.ts'

/** Bytes of a value per row. */
const PART_BYTES = 1_400_000
/** Bytes of values per reply: one RPC carries 32 MiB. The first value always goes, so this also bounds a value. */
const REPLY_BYTES = 24 * 1024 * 1024
/** Keys per statement: Cloudflare caps a bound parameter at 2 MB and keys have up to 512 bytes. */
const BATCH = 2000
/** Rows per sweep, so that one never blocks readers for long. */
const SWEEP_ROWS = 1000
/** Expiry is exact on reads; sweeping only frees space and may be late, so that a busy store wakes once a minute for it. */
const SWEEP_PAUSE_MS = 60_000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, version TEXT NOT NULL, expires INTEGER, size INTEGER NOT NULL, head BLOB NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS parts (
    key TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (key, part)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS counters (
    key TEXT PRIMARY KEY, count INTEGER NOT NULL, expires INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_expires ON entries (expires) WHERE expires IS NOT NULL;
  CREATE INDEX IF NOT EXISTS counters_expires ON counters (expires);
`
const LIVE = '(expires IS NULL OR expires > ?)'
const PEEK = `SELECT k.key AS at, version, size FROM json_each(?) AS k CROSS JOIN entries AS e ON e.key = k.value WHERE ${LIVE}`

export class StoreObject extends DurableObject<unknown> implements StoreRpc {
  readonly #storage: DurableObjectStorage
  readonly #sql: SqlStorage
  readonly #life = crypto.randomUUID()
  #writes = 0
  /** When the alarm rings, in milliseconds since the epoch; null when none is set. */
  #due: number | null = null

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env)
    this.#storage = state.storage
    this.#sql = state.storage.sql
    this.#sql.exec(SCHEMA)
    void state.blockConcurrencyWhile(async () => {
      this.#due = await state.storage.getAlarm()
    })
  }

  async read(keys: readonly string[]): Promise<(Row | null)[]> {
    const rows: (Row | null)[] = keys.map(() => null)
    let room = REPLY_BYTES
    for (const [at, { version, size }] of this.#find(keys)) {
      const fits = size <= room || room === REPLY_BYTES
      rows[at] = { version, bytes: fits ? this.#value(keys[at] ?? '', size) : null }
      if (fits) room -= size
    }
    return rows
  }

  async peek(keys: readonly string[]): Promise<(string | null)[]> {
    const versions: (string | null)[] = keys.map(() => null)
    for (const [at, { version }] of this.#find(keys)) versions[at] = version
    return versions
  }

  async write(
    key: string,
    bytes: Uint8Array,
    ttlMilliseconds: number | null,
    expected: string | null | undefined,
  ): Promise<string | null> {
    const now = Date.now()
    const expires = ttlMilliseconds === null ? null : now + ttlMilliseconds
    const version = this.#storage.transactionSync(() => {
      if (expected !== undefined) {
        const [live] = this.#sql.exec(`SELECT version FROM entries WHERE key = ? AND ${LIVE}`, key, now)
        if ((live?.['version'] ?? null) !== expected) return null
      }
      const version = `${this.#life}.${this.#writes++}`
      this.#sql.exec('DELETE FROM parts WHERE key = ?', key)
      const head = copy(bytes, 0)
      this.#sql.exec(
        'INSERT OR REPLACE INTO entries (key, version, expires, size, head) VALUES (?, ?, ?, ?, ?)',
        key,
        version,
        expires,
        bytes.byteLength,
        head,
      )
      for (let part = 1; part * PART_BYTES < bytes.byteLength; part++) {
        this.#sql.exec('INSERT INTO parts (key, part, bytes) VALUES (?, ?, ?)', key, part, copy(bytes, part))
      }
      return version
    })
    if (version !== null && expires !== null) await this.#wake(expires)
    return version
  }

  async add(key: string, by: number, ttlMilliseconds: number): Promise<number> {
    const now = Date.now()
    const expires = now + ttlMilliseconds
    const { count } = this.#sql
      .exec<{ count: number }>(
        `INSERT INTO counters (key, count, expires) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET
           count = CASE WHEN counters.expires > ?4 THEN counters.count + ?2 ELSE ?2 END,
           expires = CASE WHEN counters.expires > ?4 THEN counters.expires ELSE ?3 END
         RETURNING count`,
        key,
        by,
        expires,
        now,
      )
      .one()
    await this.#wake(expires)
    return count
  }

  async remove(key: string): Promise<void> {
    this.#storage.transactionSync(() => {
      this.#forget(key)
      this.#sql.exec('DELETE FROM counters WHERE key = ?', key)
    })
  }

  /** Frees the space of what has expired, a bounded number of rows at a time, and sets itself again while anything can expire. */
  override async alarm(): Promise<void> {
    const now = Date.now()
    const dead = this.#sql
      .exec<{ key: string }>('SELECT key FROM entries WHERE expires <= ? LIMIT ?', now, SWEEP_ROWS)
      .toArray()
    this.#storage.transactionSync(() => {
      for (const { key } of dead) this.#forget(key)
      this.#sql.exec(
        'DELETE FROM counters WHERE key IN (SELECT key FROM counters WHERE expires <= ? LIMIT ?)',
        now,
        SWEEP_ROWS,
      )
    })
    const { next } = this.#sql
      .exec<{ next: number | null }>(
        `SELECT min(expires) AS next FROM (
           SELECT min(expires) AS expires FROM entries WHERE expires IS NOT NULL
           UNION ALL SELECT min(expires) FROM counters)`,
      )
      .one()
    this.#due = next === null ? null : next <= now ? now : Math.max(next, now + SWEEP_PAUSE_MS)
    if (this.#due !== null) await this.#storage.setAlarm(this.#due)
  }

  /** Live entries in the order of `keys`, by position. Values are not touched. */
  *#find(keys: readonly string[]): Generator<[number, { version: string; size: number }]> {
    const now = Date.now()
    for (let from = 0; from < keys.length; from += BATCH) {
      const batch = JSON.stringify(keys.slice(from, from + BATCH))
      const found = this.#sql.exec<{ at: number; version: string; size: number }>(PEEK, batch, now).toArray()
      for (const { at, version, size } of found) yield [from + at, { version, size }]
    }
  }

  #value(key: string, size: number): Uint8Array {
    const bytes = new Uint8Array(size)
    const { head } = this.#sql.exec<{ head: ArrayBuffer }>('SELECT head FROM entries WHERE key = ?', key).one()
    bytes.set(new Uint8Array(head))
    if (size <= PART_BYTES) return bytes
    for (const row of this.#sql.exec<{ part: number; bytes: ArrayBuffer }>(
      'SELECT part, bytes FROM parts WHERE key = ?',
      key,
    )) {
      bytes.set(new Uint8Array(row.bytes), row.part * PART_BYTES)
    }
    return bytes
  }

  #forget(key: string): void {
    this.#sql.exec('DELETE FROM parts WHERE key = ?', key)
    this.#sql.exec('DELETE FROM entries WHERE key = ?', key)
  }

  async #wake(expires: number): Promise<void> {
    const due = expires + SWEEP_PAUSE_MS
    if (this.#due !== null && this.#due <= due) return
    this.#due = due
    await this.#storage.setAlarm(due)
  }
}

/** One part in its own buffer: binding a view may send all of the buffer beneath it. */
function copy(bytes: Uint8Array, part: number): ArrayBuffer {
  return bytes.slice(part * PART_BYTES, (part + 1) * PART_BYTES).buffer
}
