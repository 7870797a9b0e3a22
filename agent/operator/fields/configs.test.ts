import { test } from 'node:test'
import { mcpServer } from '../kinds/mcp-server.ts'
import { externalAuthConfig } from '../kinds/mcp-external-auth-config.ts'
import type { Manifest } from '../kinds/scene.ts'
import { assertComplete, assertEffects, type Effect, type Stage } from './effect.ts'
import { refused } from './proxy-effects.ts'
import { certificate, configs, objects } from './stage.ts'

const file = 'agent/operator/fields/configs.test.ts'
const issuer = 'run config endpoint.guard.issuers[0]'
const member = 'run config endpoint.members[0]'

/** A configuration has no objects of its own: it shows in the run config of a server that names it. */
function stage(kind: Manifest['kind'], spec: object, reference: object): Stage {
  const server: Manifest = {
    kind: 'MCPServer',
    name: 'one',
    spec: { image: 'one', transport: 'streamable-http', ...reference },
  }
  return { kind, name: 'config', spec, others: [...configs, server], objects }
}

const url = 'https://idp.example.com'
const inline = (value: object): object => ({ inline: { issuer: url, ...value } })

const login: readonly Effect[] = [
  {
    fields: ['type', 'inline.issuer'],
    spec: inline({ issuer: 'https://other.example.com' }),
    shows: { [`${issuer}.issuer`]: 'https://other.example.com' },
  },
  {
    fields: ['inline.jwksUrl'],
    spec: inline({ jwksUrl: `${url}/keys` }),
    shows: { [`${issuer}.jwksUrl`]: `${url}/keys` },
  },
  {
    fields: ['inline.introspectionUrl', 'inline.clientId', 'inline.clientSecretRef.name', 'inline.clientSecretRef.key'],
    spec: inline({
      introspectionUrl: `${url}/introspect`,
      clientId: 'us',
      clientSecretRef: { name: 'client', key: 'secret' },
    }),
    shows: {
      [`${issuer}.introspectionUrl`]: `${url}/introspect`,
      [`${issuer}.clientId`]: 'us',
      [`${issuer}.clientSecret.name`]: 'client',
      [`${issuer}.clientSecret.key`]: 'secret',
    },
  },
  {
    fields: ['inline.insecureAllowHTTP'],
    spec: inline({ insecureAllowHTTP: true }),
    shows: { [`${issuer}.allowHttp`]: true },
  },
  {
    fields: ['inline.jwksAllowPrivateIP'],
    spec: inline({ jwksAllowPrivateIP: true }),
    shows: { [`${issuer}.allowPrivate`]: true },
  },
  {
    fields: ['inline.caBundleRef.configMapRef.name', 'inline.caBundleRef.configMapRef.key'],
    spec: inline({ caBundleRef: { configMapRef: { name: 'ca', key: 'ca.crt' } } }),
    shows: { [`${issuer}.ca`]: certificate },
  },
]

const account = (value: object): object => ({ kubernetesServiceAccount: value })

const cluster: readonly Effect[] = [
  {
    fields: ['type', 'kubernetesServiceAccount.issuer'],
    spec: account({ issuer: 'https://issuer.example.com' }),
    shows: { [`${issuer}.issuer`]: 'https://issuer.example.com' },
  },
  {
    fields: ['kubernetesServiceAccount.jwksUrl'],
    spec: account({ jwksUrl: `${url}/keys` }),
    shows: { [`${issuer}.jwksUrl`]: `${url}/keys` },
  },
  {
    fields: ['kubernetesServiceAccount.namespace', 'kubernetesServiceAccount.serviceAccount'],
    spec: account({ namespace: 'team', serviceAccount: 'agent' }),
    shows: { [`${issuer}.subjects[0]`]: 'system:serviceaccount:team:agent' },
  },
]

test('every field of an MCPOIDCConfig shows in the run config of a server that names it', () => {
  const reference = { oidcConfigRef: { name: 'config', audience: 'us' } }
  assertEffects(mcpServer, stage('MCPOIDCConfig', { type: 'inline', inline: { issuer: url } }, reference), login)
  const own = { type: 'kubernetesServiceAccount', kubernetesServiceAccount: {} }
  assertEffects(mcpServer, stage('MCPOIDCConfig', own, reference), cluster)
  assertComplete('MCPOIDCConfig', [...login, ...cluster], file)
})

const secret = { name: 'other', key: 'value' }

