// The Worker's bindings and settings: the only file that knows how they are spelled.
// Everything is a string in the environment, on Cloudflare and in self-hosted workerd alike.

export interface Env {
  /** Where clients reach this edge, without a trailing slash: `https://mcp.example.com`. */
  PUBLIC_URL: string
  /** OIDC issuer for endpoints that name none, and for the admin API. */
  OIDC_ISSUER?: string
  /** Issuer for the admin API when it differs. Its audience is `${PUBLIC_URL}/admin`, its scope `waggle:admin`. */
  ADMIN_ISSUER?: string
  /** Comma-separated `Host` values accepted besides that of PUBLIC_URL. */
  ALLOWED_HOSTS?: string
  /** Comma-separated `Origin` values accepted besides that of PUBLIC_URL. */
  ALLOWED_ORIGINS?: string
  /** `true`: backends with `allowPrivateEndpoint` and issuers may be on loopback (development, self-hosting). */
  ALLOW_LOOPBACK?: string
  /** `kid:base64url(32 bytes)`, comma-separated; the first seals, all open. */
  SEALING_KEYS: string
  /** As SEALING_KEYS, for secrets at rest. */
  VAULT_KEYS: string
  /** JSON array of private JWKs (P-256, with `kid`); the first signs assertions to servers of clusters, the public parts of all are at /.well-known/jwks.json. */
  ASSERTION_KEYS?: string
  /** With both set the store is Upstash Redis, otherwise the embedded Durable Object. */
  UPSTASH_REDIS_REST_URL?: string
  UPSTASH_REDIS_REST_TOKEN?: string
  /** How long audit lines of a busy isolate may wait for each other, in milliseconds; 0: every event is a line at once. */
  AUDIT_BATCH_MS?: string
  STORE: DurableObjectNamespace
  /** Keeps catalogs fresh in the background. */
  REFRESH: DurableObjectNamespace
  /** Sessions of servers on the old HTTP+SSE transport. */
  SSE_SESSIONS: DurableObjectNamespace
  /** Streams that clients listen on, and answers on their way to the calls that wait for them. */
  CHANNELS: DurableObjectNamespace
  /** One object per joined cluster: its uplinks' links, and what they publish. */
  HUB: DurableObjectNamespace
  /**
   * For tests: seconds of silence until a link is avoided, a cluster counts as offline, its servers are delisted, and are forgotten,
   * comma-separated. Default `25,45,600,86400`.
   */
  LINK_CLOCK?: string
  /** Self-hosted only: a network service that may reach private addresses, for backends that are allowed to be there. */
  PRIVATE_NETWORK?: Fetcher
}
