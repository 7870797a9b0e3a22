// Keeps the edge's public keys in a ConfigMap of the operator's namespace, from which plans read them. What the edge published last
// stays there while it is away, so neither its outage nor a restart here changes whom servers believe.

import { lookup } from 'node:dns'
import { getCACertificates } from 'node:tls'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { pemOf } from '../../plan/site.ts'
import { edgeJwks, PUBLIC_KEYS } from '../jwks.ts'
import type { KubeClient } from '../kube/client.ts'
import { sleep, systemClock, type Clock } from '../kube/clock.ts'
import { isNotFound } from '../kube/error.ts'
import { TYPES } from '../kube/object.ts'
import { fetchOver } from '../proxy/http.ts'
import type { Settings } from './settings.ts'

const EVERY_MS = 5 * 60_000
const FIRST_RETRY_MS = 5_000

export interface EdgeKeysOptions {
  /** Fenced: only the leader writes. */
  readonly client: KubeClient
  readonly settings: Pick<Settings, 'namespace' | 'extraCaConfigMap'> & { readonly edge: NonNullable<Settings['edge']> }
  /** Writes are made in this name. */
  readonly manager: string
  readonly onError?: (error: unknown) => void
  readonly clock?: Clock
  readonly random?: () => number
  /** Instead of the network, with the certificates to trust besides the system's. */
  readonly fetch?: (ca: string) => Fetch
}

export class EdgeKeys {
  readonly #options: EdgeKeysOptions

  constructor(options: EdgeKeysOptions) {
    this.#options = options
  }

  /** Looks every five minutes, sooner after a failure, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const { clock = systemClock, random = Math.random, onError } = this.#options
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.look(signal)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        onError?.(error)
      }
      const wait = failures === 0 ? EVERY_MS : Math.min(EVERY_MS, FIRST_RETRY_MS * 2 ** (failures - 1))
      // Clusters that lost the edge together must not come back together.
      await sleep(clock, wait * (0.8 + 0.4 * random()), signal)
    }
  }

  /** Fetches the keys once, and writes them down if they are others. Throws when there is no answer, or one that holds no keys. */
  async look(signal: AbortSignal): Promise<void> {
    const { client, settings, manager } = this.#options
    const { namespace, edge } = settings
    const [published, known] = await Promise.all([this.#fetch(signal), this.#read(edge.keysConfigMap, signal)])
    if (known?.[PUBLIC_KEYS] === published) return
    const metadata = { name: edge.keysConfigMap, namespace }
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [PUBLIC_KEYS]: published } }
    await client.apply(object, TYPES.ConfigMap, { manager, signal })
  }

  async #fetch(signal: AbortSignal): Promise<string> {
    const { settings, fetch = overTls } = this.#options
    const ca = settings.extraCaConfigMap === undefined ? undefined : await this.#read(settings.extraCaConfigMap, signal)
    const certificates = Object.values(ca ?? {}).map(pemOf)
    return JSON.stringify(await edgeJwks(settings.edge.url, fetch(certificates.join('\n')), signal))
  }

  async #read(name: string, signal: AbortSignal): Promise<Readonly<Record<string, string>> | undefined> {
    const { client, settings } = this.#options
    try {
      return (await client.get({ type: TYPES.ConfigMap, namespace: settings.namespace, name }, { signal })).data
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }
}

/** No redirects: the keys are those of this address. */
function overTls(ca: string): Fetch {
  return fetchOver({ lookup, ca: ca === '' ? undefined : [...getCACertificates('default'), ca] })
}
