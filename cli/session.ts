// The token a command uses: WAGGLE_TOKEN for machines, else the stored login, renewed when it is stale.

import { type Login, readCredentials, writeLogin } from './credentials.ts'
import { Failure } from './failure.ts'
import { renew } from './grant.ts'
import type { Io } from './io.ts'
import { resourceOf } from './provider.ts'

/** Renew this long before the token ends, in milliseconds. */
const margin = 60_000

export interface Session {
  /** A token for the admin API; with `fresh` not the one that was refused just now. Undefined: there is no other. */
  token(fresh?: boolean): Promise<string | undefined>
  /** What to do when the edge does not accept the token. */
  readonly remedy: string
}

export function openSession(io: Io, edge: string): Session {
  const machine = io.env['WAGGLE_TOKEN']
  if (machine) {
    return {
      token: async (fresh = false) => (fresh ? undefined : machine.trim()),
      remedy: `set WAGGLE_TOKEN to a valid token for ${resourceOf(edge)}`,
    }
  }
  const remedy = `run \`waggle login --edge ${edge}\``
  return { token: (fresh = false) => stored(io, edge, fresh, remedy), remedy }
}

async function stored(io: Io, edge: string, fresh: boolean, remedy: string): Promise<string | undefined> {
  const login = (await readCredentials(io)).edges[edge]
  if (login === undefined) throw new Failure(`not logged in at ${edge}`, remedy)
  const stale = login.expiresAt !== undefined && login.expiresAt - margin < Date.now()
  if (!stale && !fresh) return login.accessToken
  if (login.refreshToken === undefined) {
    if (fresh) return undefined
    throw new Failure(`the login at ${edge} has ended`, remedy)
  }
  try {
    const renewed = await renew(login, login.refreshToken, resourceOf(edge))
    await writeLogin(io, edge, renewed, false)
    return renewed.accessToken
  } catch (error) {
    const other = await replaced(io, edge, login)
    if (other !== undefined) return other
    throw new Failure(error instanceof Failure ? error.message : 'the login cannot be renewed', remedy)
  }
}

/** Refresh tokens are often good once; a command running beside this one may have used it and stored the new one. */
async function replaced(io: Io, edge: string, login: Login): Promise<string | undefined> {
  const now = (await readCredentials(io)).edges[edge]
  return now !== undefined && now.accessToken !== login.accessToken ? now.accessToken : undefined
}
