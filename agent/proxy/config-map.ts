// A proxy's own ConfigMap, which is all that it may read of the cluster: got once, then watched. Whatever ends a watch, the
// object is got again, so that nothing is missed and nothing need be remembered.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { readBounded } from '../../gateway/bounded.ts'
import type { Access } from '../kube/access.ts'

const GET_MS = 10_000
/** The API server ends a watch after this long; one that goes on much longer has died unnoticed. */
const WATCH_SECONDS = 240
const SPARE_MS = 30_000
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 15_000
/** A ConfigMap has 1 MiB, and JSON in JSON is longer. */
const MAX_CHARACTERS = 8 * 1024 * 1024

export interface ConfigMapHost {
  readonly access: Access
  readonly fetch: Fetch
  readonly namespace: string
  readonly name: string
  /** The data, whenever it may be news. */
  readonly found: (data: Readonly<Record<string, string>>) => void
  /** Told once for every row of failures. */
  readonly failed: (error: unknown) => void
}

interface ConfigMap {
  readonly metadata: { readonly resourceVersion: string }
  readonly data?: Readonly<Record<string, string>>
}

/** Follows the ConfigMap until the signal aborts; never throws. */
export async function followConfigMap(host: ConfigMapHost, signal: AbortSignal): Promise<void> {
  let failures = 0
  while (!signal.aborted) {
    try {
      const version = await get(host, signal)
      failures = 0
      await watch(host, version, signal)
    } catch (error) {
      if (signal.aborted) return
      if (failures === 0) host.failed(error)
      failures += 1
    }
    const wait =
      failures === 0 ? FIRST_RETRY_MS / 2 : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10))
    await sleep(wait * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined)
  }
}

/** Gets the object and returns its version. */
async function get(host: ConfigMapHost, signal: AbortSignal): Promise<string> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(GET_MS)])
  const body = await ask(host, `/${host.name}`, until)
  const text = await readBounded(body, MAX_CHARACTERS)
  if (text === undefined) throw new Error('the ConfigMap is too large')
  const { metadata, data } = JSON.parse(text) as ConfigMap
  host.found(data ?? {})
  return metadata.resourceVersion
}

/** Returns when the watch ends as it should, or when the object has gone. */
async function watch(host: ConfigMapHost, version: string, signal: AbortSignal): Promise<void> {
  const query = new URLSearchParams({
    watch: 'true',
    fieldSelector: `metadata.name=${host.name}`,
    resourceVersion: version,
    timeoutSeconds: String(WATCH_SECONDS),
  })
  const until = AbortSignal.any([signal, AbortSignal.timeout(WATCH_SECONDS * 1000 + SPARE_MS)])
  const body = await ask(host, `?${query.toString()}`, until)
  let rest = ''
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    rest += piece
    if (rest.length > MAX_CHARACTERS) throw new Error('an event of the watch is too large')
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const event = JSON.parse(rest.slice(0, end)) as { readonly type: string; readonly object: ConfigMap }
      rest = rest.slice(end + 1)
      if (event.type !== 'ADDED' && event.type !== 'MODIFIED') return
      host.found(event.object.data ?? {})
    }
  }
}

async function ask(
  { access, fetch, namespace }: ConfigMapHost,
  path: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const authorization = await access.authorization()
  const headers = { accept: 'application/json', ...(authorization !== undefined && { authorization }) }
  const url = `${access.server}/api/v1/namespaces/${namespace}/configmaps${path}`
  const response = await fetch(url, { headers, signal })
  if (response.status === 200 && response.body !== null) return response.body
  await response.body?.cancel()
  throw new Error(`the API server answers HTTP ${response.status}`)
}
