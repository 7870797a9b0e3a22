#!/usr/bin/env node
// The `waggle` command: picks a command, prints what it throws, sets the exit code. 0 done, 1 failed, 2 called wrongly.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Command } from './command.ts'
import { agent } from './commands/agent.ts'
import { apply } from './commands/apply.ts'
import { audit } from './commands/audit.ts'
import { cluster } from './commands/cluster.ts'
import { remove } from './commands/delete.ts'
import { get } from './commands/get.ts'
import { login } from './commands/login.ts'
import { logout } from './commands/logout.ts'
import { revoke } from './commands/revoke.ts'
import { secret } from './commands/secret.ts'
import { serve } from './commands/serve.ts'
import { status } from './commands/status.ts'
import { version } from './commands/version.ts'
import { Failure, messageOf, usage } from './failure.ts'
import type { Io } from './io.ts'

const commands = new Map<string, Command>(
  Object.entries({
    login,
    logout,
    apply,
    get,
    delete: remove,
    secret,
    cluster,
    status,
    audit,
    revoke,
    serve,
    agent,
    version,
  }),
)

/** Runs a command line (without program name) and returns its exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [name = 'help', ...rest] = argv
  try {
    if (name === 'help' || name === '--help' || name === '-h') help(rest[0], io)
    else if (name === '--version' || name === '-v') await version.run([], io)
    else if (beforeDashes(rest).some((word) => word === '--help' || word === '-h')) help(name, io)
    else await find(name).run(rest, io)
    return 0
  } catch (error) {
    if (!(error instanceof Failure)) {
      io.err(`error: ${messageOf(error)}`)
      if (io.env['DEBUG'] && error instanceof Error) io.err(error.stack ?? '')
      return 1
    }
    for (const line of error.lines) io.err(line)
    io.err(`error: ${error.message}`)
    if (error.hint !== undefined) io.err(`  → ${error.hint}`)
    return error.exitCode
  }
}

function find(name: string): Command {
  const command = commands.get(name)
  if (command === undefined) throw usage(`there is no command ${JSON.stringify(name)}`)
  return command
}

function beforeDashes(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--')
  return end < 0 ? words : words.slice(0, end)
}

function help(name: string | undefined, io: Io): void {
  if (name !== undefined) return io.out(find(name).help)
  io.out('waggle: one MCP endpoint for every Kubernetes cluster and every SaaS\n')
  for (const [name, { summary }] of commands) io.out(`  ${name.padEnd(9)} ${summary}`)
  io.out(`
waggle help COMMAND says more about each.

Which edge: --edge URL, or WAGGLE_EDGE, or the last login. Machines set WAGGLE_TOKEN instead of logging in.`)
}

/** Opens a browser where there is one and somebody to see it. The address is an argument, never part of a shell command. */
function opener(): ((url: string) => void) | undefined {
  if (!process.stderr.isTTY || process.env['SSH_CONNECTION']) return undefined
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const desktop = process.platform === 'darwin' || process.env['DISPLAY'] || process.env['WAYLAND_DISPLAY']
  if (!desktop || (process.platform !== 'darwin' && !existsSync('/usr/bin/xdg-open'))) return undefined
  return (url) => {
    const child = spawn(program, [url], { stdio: 'ignore', detached: true })
    child.on('error', () => {})
    child.unref()
  }
}

if (import.meta.main) {
  const open = opener()
  // A reader that has seen enough, such as `head`, is no failure.
  process.stdout.on('error', () => process.exit())
  process.exitCode = await run(process.argv.slice(2), {
    env: process.env,
    stdin: process.stdin,
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    ...(open !== undefined && { open }),
  })
}
