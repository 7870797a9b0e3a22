// What MCPRemoteProxy and MCPServerEntry have in common: a server elsewhere, and what is sent along. Seen in the run config of
// whoever calls it.

import type { Effect } from './effect.ts'

export const remoteEffects: readonly Effect[] = [
  {
    fields: ['remoteUrl'],
    spec: { remoteUrl: 'https://other.example.com/mcp' },
    shows: { 'run config servers[0].url': 'https://other.example.com/mcp' },
  },
  {
    fields: ['allowPrivateEndpoint'],
    spec: { allowPrivateEndpoint: true },
    shows: { 'run config servers[0].allowPrivate': true },
  },
  {
    fields: ['headerForward.addPlaintextHeaders'],
    spec: { headerForward: { addPlaintextHeaders: { 'X-Team': 'platform' } } },
    shows: { 'run config servers[0].headers.x-team': 'platform' },
  },
  {
    fields: [
      'headerForward.addHeadersFromSecret[].headerName',
      'headerForward.addHeadersFromSecret[].valueSecretRef.name',
      'headerForward.addHeadersFromSecret[].valueSecretRef.key',
    ],
    spec: {
      headerForward: {
        addHeadersFromSecret: [{ headerName: 'X-Key', valueSecretRef: { name: 'header', key: 'value' } }],
      },
    },
    shows: {
      'run config servers[0].secretHeaders[0].header': 'x-key',
      'run config servers[0].secretHeaders[0].secret.name': 'header',
      'run config servers[0].secretHeaders[0].secret.key': 'value',
    },
  },
  {
    fields: ['externalAuthConfigRef.name'],
    spec: { externalAuthConfigRef: { name: 'key' } },
    shows: {
      'run config servers[0].credential.header': 'authorization',
      'run config servers[0].credential.secret.name': 'api',
    },
  },
]
