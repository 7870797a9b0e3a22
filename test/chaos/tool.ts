// What the backends' tools do, apart from any transport. `work` takes its time and reports progress; `ask` first asks the
// caller for a word. Both write the key of the call into the ledger when they are executed, once per execution.

import { setTimeout as sleep } from 'node:timers/promises'

/** The arguments of both tools; every call has a key of its own. */
export interface Work {
  readonly key: string
  /** How long it takes. */
  readonly ms: number
  /** Progress notifications on the way; 0: the answer is plain JSON. */
  readonly steps: number
  /** Characters of filler in the answer. */
  readonly size: number
}

export interface Message {
  readonly jsonrpc: '2.0'
  readonly id?: string | number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: Readonly<Record<string, unknown>>
}

/** Counts executions by key. */
export type Execute = (key: string) => void

/** The way back to the caller while a tool runs. */
export interface Channel {
  readonly notify: (message: object) => void
  /** Aborts when the backend restarts. */
  readonly signal: AbortSignal
}

export function workOf(message: Message): Work {
  const args = (message.params?.['arguments'] ?? {}) as Partial<Work>
  return { key: args.key ?? '', ms: args.ms ?? 0, steps: args.steps ?? 0, size: args.size ?? 0 }
}

export function toolOf(message: Message): string {
  return String(message.params?.['name'])
}

/** Executes `work`: progress at even distances, then the text of the answer. Rejects when the backend restarts. */
export async function run(message: Message, execute: Execute, channel: Channel): Promise<string> {
  const { key, ms, steps, size } = workOf(message)
  execute(key)
  const meta = message.params?.['_meta'] as { readonly progressToken?: string | number } | undefined
  for (let step = 1; step <= steps; step++) {
    await sleep(ms / (steps + 1), undefined, { signal: channel.signal })
    const progressToken = meta?.progressToken
    if (progressToken === undefined) continue
    const params = { progressToken, progress: step, total: steps }
    channel.notify({ jsonrpc: '2.0', method: 'notifications/progress', params })
  }
  await sleep(ms / (steps + 1), undefined, { signal: channel.signal })
  return `${key} done ${'.'.repeat(size)}`
}

const schema = {
  type: 'object',
  properties: {
    key: { type: 'string' },
    ms: { type: 'integer' },
    steps: { type: 'integer' },
    size: { type: 'integer' },
  },
  required: ['key'],
}

/** The tools; `generation` names one that changes whenever the catalog does. */
export function listed(generation: number): object[] {
  return ['work', 'ask', `generation_${generation}`].map((name) => ({ name, description: name, inputSchema: schema }))
}

/** What `ask` asks, of either era; the word it wants is the key of the call. */
export const question = (key: string): object => ({
  mode: 'form',
  message: `The word is: ${key}`,
  requestedSchema: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] },
})

/** The word that a question wants. */
export function wantedWord(params: unknown): string {
  const { message } = (params ?? {}) as { readonly message?: unknown }
  return typeof message === 'string' ? message.replace('The word is: ', '') : ''
}

/** The word in an answer to the question; undefined when it was declined or is not there. */
export function wordOf(answer: unknown): string | undefined {
  const { action, content } = (answer ?? {}) as {
    readonly action?: string
    readonly content?: { readonly word?: unknown }
  }
  return action === 'accept' && typeof content?.word === 'string' ? content.word : undefined
}

export function answered(text: string, isError = false): object {
  return { content: [{ type: 'text', text }], ...(isError && { isError }) }
}
