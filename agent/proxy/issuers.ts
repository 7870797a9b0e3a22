// The issuers that a guard trusts. Keys are kept across changes of the configuration, so that they are not fetched again.
// The pod's own token goes to the API server of its cluster and nowhere else.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { IssuerKeys } from '../../gateway/auth/issuer.ts'
import { isApiServer } from '../../gateway/backend/egress.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import type { Clock, Store } from '../../gateway/ports.ts'
import type { IssuerPlan } from '../../plan/endpoint.ts'
import { tokenFile } from '../kube/access.ts'
import type { Network } from './network.ts'
import type { SecretFiles } from './secrets.ts'

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

interface Known {
  readonly keys: IssuerKeys
  readonly network: Network
}

export class Issuers {
  readonly #store: Store
  readonly #secrets: SecretFiles
  readonly #now: Clock
  readonly #token = tokenFile(join(SERVICE_ACCOUNT, 'token'))
  #known: ReadonlyMap<string, Known> = new Map()

  constructor(store: Store, secrets: SecretFiles, now: Clock) {
    this.#store = store
    this.#secrets = secrets
    this.#now = now
  }

  /** Keys of these issuers, over this network; others are forgotten. */
  keys(plans: readonly IssuerPlan[], network: Network): IssuerKeys[] {
    const next = new Map<string, Known>()
    const found = plans.map((plan) => {
      const id = JSON.stringify(plan)
      const known = this.#known.get(id)
      const keys = known?.network === network ? known.keys : this.#make(plan, network)
      next.set(id, { keys, network })
      return keys
    })
    this.#known = next
    return found
  }

  #make(plan: IssuerPlan, network: Network): IssuerKeys {
    const { clientId, clientSecret, introspectionUrl, ...issuer } = plan
    const introspection =
      introspectionUrl === undefined || clientId === undefined
        ? undefined
        : {
            url: introspectionUrl,
            clientId,
            secret: async () => (clientSecret === undefined ? '' : ((await this.#secrets.read(clientSecret)) ?? '')),
          }
    // `fetch` judges each of the issuer's URLs by itself: what the admin opened for one of them is not open for the others.
    return new IssuerKeys(
      { ...issuer, introspection },
      { store: this.#store, fetch: this.#fetch(plan, network), allowLoopback: true, now: this.#now },
    )
  }

  #fetch({ issuer, allowPrivate, ca, clusterAuth }: IssuerPlan, network: Network): Fetch {
    const plain: Fetch = async (url, init) => {
      network.guard(url, `issuer ${issuer}`, allowPrivate)
      return network.fetch({ allowPrivate, ca })(url, init)
    }
    if (!clusterAuth) return plain
    return async (url, init) => {
      if (!isApiServer(new URL(url))) return plain(url, init)
      const clusterCa = ca ?? (await readFile(join(SERVICE_ACCOUNT, 'ca.crt'), 'utf8'))
      const headers = {
        accept: 'application/jwk-set+json, application/json',
        authorization: (await this.#token()) ?? '',
      }
      return network.fetch({ allowPrivate: true, ca: clusterCa })(url, { ...init, headers })
    }
  }
}
