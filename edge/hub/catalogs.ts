// Which catalogs of one cluster are in the store, so that each is written once and those that nobody needs go. They go late: isolates
// may still load what they read about a moment ago. Those of a snapshot that was never complete, of which no isolate has heard, go with the
// next snapshot, so that a cluster that never ends one fills no store. Kept in the hub's own storage, written before the store is.

import type { Sql } from '../join/admission.ts'

/** Isolates know of changes within seconds. */
const LATE_MS = 120_000
/** Those go when the hub has something to do anyway; it is not woken for them sooner than this. */
const LAZY_MS = 600_000
const BATCH = 64

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS hub_catalogs (digest TEXT PRIMARY KEY, isStored INTEGER NOT NULL, unneeded INTEGER) WITHOUT ROWID;
`

export class Catalogs {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
    sql.exec(SCHEMA)
  }

  /** Is about to be stored, for a snapshot that is not complete yet; false when it is there and needed already. */
  storing(digest: string): boolean {
    const [known] = this.#sql.exec('SELECT isStored, unneeded FROM hub_catalogs WHERE digest = ?', digest).toArray()
    if (known?.['isStored'] === 1 && known['unneeded'] === null) return false
    // One that nobody needs any more may go at any time: it is stored anew.
    this.#sql.exec('INSERT OR REPLACE INTO hub_catalogs (digest, isStored, unneeded) VALUES (?, 0, NULL)', digest)
    return true
  }

  /** A snapshot is complete: all that it names have been stored, and the others are not needed from now on. */
  needs(digests: ReadonlySet<string>, now: number): void {
    for (const row of this.#sql.exec('SELECT * FROM hub_catalogs').toArray()) {
      const { digest, isStored, unneeded } = row as { digest: string; isStored: number; unneeded: number | null }
      const isNeeded = digests.has(digest)
      if (isNeeded && (isStored === 0 || unneeded !== null))
        this.#sql.exec('UPDATE hub_catalogs SET isStored = 1, unneeded = NULL WHERE digest = ?', digest)
      if (!isNeeded && isStored === 1 && unneeded === null)
        this.#sql.exec('UPDATE hub_catalogs SET unneeded = ? WHERE digest = ?', now, digest)
    }
  }

  /** When the next one is to go at last; undefined: all are needed. */
  due(): number | undefined {
    const [row] = this.#sql.exec('SELECT min(unneeded) AS first FROM hub_catalogs WHERE isStored = 1').toArray()
    const first = row?.['first']
    return typeof first === 'number' ? first + LAZY_MS : undefined
  }

  /** A few that may go; `forget` each once it is gone. */
  garbage(now: number): string[] {
    return this.#list('WHERE isStored = 1 AND unneeded <= ? LIMIT ?', now - LATE_MS, BATCH)
  }

  /**
   * A snapshot begins: what goes before it, late ones and those of snapshots that were not complete. `registered` are named by what isolates
   * read, whether or not this object lived to note it.
   */
  beginning(registered: ReadonlySet<string>, now: number): string[] {
    this.needs(registered, now)
    return this.#list('WHERE isStored = 0 OR unneeded <= ?', now - LATE_MS)
  }

  all(): string[] {
    return this.#list('')
  }

  #list(where: string, ...bindings: number[]): string[] {
    const rows = this.#sql.exec(`SELECT digest FROM hub_catalogs ${where}`, ...bindings)
    return rows.toArray().map(({ digest }) => String(digest))
  }

  forget(digest: string): void {
    this.#sql.exec('DELETE FROM hub_catalogs WHERE digest = ?', digest)
  }
}
