// What the gateway asks of its host. Roles only; adapters live in the hosts (edge/, agent/) and in test/.

/** A stored value with the version that `cas` compares. Versions are opaque and never reused for a key. */
export interface Entry {
  readonly value: string
  readonly version: string
}

/**
 * Small, strongly consistent key-value storage shared by all isolates of a host.
 * Values may be up to 24 MiB: adapters chunk what their backend caps (Cloudflare: 2 MB a value) and no reader ever sees half a value.
 * Every operation has a deadline; when storage cannot be reached it throws a `Fault` with reason `store_unavailable`.
 */
export interface Store {
  get(key: string): Promise<Entry | null>
  /** As `get`, for many keys in one round trip; same order. */
  mget(keys: readonly string[]): Promise<(Entry | null)[]>
  /** Versions only, for caches that ask whether they are stale; same order. */
  peek(keys: readonly string[]): Promise<(string | null)[]>
  /** Writes; with `absent`, only when there is no live value. Returns the new version, or null when `absent` refused. */
  set(key: string, value: string, options?: { ttlSeconds?: number; absent?: boolean }): Promise<string | null>
  /** Writes only when the current version is `expected` (null: no live value). Returns the new version, or null when lost. */
  cas(key: string, expected: string | null, value: string, options?: { ttlSeconds?: number }): Promise<string | null>
  /** Adds `by` to a counter (an integer value, kept apart from text values); `ttlSeconds` counts from its first increment. */
  incr(key: string, by: number, ttlSeconds: number): Promise<number>
  del(key: string): Promise<void>
}

/** Milliseconds since the epoch. Injected everywhere so that deciders stay pure. */
export type Clock = () => number
