// MCPServerEntry: a server that runs elsewhere and is called directly, without an endpoint of its own.
// `groupRef` is optional here (ToolHive requires it), because a virtual server may name the entry in `backends`.
import * as z from 'zod'
import { HeaderForward } from './header.ts'
import { CABundleRef, NameRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { LooseNameRef, old, requireOne, spelt } from './spelling.ts'
import { HttpUrl } from './url.ts'

const remoteUrl = HttpUrl.describe('URL of the server.')

export const MCPServerEntry = resource(
  toolhive,
  'MCPServerEntry',
  spelt(
    z.strictObject({
      remoteUrl,
      transport: z.enum(['sse', 'streamable-http']).describe('What the server speaks.'),
      groupRef: NameRef.optional().describe('The MCPGroup that the server belongs to.'),
      externalAuthConfigRef: NameRef.optional().describe(
        'How the server is authenticated to: an MCPExternalAuthConfig.',
      ),
      headerForward: HeaderForward.optional().describe('Headers to add to requests to the server.'),
      allowPrivateEndpoint: z.boolean().default(false).describe('Allow remoteUrl to be a private address.'),
      caBundleRef: CABundleRef.optional().describe('Certificates to trust when talking to the server.'),
    }),
    {
      remoteUrl: remoteUrl.optional(),
      url: old(HttpUrl, 'remoteUrl'),
      remoteURL: old(HttpUrl, 'remoteUrl'),
      groupRef: LooseNameRef,
    },
    (schema) => requireOne(schema, 'remoteUrl', 'url', 'remoteURL'),
  ),
)
export type MCPServerEntry = z.infer<typeof MCPServerEntry>
