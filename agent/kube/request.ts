// What a request to the API server may say besides its path: one set of options a verb.

import type { KubeObject } from './object.ts'

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface RequestOptions {
  readonly query?: Query
  readonly body?: unknown
  readonly contentType?: string
  readonly accept?: string
  readonly signal?: AbortSignal | undefined
  /** Whether a second time does no harm. Default: every method but POST. */
  readonly idempotent?: boolean
}

export interface ListOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** Objects a page; 500 when not given. */
  readonly limit?: number
  /** Only `metadata` is sent. */
  readonly metadataOnly?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  /** Reduces each object as its page arrives, so that no whole list is ever held. */
  readonly transform?: ((object: KubeObject) => KubeObject) | undefined
}

export interface ListResult {
  readonly items: KubeObject[]
  readonly resourceVersion: string
}

export interface WatchOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  readonly metadataOnly?: boolean | undefined
  readonly query?: Query
  readonly signal: AbortSignal
  /** Called on every sign of life, so that the caller can tell silence from peace. */
  readonly alive?: () => void
}

export interface WriteOptions {
  readonly signal?: AbortSignal | undefined
  readonly dryRun?: boolean | undefined
}

export interface ApplyOptions extends WriteOptions {
  /** The field manager: one for each controller, another for its status. */
  readonly manager: string
  /** Takes fields over from other managers; true when not given. */
  readonly force?: boolean
}

export interface DeleteOptions extends WriteOptions {
  /** Deletes only this very object, in this very state. */
  readonly preconditions?: { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined }
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
}
