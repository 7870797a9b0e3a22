// EmbeddingServer: a model in pods of its own that turns text into vectors. It runs here; what searches with it comes later.

import type { EmbeddingServer } from '../../../crds/embedding-server.ts'
import type { ConditionDraft, Planner, World } from '../kind.ts'
import { nameProblem } from '../label.ts'
import { troubleOf } from '../pod-state.ts'
import { no, plan, stuck, yes } from './condition.ts'
import {
  cacheClaim,
  DEFAULT_MODEL,
  embeddingObjects,
  embeddingPort,
  embeddingSelector,
  madeClaim,
} from './embedding-workload.ts'
import { workload } from './server-health.ts'

interface State {
  readonly phase: 'Pending' | 'Downloading' | 'Ready' | 'Failed'
  readonly message: string
  readonly conditions: readonly ConditionDraft[]
}

export const embeddingServer: Planner<EmbeddingServer> = {
  kind: 'EmbeddingServer',
  plan(observed, world) {
    const { resource, deleting } = observed
    const { namespace, name } = resource.metadata
    // No finalizer is needed: everything has an owner and goes with it.
    if (deleting) {
      const message = 'the server is being deleted'
      return plan({ conditions: [no('Ready', 'Terminating', message)], status: { phase: 'Terminating', message } })
    }
    const existing = world.object('StatefulSet', namespace, name)
    const named = nameProblem(name)
    const made = named === undefined ? embeddingObjects(resource, world.settings, existing) : undefined
    const url = `http://${name}.${namespace}.svc.cluster.local:${embeddingPort(resource)}`
    if (made?.ok !== true) {
      const message = named ?? (made?.ok === false ? made.message : '')
      const reason = named === undefined ? 'InvalidPodTemplateSpec' : 'InvalidName'
      return plan({
        keep: true,
        conditions: stuck(reason, message),
        status: { phase: 'Failed', message, url },
      })
    }
    const { ready } = workload(existing)
    const state = stateOf(resource, ready, world)
    return plan({
      objects: made.objects,
      conditions: [...state.conditions, ...volume(resource, world)],
      status: { phase: state.phase, message: state.message, readyReplicas: ready, url },
    })
  },
}

function stateOf({ metadata, spec }: EmbeddingServer, ready: number, world: World): State {
  const model = spec.model ?? DEFAULT_MODEL
  if (ready > 0) {
    const message = `the model ${model} is served`
    return {
      phase: 'Ready',
      message,
      conditions: [yes('Ready', 'Running', message), yes('ModelReady', 'ModelReady', message)],
    }
  }
  const pods = world.pods(metadata.namespace, embeddingSelector(metadata.name))
  const trouble = troubleOf(pods)
  if (trouble !== undefined) {
    const { reason, message, lasting } = trouble
    return {
      phase: lasting ? 'Failed' : 'Pending',
      message,
      conditions: [
        ...(lasting ? stuck(reason, message) : [no('Ready', reason, message)]),
        no('ModelReady', reason, message),
      ],
    }
  }
  const downloads = pods.some(({ status }) => (status as { readonly phase?: string } | undefined)?.phase === 'Running')
  const message = downloads ? `the model ${model} is being fetched and loaded` : 'waiting for a pod to start'
  const reason = downloads ? 'ModelDownloading' : 'Starting'
  return {
    phase: downloads ? 'Downloading' : 'Pending',
    message,
    conditions: [no('Ready', reason, message), no('ModelReady', reason, message)],
  }
}

function volume(server: EmbeddingServer, world: World): ConditionDraft[] {
  const { namespace, name } = server.metadata
  const type = 'VolumeReady'
  const wanted = cacheClaim(server)
  const existing = world.object('StatefulSet', namespace, name)
  const made = madeClaim(existing)
  if (existing !== undefined && JSON.stringify(wanted) !== JSON.stringify(made))
    return [
      no(
        type,
        'VolumeNotChanged',
        'spec.modelCache cannot be changed once its volume is made: delete the EmbeddingServer and make it again',
      ),
    ]
  if (wanted === undefined) return []
  const claim = world.object('PersistentVolumeClaim', namespace, `model-cache-${name}-0`)
  const phase = (claim?.status as { readonly phase?: string } | undefined)?.phase
  return phase === 'Bound'
    ? [yes(type, 'VolumeBound', 'the volume of the model is there')]
    : [no(type, 'VolumePending', 'the volume of the model is not bound yet')]
}
