// How a command is described and how its arguments are read: strictly, so that a misspelt option is an error and not ignored.

import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { messageOf, usage } from './failure.ts'
import type { Io } from './io.ts'

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  /** What `waggle help <command>` prints. */
  readonly help: string
  run(argv: readonly string[], io: Io): Promise<void>
}

/** Options of every command that talks to an edge. */
export const edgeOptions = { edge: { type: 'string' } } as const

/** Options of commands whose objects live in a namespace. */
export const namespaceOptions = { ...edgeOptions, namespace: { type: 'string', short: 'n' } } as const

/** Options and positional arguments; throws a usage `Failure` for anything that `options` does not name. */
export function parse<T extends ParseArgsOptionsConfig>(argv: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw usage(messageOf(error).split('. ')[0] ?? '')
  }
}

/** The namespace named by `-n`, checked here because it becomes part of a path. */
export function namespaceOf(given: string | undefined): string {
  return nameOf('namespace', given ?? 'default')
}

/** A Kubernetes name (RFC 1123), or a usage `Failure` naming `what`. */
export function nameOf(what: string, name: string): string {
  if (name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) return name
  throw usage(`${what} ${JSON.stringify(name)} is not a name`, 'use lower-case letters, digits, "-" and "."')
}
