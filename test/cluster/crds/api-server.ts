// The API server's verdict on manifests, many at a time over few connections; nothing is ever stored.
import { Pool } from 'undici'
import { access } from '../bed/api.ts'
import type { Cluster } from '../bed/plan.ts'

const CONNECTIONS = 8
const DEADLINE_MS = 60_000

export interface Verdict {
  readonly accepted: boolean
  /** What the API server says, accepted or not. */
  readonly answer: string
  /** The warning that kubectl would print; empty when there is none. */
  readonly warning: string
}

export interface Judge {
  /** Judges a manifest as `kubectl apply` would send it: unknown fields are errors. `collection` is the path to POST to. */
  readonly judge: (collection: string, manifest: unknown) => Promise<Verdict>
  /** Whether there is something at this path yet. */
  readonly serves: (path: string) => Promise<boolean>
  readonly close: () => Promise<void>
}

export function apiServer(cluster: Cluster): Judge {
  const { server, ca, token } = access(cluster)
  const pool = new Pool(server, {
    connections: CONNECTIONS,
    allowH2: false,
    connect: { ca },
    headersTimeout: DEADLINE_MS,
    bodyTimeout: DEADLINE_MS,
  })
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return {
    judge: async (collection, manifest) => {
      const path = `${collection}?dryRun=All&fieldValidation=Strict`
      const {
        statusCode,
        headers: got,
        body,
      } = await pool.request({ path, method: 'POST', headers, body: JSON.stringify(manifest) })
      const answer = await body.text()
      const warning = /^299 \S+ "(.*)"$/.exec(String(got['warning'] ?? ''))?.[1] ?? ''
      if (statusCode === 201) return { accepted: true, answer, warning }
      if (statusCode === 400 || statusCode === 422) return { accepted: false, answer, warning }
      throw new Error(`POST ${path}: ${statusCode} ${answer}`)
    },
    serves: async (path) => {
      const { statusCode, body } = await pool.request({ path, method: 'GET', headers })
      await body.dump()
      return statusCode === 200
    },
    close: () => pool.close(),
  }
}
