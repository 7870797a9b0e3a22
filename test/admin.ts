// The admin API of an edge as tests use it: as root, by a token of the tests' own issuer.

import type { Issuer } from './issuer.ts'
import type { Manifest } from './peers/manifests.ts'

const REQUEST_MS = 60_000

export interface Admin {
  readonly adminToken: () => Promise<string>
  /** An admin request; `path` starts with `/admin/v1/`. */
  readonly admin: (method: string, path: string, body?: unknown) => Promise<Response>
  /** Applies by the admin API; rejects with the problems when it refuses. */
  readonly apply: (resources: readonly Manifest[]) => Promise<void>
}

export function adminOf(url: string, issuer: Pick<Issuer, 'token'>): Admin {
  const adminToken = (): Promise<string> => issuer.token(`${url}/admin`, { sub: 'root', scope: 'waggle:admin' })
  const admin: Admin['admin'] = async (method, path, body) =>
    fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${await adminToken()}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(REQUEST_MS),
    })
  return {
    adminToken,
    admin,
    apply: async (resources) => {
      const response = await admin('PUT', '/admin/v1/resources', { resources })
      if (!response.ok) throw new Error(`apply: ${response.status} ${await response.text()}`)
      await response.body?.cancel()
    },
  }
}
