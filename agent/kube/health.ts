// Whether this process works (live) and whether it is of use (ready). Live never depends on the API server: a restart
// does not bring it back, and a fleet that restarts when it is away only makes its return harder.

import type { Informer } from './informer.ts'
import { typeName } from './object.ts'

/** Undefined: fine. Else why not, without secrets: the page is open to whoever reaches the port. */
export type Check = () => string | undefined

/** A reflector tries something every few seconds and hears a bookmark every minute. */
const STUCK_MS = 10 * 60_000

export class Health {
  readonly #live = new Map<string, Check>()
  readonly #ready = new Map<string, Check>()

  addLive(name: string, check: Check): void {
    this.#live.set(name, check)
  }

  addReady(name: string, check: Check): void {
    this.#ready.set(name, check)
  }

  /** Ready when it is synced; alive unless it has stopped trying. */
  addInformer(informer: Informer): void {
    const name = typeName(informer.type)
    this.addLive(name, () => (informer.idleMs() < STUCK_MS ? undefined : 'its watch has stopped trying'))
    this.addReady(name, () => {
      if (informer.isSynced) return undefined
      const { lastError } = informer
      return `not read yet${lastError instanceof Error ? `: ${lastError.message}` : ''}`
    })
  }

  live(): { readonly ok: boolean; readonly text: string } {
    return judge(this.#live)
  }

  ready(): { readonly ok: boolean; readonly text: string } {
    return judge(this.#ready)
  }
}

function judge(checks: ReadonlyMap<string, Check>): { ok: boolean; text: string } {
  const failing = [...checks].flatMap(([name, check]) => {
    const why = check()
    return why === undefined ? [] : [`${name}: ${why}`]
  })
  return { ok: failing.length === 0, text: failing.length === 0 ? 'ok\n' : `${failing.join('\n')}\n` }
}
