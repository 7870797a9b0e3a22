// What a command says when it cannot do its job: one line what is wrong, one line what to do, and the exit code.
// Messages are shown to people and in CI logs, so they never contain tokens, keys or secret values.

export class Failure extends Error {
  override readonly name: string = 'Failure'
  /** What to do about it; undefined when the message says it already. */
  readonly hint: string | undefined
  /** 1: the job failed; 2: the command was called wrongly. */
  readonly exitCode: 1 | 2
  /** Details to show before the message, such as problems with their file and line. */
  readonly lines: readonly string[]

  constructor(message: string, hint?: string, more: { exitCode?: 1 | 2; lines?: readonly string[] } = {}) {
    super(message)
    this.hint = hint
    this.exitCode = more.exitCode ?? 1
    this.lines = more.lines ?? []
  }
}

/** A command called wrongly: exit code 2. */
export function usage(message: string, hint = 'run `waggle help` for the commands and their options'): Failure {
  return new Failure(message, hint, { exitCode: 2 })
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a Node system error such as `ENOENT`, if it is one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Why a `fetch` failed, from its innermost cause: `ECONNREFUSED`, a timeout, a certificate problem. */
export function causeOf(error: unknown): string {
  let inner = error
  for (let depth = 0; depth < 5 && inner instanceof Error && inner.cause !== undefined; depth++) inner = inner.cause
  const message = messageOf(inner)
  return message === '' ? (codeOf(inner) ?? 'no reason given') : message
}
