// What `waggle agent local` is told on its command line.

import { join, resolve } from 'node:path'

export interface LocalSettings {
  /** Of the manifests. */
  readonly folder: string
  /** Without a trailing slash. */
  readonly edge: string
  readonly cluster: string
  /** Path of the join token, which may be gone once the edge knows our key. */
  readonly joinToken: string | undefined
  readonly state: string
  readonly secrets: string
  readonly egressAllow: readonly string[]
}

export const localOptions = {
  file: { type: 'string', short: 'f' },
  edge: { type: 'string' },
  cluster: { type: 'string' },
  'join-token-file': { type: 'string' },
  state: { type: 'string' },
  secrets: { type: 'string' },
  'egress-allow': { type: 'string', multiple: true },
} as const

export interface LocalOptions {
  readonly file?: string
  readonly edge?: string
  readonly cluster?: string
  readonly 'join-token-file'?: string
  readonly state?: string
  readonly secrets?: string
  readonly 'egress-allow'?: string[]
}

/** Throws an Error that names the option that is missing or wrong. */
export function localSettings(options: LocalOptions): LocalSettings {
  const { file, edge, cluster, state = '.waggle/local', secrets } = options
  if (file === undefined) throw new Error('-f must name the folder with the manifests')
  if (edge === undefined || !/^https?:$/u.test(URL.parse(edge)?.protocol ?? ''))
    throw new Error('--edge must be the URL of the edge')
  if (cluster === undefined || !/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u.test(cluster))
    throw new Error('--cluster must be the name that `waggle cluster add` was given')
  const token = options['join-token-file']
  return {
    folder: resolve(file),
    edge: edge.replace(/\/+$/u, ''),
    cluster,
    joinToken: token === undefined ? undefined : resolve(token),
    state: resolve(state),
    secrets: resolve(secrets ?? join(state, 'secrets')),
    egressAllow: options['egress-allow'] ?? [],
  }
}
