// MCPRegistry: a catalogue of servers. Deprecated in ToolHive; accepted, and answered by a condition that says so.
import * as z from 'zod'
import { filled, list, Opaque, text } from './bound.ts'
import { ImagePullSecrets } from './pod.ts'
import { resource, toolhive } from './resource.ts'
import { gone, requireOne, spelt } from './spelling.ts'

const instead = 'write configYAML'

export const MCPRegistry = resource(
  toolhive,
  'MCPRegistry',
  spelt(
    z.strictObject({
      configYAML: filled(262_144).describe('Configuration of the registry server.'),
      displayName: text(253).optional().describe('Name for people.'),
      imagePullSecrets: ImagePullSecrets.optional().describe('Secrets for pulling the image.'),
      pgpassSecretRef: z
        .strictObject({
          key: filled(253).describe('Key in the Secret.'),
          name: text(253).optional().meta({ default: '' }).describe('Name of the Secret.'),
          optional: z.boolean().optional().describe('Go on without it.'),
        })
        .optional()
        .meta({ 'x-kubernetes-map-type': 'atomic' })
        .describe("Where the database's password file is kept."),
      podTemplateSpec: Opaque.optional().describe('Changes to the pods.'),
      volumes: list(Opaque, 64)
        .optional()
        .meta({ 'x-kubernetes-list-type': 'atomic' })
        .describe('Volumes of the pods.'),
      volumeMounts: list(Opaque, 64)
        .optional()
        .meta({ 'x-kubernetes-list-type': 'atomic' })
        .describe('Where they are mounted.'),
    }),
    {
      configYAML: filled(262_144).optional().describe('Configuration of the registry server.'),
      registries: gone(list(Opaque, 256), instead),
      databaseConfig: gone(Opaque, instead),
      authConfig: gone(Opaque, instead),
      enforceServers: gone(z.boolean(), instead),
    },
    (schema) => requireOne(schema, 'configYAML', 'registries', 'databaseConfig', 'authConfig'),
  ),
)
export type MCPRegistry = z.infer<typeof MCPRegistry>