const outgoing: readonly Effect[] = [
  {
    fields: ['type', 'bearerToken.tokenSecretRef.name', 'bearerToken.tokenSecretRef.key'],
    spec: { type: 'bearerToken', bearerToken: { tokenSecretRef: secret } },
    shows: {
      [`${member}.credential.prefix`]: 'Bearer ',
      [`${member}.credential.secret.name`]: 'other',
      [`${member}.credential.secret.key`]: 'value',
    },
  },
  {
    fields: ['headerInjection.headerName', 'headerInjection.valueSecretRef.name', 'headerInjection.valueSecretRef.key'],
    spec: { type: 'headerInjection', headerInjection: { headerName: 'X-Key', valueSecretRef: secret } },
    shows: {
      [`${member}.credential.header`]: 'x-key',
      [`${member}.credential.secret.name`]: 'other',
      [`${member}.credential.secret.key`]: 'value',
    },
  },
  {
    fields: ['tokenExchange.tokenUrl'],
    spec: { type: 'tokenExchange', tokenExchange: { tokenUrl: `${url}/token`, audience: 'them' } },
    shows: { [`${member}.credential.kind`]: 'refused' },
  },
  {
    fields: ['upstreamInject.providerName'],
    spec: { type: 'upstreamInject', upstreamInject: { providerName: 'idp' } },
    shows: { [`${member}.credential.kind`]: 'refused' },
  },
]

test('every field of an MCPExternalAuthConfig shows in the run config of a server that names it, or refuses its calls', () => {
  const reference = { externalAuthConfigRef: { name: 'config' } }
  assertEffects(mcpServer, stage('MCPExternalAuthConfig', { type: 'unauthenticated' }, reference), outgoing)
  assertEffects(externalAuthConfig, stage('MCPExternalAuthConfig', { type: 'unauthenticated' }, {}), [
    {
      fields: ['tokenExchange.tokenUrl'],
      spec: { type: 'tokenExchange', tokenExchange: { tokenUrl: `${url}/token`, audience: 'them' } },
      shows: { 'condition Valid': 'False NotSupported' },
    },
  ])
  assertComplete('MCPExternalAuthConfig', outgoing, file)
})

const shown: readonly Effect[] = [
  { fields: ['toolsFilter'], spec: { toolsFilter: ['list'] }, shows: { [`${member}.filter[0]`]: 'list' } },
  {
    fields: [
      'toolsOverride.*.name',
      'toolsOverride.*.description',
      'toolsOverride.*.annotations.title',
      'toolsOverride.*.annotations.readOnlyHint',
      'toolsOverride.*.annotations.destructiveHint',
      'toolsOverride.*.annotations.idempotentHint',
      'toolsOverride.*.annotations.openWorldHint',
    ],
    spec: {
      toolsOverride: {
        list: {
          name: 'ls',
          description: 'Lists.',
          annotations: {
            title: 'List',
            readOnlyHint: true,
            destructiveHint: false,
            idempotentHint: true,
            openWorldHint: true,
          },
        },
      },
    },
    shows: {
      [`${member}.overrides.list.name`]: 'ls',
      [`${member}.overrides.list.description`]: 'Lists.',
      [`${member}.overrides.list.annotations.title`]: 'List',
      [`${member}.overrides.list.annotations.readOnlyHint`]: true,
      [`${member}.overrides.list.annotations.destructiveHint`]: false,
      [`${member}.overrides.list.annotations.idempotentHint`]: true,
      [`${member}.overrides.list.annotations.openWorldHint`]: true,
    },
  },
]

test('every field of an MCPToolConfig shows in the run config of a server that names it', () => {
  assertEffects(mcpServer, stage('MCPToolConfig', {}, { toolConfigRef: { name: 'config' } }), shown)
  assertComplete('MCPToolConfig', shown, file)
})

const hook = { name: 'h', url: 'https://hook.example.com', failurePolicy: 'fail' }

test('configurations that nobody can act on yet admit nobody instead of being ignored', () => {
  const authz = stage('MCPAuthzConfig', { type: 'cedarv1', config: {} }, {})
  const withAuthz = { ...authz, others: configs }
  assertEffects(mcpServer, { ...withAuthz, kind: 'MCPServer', name: 'one', spec: { image: 'one' } }, [
    { fields: [], spec: { authzConfigRef: { name: 'cedar' } }, shows: refused },
    { fields: [], spec: { webhookConfigRef: { name: 'hook' } }, shows: refused },
  ])
  assertEffects(mcpServer, stage('MCPWebhookConfig', {}, { webhookConfigRef: { name: 'config' } }), [
    {
      fields: [],
      spec: { validating: [hook] },
      shows: {
        'status message':
          'spec.webhookConfigRef.name: platform-tools/config: webhooks (0 mutating, 1 validating) are not called in this version, so servers that name this config refuse every caller',
      },
    },
  ])
})
