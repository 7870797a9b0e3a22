// MCPRemoteProxy: a proxy in front of a server elsewhere. Its own credentials for that server go into its pods and nowhere else;
// where it may connect to is judged here, and again by the proxy when it connects.

import { endpointUrl } from '../../../plan/address.ts'
import { secretReferences } from '../../../plan/references.ts'
import type { Resource } from '../../../plan/resources.ts'
import type { ConditionDraft, Planner } from '../kind.ts'
import { names } from '../label.ts'
import { no, plan, stuck, turned, yes } from './condition.ts'
import { foreignSecrets, runConfigOf, serverAuth } from './endpoint.ts'
import { proxied, type Hindrance } from './proxied.ts'
import { proxyHealth } from './proxy-health.ts'
import { checkReferences, type References } from './reference.ts'
import { remoteUrlProblem } from './remote-url.ts'
import { sessionStorage } from './session-storage.ts'
import { memberKeys, usingNamespaces } from './trust.ts'

type RemoteProxy = Extract<Resource, { kind: 'MCPRemoteProxy' }>

export const remoteProxy: Planner<RemoteProxy> = {
  kind: 'MCPRemoteProxy',
  affected: (changed, world) => memberKeys(changed, world, 'MCPRemoteProxy'),
  plan(observed, world) {
    const { resource, deleting } = observed
    const { spec, metadata } = resource
    // No finalizer is needed: everything has an owner and goes with it.
    if (deleting) {
      const message = 'the proxy is being deleted'
      return plan({ conditions: [no('Ready', 'Terminating', message)], status: { phase: 'Terminating', message } })
    }
    const config = runConfigOf(resource, world)
    const port = spec.proxyPort ?? 8080
    const made = proxied(
      resource,
      config,
      {
        port,
        alias: { name: names.alias(metadata.name), port },
        sessionAffinity: spec.sessionAffinity ?? 'ClientIP',
        replicas: spec.replicas,
        serviceAccount: spec.serviceAccount,
        resources: spec.resources,
        overrides: spec.resourceOverrides,
        podTemplateSpec: spec.podTemplateSpec,
      },
      { consented: usingNamespaces(resource, world), podCondition: 'PodTemplateValid' },
      world,
    )
    const references = checkReferences(resource, world)
    const auth = serverAuth(config.endpoint.guard, spec.oidcConfigRef, world)
    const url = remoteUrlProblem(spec, world.settings.egressAllow)
    const conditions = [
      url === undefined
        ? yes('ConfigurationValid', 'ConfigurationValid', `calls go to ${new URL(spec.remoteUrl).host}`)
        : no('ConfigurationValid', 'RemoteURLInvalid', url),
      ...references.conditions,
      auth,
      ...foreignSecrets(config),
      ...headerSecrets(resource),
      sessionStorage(spec.replicas, spec.sessionStorage, world.settings),
      ...made.conditions,
    ]
    const state = proxyHealth('MCPRemoteProxy', metadata, world, 'the proxy is running')
    const hindrance = made.refused ?? refusal(url, auth, references)
    const status = { url: endpointUrl(resource), ...references.hashes, readyReplicas: state.readyReplicas }
    if (hindrance === undefined)
      return plan({
        objects: made.objects,
        keys: made.keys,
        conditions: [...state.conditions, ...conditions],
        status: { ...status, phase: state.phase, message: state.message },
      })
    const { reason, message, lasting } = hindrance
    const ready = lasting ? stuck(reason, message) : [no('Ready', reason, message)]
    return plan({
      objects: made.objects,
      keep: made.refused !== undefined,
      keys: made.keys,
      conditions: [...ready, ...conditions],
      status: { ...status, phase: lasting ? 'Failed' : 'Pending', message },
      // What lasts is told of by the core.
      events: lasting ? [] : ready.flatMap((one) => turned(observed, one, 'Warning')),
    })
  },
}

/** Why calls are refused although everything could be made. */
function refusal(
  url: string | undefined,
  auth: ConditionDraft,
  { broken, stalled }: References,
): Hindrance | undefined {
  if (url !== undefined) return { reason: 'RemoteURLInvalid', message: url, lasting: true }
  if (broken !== undefined) return { reason: broken.reason, message: broken.message, lasting: stalled }
  if (auth.status === 'False' && auth.reason !== 'Anonymous')
    return { reason: auth.reason, message: auth.message, lasting: true }
  return undefined
}

function headerSecrets(resource: RemoteProxy): ConditionDraft[] {
  const named = [...new Set(secretReferences(resource).map(({ name }) => name))].sort()
  if (named.length === 0) return []
  const message = `named: ${named.join(', ')}. The operator has no right to read Secrets: the proxy that lacks a value says so when it is called`
  return [yes('HeaderSecretRefsValidated', 'HeaderSecretRefsNotRead', message)]
}
