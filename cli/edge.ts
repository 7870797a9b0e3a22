// Which edge a command talks to, in one spelling: the key of logins and the base of every URL.

import type { Credentials } from './credentials.ts'
import { Failure, usage } from './failure.ts'
import type { Io } from './io.ts'

/** The edge of `--edge`, else of WAGGLE_EDGE, else of the last login. */
export function chooseEdge(given: string | undefined, { env }: Io, credentials: Credentials): string {
  if (given !== undefined) return normalise(given, '--edge')
  if (env['WAGGLE_EDGE']) return normalise(env['WAGGLE_EDGE'], 'WAGGLE_EDGE')
  if (credentials.current !== undefined) return credentials.current
  throw new Failure('no edge chosen', 'run `waggle login --edge URL`, or set WAGGLE_EDGE')
}

/** An edge's URL without a trailing slash. Tokens are never sent in clear, except to this machine. */
function normalise(given: string, from: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw usage(`${from} ${JSON.stringify(given)} is not an address of an edge`, 'give it as https://mcp.example.com')
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw usage(`${from} has more than a host and a path`, 'give it as https://mcp.example.com')
  }
  if (url.protocol === 'http:' && !isLoopback(url)) {
    throw usage(`${from} is not encrypted: ${url.origin}`, 'use https; plain http is for this machine only')
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}
