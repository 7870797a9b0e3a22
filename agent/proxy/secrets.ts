// Secrets as files that the kubelet keeps up to date. Read when they are needed and again soon after: a replaced secret is
// used within seconds, without a restart. Invariant: what is named in another namespace is not there, also where a Secret of
// the same name is: it belongs to somebody else, and goes to nobody's server but theirs.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SecretRef } from '../../plan/references.ts'

const FRESH_MS = 1_000
/** Nothing that goes into a header or a form is longer. */
const MAX_CHARACTERS = 64 * 1024

export class SecretFiles {
  readonly #folder: string
  readonly #now: () => number
  #namespace: string | undefined
  readonly #known = new Map<string, { readonly value: Promise<string | undefined>; readonly at: number }>()

  constructor(folder: string, now: () => number = () => performance.now()) {
    this.#folder = folder
    this.#now = now
  }

  /** The namespace of the pod, whose Secrets the files are; before it is known there are none. */
  belongTo(namespace: string): void {
    this.#namespace = namespace
  }

  /** The value without a line end at its end; undefined when it is not there. */
  async read({ namespace, name, key }: SecretRef): Promise<string | undefined> {
    if (namespace !== this.#namespace) return undefined
    const path = join(this.#folder, name, key)
    const known = this.#known.get(path)
    if (known !== undefined && this.#now() - known.at < FRESH_MS) return known.value
    const value = readFile(path, 'utf8').then(
      (text) => (text.length > MAX_CHARACTERS ? undefined : text.replace(/\r?\n$/u, '')),
      () => undefined,
    )
    this.#known.set(path, { value, at: this.#now() })
    return value
  }
}
