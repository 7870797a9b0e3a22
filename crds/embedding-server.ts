// EmbeddingServer: a model that turns text into vectors, for the search over tools of virtual servers.
import * as z from 'zod'
import { filled, inCluster, list, Opaque, Port, text, whole } from './bound.ts'
import { Env, Marks, Quantity, Resources } from './pod.ts'
import { SecretKeyRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'

const ModelCache = z.strictObject({
  enabled: inCluster(z.boolean(), true).describe('Keep the model on a volume.'),
  size: inCluster(Quantity, '10Gi').describe('Size of the volume.'),
  accessMode: inCluster(z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadOnlyMany']), 'ReadWriteOnce').describe(
    'Access mode of the volume.',
  ),
  storageClassName: text(253).optional().describe("Class of the volume; the cluster's default when left out."),
})

const Overrides = z.strictObject({
  persistentVolumeClaim: Marks.optional().describe('Labels and annotations of the volume claims.'),
  service: Marks.optional().describe('Labels and annotations of the Service.'),
  statefulSet: z
    .strictObject({
      ...Marks.shape,
      podTemplateMetadataOverrides: Marks.optional().describe('Labels and annotations of the pods.'),
    })
    .optional()
    .describe('Changes to the StatefulSet.'),
})

export const EmbeddingServer = resource(
  toolhive,
  'EmbeddingServer',
  z
    .strictObject({
      model: inCluster(filled(512), 'BAAI/bge-small-en-v1.5').describe('Name of the model at Hugging Face.'),
      image: inCluster(filled(1024), 'ghcr.io/huggingface/text-embeddings-inference:cpu-latest').describe(
        'Container image of the inference server.',
      ),
      imagePullPolicy: inCluster(z.enum(['Always', 'Never', 'IfNotPresent']), 'IfNotPresent').describe(
        'When the image is pulled.',
      ),
      port: inCluster(Port, 8080).describe('Port of the server.'),
      replicas: inCluster(whole(1, 1000), 1).describe('Number of pods.'),
      args: list(text(8192)).optional().describe('More arguments for the container.'),
      env: Env.optional().describe('Environment variables.'),
      hfTokenSecretRef: SecretKeyRef.optional().describe('Where a token for Hugging Face is kept.'),
      modelCache: ModelCache.optional().describe('Where the model is kept.'),
      resources: Resources.optional().describe('CPU and memory.'),
      podTemplateSpec: Opaque.optional().describe(
        "Changes to the pods, merged by Kubernetes' rules; the container is embedding.",
      ),
      resourceOverrides: Overrides.optional().describe('Changes to the objects.'),
    })
    .prefault({}),
)
export type EmbeddingServer = z.infer<typeof EmbeddingServer>
