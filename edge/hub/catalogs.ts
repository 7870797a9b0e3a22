// Which catalogs of one cluster are in the store, so that each is written once and those that nobody needs go. They go late: isolates
// may still load what they read about a moment ago. Kept in the hub's own storage, written before the store is.

import type { Sql } from '../join/admission.ts'

/** Isolates know of changes within seconds; a snapshot may take longer to be complete. */
const LATE_MS = 600_000
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

  /** Is about to be stored; false when it is already. */
  storing(digest: string, now: number): boolean {
    const [known] = this.#sql.exec('SELECT isStored FROM hub_catalogs WHERE digest = ?', digest).toArray()
    // It is needed by a snapshot that is not complete yet: as if by the last one that named it.
    this.#sql.exec(
      'INSERT INTO hub_catalogs (digest, isStored, unneeded) VALUES (?1, 0, ?2) ON CONFLICT (digest) DO UPDATE SET unneeded = ?2',
      digest,
      now,
    )
    return known?.['isStored'] !== 1
  }

  /** All that are named have been stored; the others are not needed from now on. */
  needs(digests: ReadonlySet<string>, now: number): void {
    for (const row of this.#sql.exec('SELECT * FROM hub_catalogs').toArray()) {
      const { digest, isStored, unneeded } = row as { digest: string; isStored: number; unneeded: number | null }
      const isNeeded = digests.has(digest)
      if (isNeeded && (isStored === 0 || unneeded !== null))
        this.#sql.exec('UPDATE hub_catalogs SET isStored = 1, unneeded = NULL WHERE digest = ?', digest)
      if (!isNeeded && unneeded === null)
        this.#sql.exec('UPDATE hub_catalogs SET unneeded = ? WHERE digest = ?', now, digest)
    }
  }

  /** When the next one is to go; undefined: all are needed. */
  due(): number | undefined {
    const [row] = this.#sql.exec('SELECT min(unneeded) AS first FROM hub_catalogs').toArray()
    const first = row?.['first']
    return typeof first === 'number' ? first + LATE_MS : undefined
  }

  /** A few that may go, all of them with `all`; `forget` each once it is gone. */
  garbage(now: number, all = false): string[] {
    const until = all ? Number.MAX_SAFE_INTEGER : now - LATE_MS
    const limit = all ? Number.MAX_SAFE_INTEGER : BATCH
    if (all) this.needs(new Set(), now)
    const rows = this.#sql.exec('SELECT digest FROM hub_catalogs WHERE unneeded <= ? LIMIT ?', until, limit)
    return rows.toArray().map(({ digest }) => String(digest))
  }

  forget(digest: string): void {
    this.#sql.exec('DELETE FROM hub_catalogs WHERE digest = ?', digest)
  }
}
