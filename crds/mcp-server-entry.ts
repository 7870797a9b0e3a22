// MCPServerEntry: a server that runs elsewhere and is called directly, without an endpoint of its own.
// `groupRef` is optional here (ToolHive requires it), because a virtual server may name the entry in `backends`.
import * as z from 'zod'
import { HeaderForward } from './header.ts'
import { CABundleRef, NameRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { HttpUrl } from './url.ts'

export const MCPServerEntry = resource(
  toolhive,
  'MCPServerEntry',
  z.strictObject({
    remoteUrl: HttpUrl,
    transport: z.enum(['sse', 'streamable-http']),
    groupRef: NameRef.optional(),
    externalAuthConfigRef: NameRef.optional(),
    headerForward: HeaderForward.optional(),
    allowPrivateEndpoint: z.boolean().default(false),
    caBundleRef: CABundleRef.optional(),
  }),
)
export type MCPServerEntry = z.infer<typeof MCPServerEntry>
