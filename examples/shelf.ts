// Where the local identity provider keeps its records: memory, plus a file for what must survive a restart (its signing
// key and the clients that registered themselves, so that a client need not be set up again after every start).

import { readFileSync, writeFileSync } from 'node:fs'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import type { Adapter, AdapterPayload } from 'oidc-provider'

interface Item {
  payload: AdapterPayload
  /** Milliseconds since the epoch. */
  expires: number
}

interface Saved {
  key: JWK
  clients: Record<string, AdapterPayload>
}

const limit = 20_000

export class Shelf {
  readonly key: JWK
  readonly #items = new Map<string, Item>()
  readonly #file: string | undefined

  private constructor(saved: Saved, file: string | undefined) {
    this.key = saved.key
    this.#file = file
    for (const [id, payload] of Object.entries(saved.clients)) {
      this.#items.set(`Client:${id}`, { payload, expires: Number.POSITIVE_INFINITY })
    }
  }

  /** Opens the shelf; without a file (or with an unreadable one) it starts empty with a new ES256 key. */
  static async open(file?: string): Promise<Shelf> {
    const shelf = new Shelf((file === undefined ? undefined : read(file)) ?? { key: await newKey(), clients: {} }, file)
    shelf.#save()
    return shelf
  }

  /** The records of one model, in the shape oidc-provider asks for. */
  adapter(model: string): Adapter {
    const items = this.#items
    const find = (id: string) => {
      const item = items.get(`${model}:${id}`)
      return item === undefined || item.expires < Date.now() ? undefined : item.payload
    }
    const search = (field: 'uid' | 'userCode', value: string) => {
      for (const [key, item] of items) {
        if (key.startsWith(`${model}:`) && item.payload[field] === value && item.expires >= Date.now())
          return item.payload
      }
      return undefined
    }
    return {
      find: async (id) => find(id),
      findByUid: async (uid) => search('uid', uid),
      findByUserCode: async (code) => search('userCode', code),
      upsert: async (id, payload, seconds) => {
        // A client that registered a scope list could never step up beyond it; the user's own rights are the limit here.
        const kept = model === 'Client' ? withoutScope(payload) : payload
        const expires = seconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + seconds * 1000
        items.set(`${model}:${id}`, { payload: kept, expires })
        if (items.size > limit) this.#prune()
        if (model === 'Client') this.#save()
      },
      consume: async (id) => {
        const found = find(id)
        if (found !== undefined) found['consumed'] = Math.floor(Date.now() / 1000)
      },
      destroy: async (id) => {
        items.delete(`${model}:${id}`)
        if (model === 'Client') this.#save()
      },
      revokeByGrantId: async (grantId) => {
        for (const [key, item] of items) if (item.payload.grantId === grantId) items.delete(key)
      },
    }
  }

  #prune(): void {
    for (const [key, item] of this.#items) if (item.expires < Date.now()) this.#items.delete(key)
    for (const key of this.#items.keys()) {
      if (this.#items.size <= limit) return
      this.#items.delete(key)
    }
  }

  #save(): void {
    if (this.#file === undefined) return
    const clients: Record<string, AdapterPayload> = {}
    for (const [key, item] of this.#items) {
      if (key.startsWith('Client:')) clients[key.slice('Client:'.length)] = item.payload
    }
    writeFileSync(this.#file, JSON.stringify({ key: this.key, clients } satisfies Saved), { mode: 0o600 })
  }
}

async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: crypto.randomUUID() }
}

function read(file: string): Saved | undefined {
  try {
    const saved: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof saved === 'object' && saved !== null && 'key' in saved && 'clients' in saved) return saved as Saved
  } catch {
    // No file yet, or a damaged one: a new identity is made, and clients register again.
  }
  return undefined
}

function withoutScope(payload: AdapterPayload): AdapterPayload {
  const { scope: _, ...rest } = payload
  return rest
}
