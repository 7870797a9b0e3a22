// Where the run config comes from: the mounted file to begin with, then the ConfigMap itself, which is a minute ahead of it.
// Where the ConfigMap cannot be watched, the file is read again and again.

import { lookup } from 'node:dns'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { podAccess } from '../kube/access.ts'
import { RUN_CONFIG } from '../run-config.ts'
import { followConfigMap } from './config-map.ts'
import { fetchOver } from './http.ts'
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
  const access = await podAccess(process.env)
  // The API server is where the pod is told that it is, whatever addresses servers may have.
  const fetch = fetchOver({ lookup, ca: access.ca === undefined ? undefined : [access.ca] })
  const found = (data: Readonly<Record<string, string>>): void => {
    const text = data[RUN_CONFIG]
    if (text !== undefined) read(text)
  }
  const failed = (error: unknown) => log('warn', 'config_map_not_watched', { reason: reasonOf(error) })
  await followConfigMap({ access, fetch, namespace, name, found, failed }, signal)
}
