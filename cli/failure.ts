// What a command says when it cannot do its job: one line what is wrong, one line what to do, and the exit code.
// Messages are shown to people and in CI logs, so they never contain tokens, keys or secret values.

export class Failure extends Error {
  override readonly name = 'Failure'
  /** What to do about it; undefined when the message says it already. */
  readonly hint: string | undefined
  /** 1: the job failed; 2: the command was called wrongly. */
  readonly exitCode: 1 | 2

  constructor(message: string, hint?: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.hint = hint
    this.exitCode = exitCode
  }
}

/** A command called wrongly: exit code 2. */
export function usage(message: string, hint = 'run `waggle help` for the commands and their options'): Failure {
  return new Failure(message, hint, 2)
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
