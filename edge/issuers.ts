// Keys of the identity providers that an edge trusts; kept across changes of the configuration, so that they are not fetched again.

import { IssuerKeys, type IssuerHost } from '../gateway/auth/issuer.ts'
import type { KeyRing } from '../gateway/seal.ts'
import type { IssuerPlan } from '../plan/issuer.ts'
import { openSecret, type Secrets } from './documents/secrets.ts'

export class Issuers {
  readonly #host: IssuerHost
  readonly #vaultKeys: KeyRing
  readonly #secrets: () => Secrets
  readonly #known = new Map<string, IssuerKeys>()

  /** `secrets`: those of now. */
  constructor(host: IssuerHost, vaultKeys: KeyRing, secrets: () => Secrets) {
    this.#host = host
    this.#vaultKeys = vaultKeys
    this.#secrets = secrets
  }

  keys(issuer: IssuerPlan): IssuerKeys {
    const id = JSON.stringify(issuer)
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const { clientId, clientSecret, introspectionUrl, ...rest } = issuer
    const keys = new IssuerKeys(
      {
        ...rest,
        introspection:
          introspectionUrl === undefined || clientId === undefined
            ? undefined
            : { url: introspectionUrl, clientId, secret: async () => this.#secret(clientSecret) },
      },
      this.#host,
    )
    this.#known.set(id, keys)
    return keys
  }

  async #secret(ref: IssuerPlan['clientSecret']): Promise<string> {
    if (ref === undefined) return ''
    return (await openSecret(this.#secrets(), this.#vaultKeys, ref.namespace, ref.name, ref.key)) ?? ''
  }
}
