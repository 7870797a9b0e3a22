// The embedded authorization server: an OAuth server beside a proxy that signs users in at upstream providers.
import * as z from 'zod'
import { filled, inCluster, list, text, whole } from './bound.ts'
import { Duration } from './duration.ts'
import { Name, Namespace, ProviderName } from './name.ts'
import { Scope, SecretKeyRef } from './reference.ts'
import { exactlyOne, keyed, rule } from './rule.ts'
import { TrustedIssuer } from './trusted-issuer.ts'
import { Upstream } from './upstream-provider.ts'
import { BaseUrl } from './url.ts'

const off = inCluster(z.boolean(), false)

const DelegateClient = z.strictObject({
  clientId: filled(256).describe('Id of the client.'),
  clientSecretRef: SecretKeyRef.describe("Where the client's secret is kept."),
  audiences: list(filled(2048), 10).min(1).describe('Audiences that it may ask for.'),
  scopes: list(filled(256), 10).min(1).describe('Scopes that it may ask for.'),
})

const Tls = z
  .strictObject({
    caCertSecretRef: SecretKeyRef.optional().describe('Certificates to trust.'),
    insecureSkipVerify: z.boolean().optional().describe('Do not check certificates; for development only.'),
  })
  .optional()

const Sentinel = exactlyOne(
  z.strictObject({
    masterName: filled(253).describe('Name of the primary.'),
    sentinelAddrs: list(filled(512), 32).optional().describe('Addresses of the sentinels.'),
    sentinelService: z
      .strictObject({
        name: Name.describe('Name of the Service.'),
        namespace: Namespace.optional().describe('Namespace of the Service.'),
        port: inCluster(whole(1, 65_535), 26_379).describe('Port of the Service.'),
      })
      .optional()
      .describe('The Service of the sentinels.'),
    db: inCluster(whole(0, 65_535), 0).describe('Number of the database.'),
  }),
  'sentinelAddrs',
  'sentinelService',
)

const Redis = exactlyOne(
  z.strictObject({
    addr: text(512).optional().describe('Host and port of Redis.'),
    clusterMode: z.boolean().optional().describe('It is a Redis Cluster.'),
    sentinelConfig: Sentinel.optional().describe('Redis Sentinel.'),
    aclUserConfig: z
      .strictObject({
        usernameSecretRef: SecretKeyRef.optional().describe('Where the user name is kept.'),
        passwordSecretRef: SecretKeyRef.describe('Where the password is kept.'),
      })
      .describe('Who to sign in as.'),
    tls: Tls.describe('TLS towards Redis.'),
    sentinelTls: Tls.describe('TLS towards the sentinels.'),
    dialTimeout: inCluster(Duration, '5s').describe('How long connecting may take.'),
    readTimeout: inCluster(Duration, '3s').describe('How long reading may take.'),
    writeTimeout: inCluster(Duration, '3s').describe('How long writing may take.'),
  }),
  'addr',
  'sentinelConfig',
)

const Storage = rule(
  z.strictObject({
    type: inCluster(z.enum(['memory', 'redis']), 'memory').describe('Where it is.'),
    redis: Redis.optional().describe('Redis.'),
  }),
  (fields, refuse) => {
    if ((fields.type === 'redis') !== (fields.redis !== undefined)) {
      refuse(['redis'], 'goes with type: redis, and only with it')
    }
  },
  {
    rule: "(has(self.type) && self.type == 'redis') == has(self.redis)",
    message: 'redis goes with type: redis, and only with it',
  },
)

const Cimd = z.strictObject({
  enabled: inCluster(z.boolean(), false).describe('Accept them.'),
  cacheMaxSize: whole(1).optional().describe('How many are kept.'),
  cacheFallbackTtl: Duration.optional().describe('How long those are kept that do not say.'),
})

const Lifespans = z.strictObject({
  accessTokenLifespan: Duration.optional().describe('Of access tokens.'),
  authCodeLifespan: Duration.optional().describe('Of authorization codes.'),
  refreshTokenLifespan: Duration.optional().describe('Of refresh tokens.'),
})

export const EmbeddedAuthServer = rule(
  z.strictObject({
    issuer: BaseUrl.describe('URL of the server, as in its tokens.'),
    authorizationEndpointBaseUrl: BaseUrl.optional().describe('URL that browsers are sent to, if another.'),
    upstreamProviders: keyed(list(Upstream, 16).min(1), 'name').describe('Where users sign in.'),
    primaryUpstreamProvider: ProviderName.optional().describe('The provider that says who a user is.'),
    disableUpstreamTokenInjection: off.describe("Do not pass the provider's token on to the server."),
    signingKeySecretRefs: list(SecretKeyRef, 5).optional().describe('Keys for signing; the first one signs.'),
    hmacSecretRefs: list(SecretKeyRef, 16).optional().describe('Keys for opaque tokens; the first one is used.'),
    storage: Storage.optional().describe('Where sessions are kept.'),
    tokenLifespans: Lifespans.optional().describe('How long things are valid.'),
    baselineClientScopes: list(Scope, 10).optional().describe('Scopes that every client gets.'),
    allowConfidentialClientRegistration: off.describe('Let clients register that have a secret.'),
    forceConfidentialRedirectUris: list(
      text(2048).regex(/^https:\/\/[!-"$->@-~]+$/, { error: 'must be an https URL without query or fragment' }),
      10,
    )
      .optional()
      .describe('Redirect URIs whose clients must have a secret.'),
    insecureAllowConfidentialOverLoopbackHTTP: off.describe(
      'Allow secrets over http on loopback; for development only.',
    ),
    insecureAllowHTTP: off.describe('Allow plain http; for development only.'),
    cimd: Cimd.optional().describe('Client ids that are URLs of documents about the client.'),
    delegateClients: list(DelegateClient, 10)
      .optional()
      .describe('Clients that may act for users by exchanging tokens.'),
    trustedIssuers: list(TrustedIssuer, 20).optional().describe('Other issuers whose tokens may be exchanged.'),
  }),
  (fields, refuse) => {
    const clients = fields.delegateClients
    const issuer = fields.issuer
    if (Array.isArray(clients) && clients.length > 0 && typeof issuer === 'string') {
      if (!issuer.startsWith('https://')) refuse(['issuer'], 'must use https with delegateClients')
    }
  },
  {
    rule: "!has(self.delegateClients) || size(self.delegateClients) == 0 || self.issuer.startsWith('https://')",
    message: 'issuer must use https with delegateClients',
    fieldPath: '.issuer',
  },
)
