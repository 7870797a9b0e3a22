// Who executed what, and what became of every call: keys are unique, so an execution too many shows.

import { judge } from './outcome.ts'
import type { Attempt, Faults } from './outcome.ts'

export interface Tally {
  readonly calls: number
  readonly ok: number
  /** Calls whose callers left on purpose. */
  readonly left: number
  /** Failures by cause, most frequent first. */
  readonly failed: readonly (readonly [string, number])[]
  /** Calls that ended as none may, one line each. */
  readonly problems: readonly string[]
  /** Keys that were executed more often than they were sent. */
  readonly repeated: readonly string[]
  /** Longest time that a call took, in milliseconds; libraries, which wait for what was cut, apart. */
  readonly longestMs: number
  readonly executed: number
}

interface Entry {
  readonly caller: string
  readonly attempt: Attempt
  readonly cuts: readonly number[]
}

export class Ledger {
  readonly #executions = new Map<string, number>()
  readonly #sent = new Map<string, number>()
  readonly #entries: Entry[] = []

  /** A backend executed a call. */
  readonly execute = (key: string): void => {
    this.#executions.set(key, (this.#executions.get(key) ?? 0) + 1)
  }

  /** A caller (its library, that is) sent a call; who never does this sends every call once. */
  readonly send = (key: string): void => {
    this.#sent.set(key, (this.#sent.get(key) ?? 0) + 1)
  }

  /** `cuts` grows while the connections of this caller are cut. */
  record(caller: string, attempt: Attempt, cuts: readonly number[]): void {
    this.#entries.push({ caller, attempt, cuts })
  }

  /** When the first call of one caller succeeded after `since`; infinity when none did. */
  firstSuccess(caller: string, since: number): number {
    const first = this.#entries.find(
      ({ caller: name, attempt: { until, outcome } }) =>
        name === caller && until > since && outcome.kind === 'result' && !outcome.isError,
    )
    return first?.attempt.until ?? Number.POSITIVE_INFINITY
  }

  /** The calls of one caller that ended after `since`, oldest first, in words. */
  after(caller: string, since: number): string[] {
    return this.#entries
      .filter((entry) => entry.caller === caller && entry.attempt.until > since)
      .map(({ attempt: { key, tool, from, until, outcome } }) => {
        const [begin, end] = [Math.round(from - since), Math.round(until - since)]
        return `${key} ${tool} from ${begin} to ${end}: ${JSON.stringify(outcome).slice(0, 120)}`
      })
  }

  /** Verdicts on all calls so far. */
  tally(faults: Omit<Faults, 'cuts'>): Tally {
    const failed = new Map<string, number>()
    const problems: string[] = []
    let ok = 0
    let left = 0
    let longestMs = 0
    for (const { caller, attempt, cuts } of this.#entries) {
      const { key, outcome, from, until } = attempt
      if (!attempt.library) longestMs = Math.max(longestMs, until - from)
      const verdict = judge(attempt, { ...faults, cuts })
      if (outcome.kind === 'left') left++
      else if (verdict.kind === 'ok') ok++
      else if (verdict.kind === 'failed') {
        const why = `${caller.replace(/\d+$/, '')}${attempt.tool}: ${verdict.why}`
        failed.set(why, (failed.get(why) ?? 0) + 1)
      } else problems.push(`${caller} ${attempt.tool} ${key} at ${Math.round(from)}: ${verdict.why}`)
      if (outcome.kind === 'result' && !outcome.isError && !this.#executions.has(key)) {
        problems.push(`${caller} ${key}: answered, but never executed`)
      }
    }
    const repeated = [...this.#executions]
      .filter(([key, times]) => times > Math.max(1, this.#sent.get(key) ?? 1))
      .map(([key, times]) => `${key}: executed ${times} times`)
    return {
      calls: this.#entries.length,
      ok,
      left,
      failed: [...failed].sort(([, one], [, two]) => two - one),
      problems,
      repeated,
      longestMs: Math.round(longestMs),
      executed: [...this.#executions.values()].reduce((sum, times) => sum + times, 0),
    }
  }
}
