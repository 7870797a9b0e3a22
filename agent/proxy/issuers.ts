// The issuers that a guard trusts. Keys are kept across changes of the configuration, so that they are not fetched again.
// The pod's own token goes to the API server of its cluster and nowhere else.

import { decodeJwt } from 'jose'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { IssuerKeys } from '../../gateway/auth/issuer.ts'
import { isApiServer } from '../../gateway/backend/egress.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import type { Clock, Store } from '../../gateway/ports.ts'
import type { IssuerPlan } from '../../plan/issuer.ts'
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
  readonly #folder: string
  readonly #token: () => Promise<string | undefined>
  #known: ReadonlyMap<string, Known> = new Map()

  /** `folder` is where the pod has its service account. */
  constructor(store: Store, secrets: SecretFiles, now: Clock, folder = SERVICE_ACCOUNT) {
    this.#store = store
    this.#secrets = secrets
    this.#now = now
    this.#folder = folder
    this.#token = tokenFile(join(folder, 'token'))
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
      { ...issuer, issuer: this.#nameOf(plan), introspection },
      { store: this.#store, fetch: this.#fetch(plan, network), allowLoopback: true, now: this.#now },
    )
  }

  /** What tokens call the issuer: of the API server's address, whatever the cluster calls itself in the pod's own token. */
  #nameOf({ issuer, clusterAuth }: IssuerPlan): string {
    if (!clusterAuth || !isApiServer(new URL(issuer))) return issuer
    try {
      return decodeJwt(readFileSync(join(this.#folder, 'token'), 'utf8').trim()).iss ?? issuer
    } catch {
      return issuer
    }
  }

  #fetch({ issuer, allowPrivate, ca, clusterAuth }: IssuerPlan, network: Network): Fetch {
    const plain: Fetch = async (url, init) => {
      network.guard(url, `issuer ${issuer}`, allowPrivate)
      return network.fetch({ allowPrivate, ca })(url, init)
    }
    if (!clusterAuth) return plain
    return async (url, init) => {
      if (!isApiServer(new URL(url))) return plain(url, init)
      const clusterCa = ca ?? (await readFile(join(this.#folder, 'ca.crt'), 'utf8'))
      const headers = {
        accept: 'application/jwk-set+json, application/json',
        authorization: (await this.#token()) ?? '',
      }
      return network.fetch({ allowPrivate: true, ca: clusterCa })(url, { ...init, headers })
    }
  }
}
