// Logins, one per edge, in $XDG_CONFIG_HOME/waggle/credentials.json: readable by this user only, replaced whole, never printed.

import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { Failure, codeOf, messageOf } from './failure.ts'
import type { Io } from './io.ts'

const Login = z.object({
  issuer: z.string(),
  clientId: z.string(),
  accessToken: z.string(),
  refreshToken: z.string().optional(),
  /** Milliseconds since the epoch; absent when the provider did not say. */
  expiresAt: z.number().optional(),
})
export type Login = z.infer<typeof Login>

const Credentials = z.object({
  /** The edge used when none is named. */
  current: z.string().optional(),
  edges: z.record(z.string(), Login),
})
export type Credentials = z.infer<typeof Credentials>

/** All logins; none when there is no file. */
export async function readCredentials(io: Io): Promise<Credentials> {
  const path = file(io)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { edges: {} }
    throw new Failure(`cannot read ${path}: ${messageOf(error)}`, 'make it readable for this user')
  }
  const parsed = Credentials.safeParse(json(text))
  if (parsed.success) return parsed.data
  throw new Failure(`${path} is not a file of logins`, 'delete it and run `waggle login` again')
}

/** Stores the login of an edge, or forgets it; `current` makes it the edge used when none is named. */
export async function writeLogin(io: Io, edge: string, login: Login | undefined, current: boolean): Promise<void> {
  const credentials = await readCredentials(io)
  if (login !== undefined) {
    credentials.edges[edge] = login
    if (current) credentials.current = edge
  } else {
    delete credentials.edges[edge]
    if (credentials.current === edge) delete credentials.current
  }
  const path = file(io)
  const aside = `${path}.${process.pid}`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(aside, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 })
    await chmod(aside, 0o600)
    await rename(aside, path)
  } catch (error) {
    throw new Failure(`cannot write ${path}: ${messageOf(error)}`, 'make its folder writable, or set XDG_CONFIG_HOME')
  }
}

function file({ env }: Io): string {
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'waggle', 'credentials.json')
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
