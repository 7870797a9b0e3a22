// One fuzz case: bytes to send, step by step, as plain JSON that fits on a line and can be replayed alone.
// `{{name}}` stands for what is known only when it runs: tokens, sessions, what an earlier step was answered.

export interface Step {
  /** The request as latin1 text, one character a byte. */
  readonly send: string
  /** After the last byte: wait for the answer (default), say that nothing more comes and wait, or leave. */
  readonly ending?: 'fin' | 'leave'
  /** Sends this many bytes, then pauses for a moment before the rest. */
  readonly pauseAt?: number
  /** The answer may be a stream that stays open: the next step begins once its head is there. */
  readonly open?: true
  /** Well-formed HTTP: it must be answered, and the connection stays usable. */
  readonly clean?: true
  /** Audit events that a clean request at an endpoint must leave; undefined where nobody can say. */
  readonly audits?: number
}

export interface Case {
  readonly generator: string
  /** What it found when it was new, or what makes it a classic. Corpus only. */
  readonly note?: string
  readonly steps: readonly Step[]
}

export type Values = ReadonlyMap<string, string>

/** The bytes of a step. `{{length}}` is the length of what follows the empty line. */
export function render(step: Step, values: Values): string {
  const filled = step.send.replaceAll(/\{\{([a-z]+(?:\.[a-z]+)?)\}\}/gu, (all, name: string) =>
    name === 'length' ? all : (values.get(name) ?? 'none'),
  )
  const split = filled.indexOf('\r\n\r\n')
  return split < 0 ? filled : filled.replace('{{length}}', String(filled.length - split - 4))
}

export interface Parts {
  readonly method?: string
  readonly path: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** Any text; it is sent as UTF-8. */
  readonly body?: string
}

/** The text of a well-formed request. */
export function compose({ method = 'POST', path, headers = [], body }: Parts): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const length = body === undefined && method !== 'POST' ? '' : 'content-length: {{length}}\r\n'
  return `${method} ${path} HTTP/1.1\r\nhost: {{host}}\r\nuser-agent: {{agent}}\r\n${lines}${length}\r\n${bytes(body ?? '')}`
}

/** UTF-8 as latin1 text. */
export function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** Reads a case that was printed. Throws when it is none. */
export function parseCase(text: string): Case {
  return asCase(JSON.parse(text))
}

/** Reads a list of cases. Throws when one is none. */
export function parseCases(text: string): Case[] {
  return (JSON.parse(text) as unknown[]).map(asCase)
}

function asCase(value: unknown): Case {
  const { generator, steps } = value as Partial<Case>
  const sound = Array.isArray(steps) && steps.every((step: Partial<Step>) => typeof step.send === 'string')
  if (!sound || typeof generator !== 'string') throw new Error('a case is {"generator", "steps": [{"send", …}]}')
  return value as Case
}
