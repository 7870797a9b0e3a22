// Callers of two clusters, each at work without a pause worth speaking of, and the books of what became of every call: who executed it
// how often, how it ended, how long it took. A lister asks for the lists all the time.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { exchange } from '../peers/wire.ts'

/** What a caller calls. `safe`: an interchangeable tool whose hints are believed; `once`: one that has none; `a`, `b`: one in this cluster. */
export type Lane = 'safe' | 'once' | 'a' | 'b'

export interface Ended {
  readonly lane: Lane
  readonly key: string
  /** Of its trace, which the audit trails have. */
  readonly trace: string
  /** `performance.now()` */
  readonly from: number
  readonly until: number
  /** `broken`: no answer in MCP at all. */
  readonly kind: 'ok' | 'fault' | 'broken'
  readonly why: string
  readonly code: number | undefined
  readonly data: Readonly<Record<string, unknown>>
}

export interface Place {
  readonly url: string
  readonly token: () => Promise<string>
  readonly tool: string
  readonly args: Readonly<Record<string, unknown>>
}

const PAUSE_MS = 450
const LIST_MS = 150
/** No call may take longer than that: whoever waits longer hangs. */
const HANG_MS = 25_000

export class Books {
  readonly ended: Ended[] = []
  readonly unlisted: { readonly from: number; readonly until: number; readonly why: string }[] = []
  readonly #executions = new Map<string, number>()
  listed = 0
  /** Calls that have no answer yet. */
  underWay = 0

  readonly execute = (key: string): void => {
    this.#executions.set(key, (this.#executions.get(key) ?? 0) + 1)
  }

  executions(key: string): number {
    return this.#executions.get(key) ?? 0
  }

  /** When the last of the callers had its first success with a call that began after `since`; infinity while one has none. */
  recovered(callers: readonly Caller[], since: number): number {
    return Math.max(...callers.map((caller) => caller.successAfter(since)))
  }
}

export class Caller {
  readonly lane: Lane
  readonly #name: string
  readonly #place: Place
  readonly #books: Books
  readonly #successes: { readonly from: number; readonly until: number }[] = []
  #count = 0

  constructor(name: string, lane: Lane, place: Place, books: Books) {
    this.#name = name
    this.lane = lane
    this.#place = place
    this.#books = books
  }

  /** When its first call that began after `since` succeeded. */
  successAfter(since: number): number {
    return this.#successes.find(({ from }) => from >= since)?.until ?? Number.POSITIVE_INFINITY
  }

  async work(stop: AbortSignal, mayCall: () => boolean): Promise<void> {
    const { url, tool, args } = this.#place
    const token = await this.#place.token()
    while (!stop.aborted) {
      await sleep(PAUSE_MS * (0.5 + Math.random()))
      if (!mayCall()) continue
      const key = `${this.#name}-${(this.#count += 1)}`
      const trace = randomBytes(16).toString('hex')
      const from = performance.now()
      this.#books.underWay += 1
      const outcome = await attempt(url, token, tool, { ...args, key }, trace)
      this.#books.underWay -= 1
      const until = performance.now()
      if (outcome.kind === 'ok') this.#successes.push({ from, until })
      this.#books.ended.push({ lane: this.lane, key, trace, from, until, ...outcome })
    }
  }
}

async function attempt(
  url: string,
  token: string,
  name: string,
  args: object,
  trace: string,
): Promise<Pick<Ended, 'kind' | 'why' | 'code' | 'data'>> {
  try {
    const params = { name, arguments: args }
    const headers = { traceparent: `00-${trace}-${randomBytes(8).toString('hex')}-01` }
    const asked = { method: 'tools/call', token, params, headers, timeoutMs: HANG_MS }
    const { answer, status, body } = await exchange(url, asked)
    if (answer?.result !== undefined) {
      const isError = answer.result['isError'] === true
      return { kind: isError ? 'broken' : 'ok', why: isError ? body.slice(0, 200) : '', code: undefined, data: {} }
    }
    if (answer?.error === undefined)
      return { kind: 'broken', why: `HTTP ${status} ${body.slice(0, 100)}`, code: undefined, data: {} }
    const { code, message, data = {} } = answer.error
    return { kind: 'fault', why: `${code} ${message}`, code, data }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { kind: 'broken', why: cause instanceof Error ? cause.message : String(cause), code: undefined, data: {} }
  }
}

/** Asks for lists until the signal aborts; what lacks one of `texts` is no answer. */
export async function lister(
  places: readonly { readonly url: string; readonly token: () => Promise<string>; readonly texts: readonly string[] }[],
  books: Books,
  stop: AbortSignal,
): Promise<void> {
  const known = await Promise.all(places.map(async ({ url, token, texts }) => ({ url, texts, token: await token() })))
  while (!stop.aborted) {
    for (const { url, token, texts } of known) {
      const from = performance.now()
      const list = await exchange(url, { method: 'tools/list', token, timeoutMs: HANG_MS }).catch(String)
      const text = typeof list === 'string' ? list : list.body
      const missing = texts.filter((one) => !text.includes(one))
      const until = performance.now()
      if (missing.length > 0)
        books.unlisted.push({ from, until, why: `${missing.join()} not in ${text.slice(0, 300)}` })
      else books.listed += 1
    }
    await sleep(LIST_MS)
  }
}
