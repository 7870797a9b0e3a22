// A minimal client of a cluster's API server, as its administrator or with any other token, through the gate. Every request has a connection of its
// own, so that no answer can come from before a crash.
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Cluster } from './plan.ts'

const DEADLINE_MS = 30_000

export interface Access {
  readonly server: string
  readonly ca: Buffer
  readonly token: string
}

/** An answer of the API server that is not a success; `reason` is Kubernetes' own word for it, such as NotFound. */
export class Refusal extends Error {
  readonly status: number
  readonly reason: string
  constructor(what: string, status: number, body: string) {
    super(`${what}: ${status} ${body}`)
    this.status = status
    this.reason = /"reason":\s*"(\w+)"/.exec(body)?.[1] ?? ''
  }
}

/** Where the cluster's API server is for the host, and the administrator's token. Changes with every `up`. */
export function access(c: Cluster): Access {
  return readAccess(join(c.dir, 'kubeconfig'))
}

/** The same from any kubeconfig of the testbed. */
export function readAccess(path: string): Access {
  const config = JSON.parse(readFileSync(path, 'utf8')) as {
    clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }]
    users: [{ user: { token: string } }]
  }
  const { server, 'certificate-authority-data': ca } = config.clusters[0].cluster
  return { server, ca: Buffer.from(ca, 'base64'), token: config.users[0].user.token }
}

/**
 * Asks the API server and returns its answer: parsed, or as text when it is not JSON.
 * @param body sent as JSON; of a PATCH as a merge patch
 * @param token instead of the administrator's
 * @throws Refusal when the answer is not a success
 */
export async function call<T = unknown>(
  c: Cluster,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
): Promise<T> {
  const { server, ca, token: admin } = access(c)
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  const headers = { authorization: `Bearer ${token ?? admin}`, 'content-type': type }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(new URL(path, server), { method, headers, ca, timeout: DEADLINE_MS, agent: false }, resolve)
    asked.on('error', reject).on('timeout', () => asked.destroy(new Error(`${method} ${path}: timeout`)))
    asked.end(body === undefined ? undefined : JSON.stringify(body))
  })
  const answer = await text(response)
  const status = response.statusCode ?? 500
  if (status >= 300) throw new Refusal(`${method} ${path}`, status, answer)
  return (response.headers['content-type']?.includes('json') === true ? JSON.parse(answer) : answer) as T
}
