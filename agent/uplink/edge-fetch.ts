// HTTP to the edge: certificates of the cluster's admin besides the system's, and no connection kept: after an outage a kept one may be
// one that nobody answers on.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { Agent, fetch } from 'undici'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { pemOf } from '../../plan/site.ts'

const CONNECT_MS = 4_000

/** Certificates to trust for the edge; undefined: the system's. */
export async function trusted(folder: string | undefined): Promise<readonly string[] | undefined> {
  if (folder === undefined) return undefined
  const files = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const texts = await Promise.all(
    // Mounted ConfigMaps are links, and have folders of their own beside them.
    files
      .filter((file) => !file.name.startsWith('..'))
      .map((file) => readFile(join(folder, file.name), 'utf8').catch(() => '')),
  )
  const extra = texts.map(pemOf).filter((pem) => pem !== '')
  return extra.length === 0 ? undefined : [...getCACertificates('default'), ...extra]
}

export function edgeFetch(ca: readonly string[] | undefined): Fetch {
  const dispatcher = new Agent({
    pipelining: 0,
    connect: { timeout: CONNECT_MS, ...(ca !== undefined && { ca: [...ca] }) },
  })
  return async (url, { method = 'GET', headers, body, redirect = 'manual', signal }) => {
    const text = typeof body === 'string' ? body : undefined
    const options = { method, headers: headers as Record<string, string>, redirect, dispatcher }
    const more = { ...(text !== undefined && { body: text }), ...(signal instanceof AbortSignal && { signal }) }
    return fetch(url, { ...options, ...more })
  }
}
