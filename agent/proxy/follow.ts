// Where the run config comes from: the mounted file to begin with, then the ConfigMap itself, which is a minute ahead of it.
// Where the ConfigMap cannot be watched, the file is read again and again.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RUN_CONFIG } from '../run-config.ts'
import { reasonOf, type Log } from './log.ts'
import type { Place } from './place.ts'

const FILE_MS = 1_000

export interface FollowHost {
  readonly place: Place
  readonly log: Log
  /** A text that differs from the last. */
  readonly offered: (text: string) => void
}

/** Follows until the signal aborts; never throws. */
export function follow({ place, log, offered }: FollowHost, signal: AbortSignal): void {
  let last: string | undefined
  let isWatched = false
  const offer = (text: string): void => {
    if (text === last) return
    last = text
    offered(text)
  }
  void followFile(join(place.config, RUN_CONFIG), log, signal, (text) => {
    // The file lags behind what the watch has told.
    if (!isWatched) offer(text)
  })
  if (place.configMap === undefined) return
  watch(place.configMap, log, signal, (text) => {
    isWatched = true
    offer(text)
  }).catch((error: unknown) => log('warn', 'config_map_not_watched', { reason: reasonOf(error) }))
}

async function followFile(path: string, log: Log, signal: AbortSignal, read: (text: string) => void): Promise<void> {
  let failed = false
  while (!signal.aborted) {
    try {
      read(await readFile(path, 'utf8'))
      failed = false
    } catch (error) {
      if (!failed) log('warn', 'run_config_not_read', { path, reason: reasonOf(error) })
      failed = true
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, FILE_MS)
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
    })
  }
}

async function watch(
  { namespace, name }: NonNullable<Place['configMap']>,
  log: Log,
  signal: AbortSignal,
  read: (text: string) => void,
): Promise<void> {
  const { podAccess } = await import('../kube/access.ts')
  const { KubeClient } = await import('../kube/client.ts')
  const { Informer } = await import('../kube/informer.ts')
  const client = new KubeClient(await podAccess(process.env), { connections: 1 })
  const type = { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true }
  const informer = new Informer(client, type, {
    namespaces: [namespace],
    fieldSelector: `metadata.name=${name}`,
    onError: (error) => log('warn', 'config_map_watch', { reason: reasonOf(error) }),
  })
  informer.onChange((_old, next) => {
    const text = next?.data?.[RUN_CONFIG]
    // A ConfigMap that is deleted takes nothing away: the pod ends soon, or it comes back.
    if (text !== undefined) read(text)
  })
  informer.start(signal)
}
