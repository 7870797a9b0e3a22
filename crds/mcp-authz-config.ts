// MCPAuthzConfig: policies that several servers share. `config` has the form that `type` asks for.
import * as z from 'zod'
import { filled, Opaque } from './bound.ts'
import { resource, toolhive } from './resource.ts'

export const MCPAuthzConfig = resource(
  toolhive,
  'MCPAuthzConfig',
  z.strictObject({
    type: filled(63).describe('Kind of the policies, such as cedarv1.'),
    config: Opaque.describe('The policies.'),
  }),
)
export type MCPAuthzConfig = z.infer<typeof MCPAuthzConfig>
