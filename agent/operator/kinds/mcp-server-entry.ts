// MCPServerEntry: a server elsewhere that virtual servers call directly. Nothing runs for it; its status says whether it could
// be called. Values of Secrets are never read by the operator, so whether they are there shows where they are used.

import type { MCPServerEntry } from '../../../crds/mcp-server-entry.ts'
import { secretReferences } from '../../../plan/references.ts'
import type { ConditionDraft, Planner } from '../kind.ts'
import { bundleProblem } from './bundle.ts'
import { no, plan, stuck, yes } from './condition.ts'
import { checkReferences } from './reference.ts'
import { remoteUrlProblem } from './remote-url.ts'

export const serverEntry: Planner<MCPServerEntry> = {
  kind: 'MCPServerEntry',
  plan(observed, world) {
    const { spec, metadata } = observed.resource
    const references = checkReferences(observed.resource, world)
    const url = remoteUrlProblem(spec, world.settings.egressAllow)
    const bundle = bundleProblem('spec.caBundleRef', spec.caBundleRef, metadata.namespace, world)
    const own: ConditionDraft[] = [
      url === undefined
        ? yes('RemoteURLValidated', 'RemoteURLValid', 'the address may be called')
        : no('RemoteURLValidated', 'RemoteURLInvalid', url),
      ...(spec.caBundleRef === undefined
        ? []
        : [
            bundle === undefined
              ? yes('CABundleRefValidated', 'CABundleRefValid', 'the certificates are there')
              : no('CABundleRefValidated', 'CABundleRefNotFound', bundle),
          ]),
      ...headerSecrets(observed.resource),
    ]
    const broken = own.find(({ status }) => status === 'False') ?? references.broken
    const waits =
      broken !== undefined &&
      (broken.type === 'CABundleRefValidated' || (broken === references.broken && !references.stalled))
    const valid =
      broken === undefined
        ? yes('Valid', 'ConfigValid', 'virtual servers can call it')
        : no('Valid', 'ConfigInvalid', broken.message)
    const ready =
      broken === undefined
        ? [yes('Ready', 'ConfigValid', 'virtual servers can call it')]
        : waits
          ? [no('Ready', 'Pending', broken.message)]
          : stuck('ConfigInvalid', broken.message)
    return plan({
      conditions: [...ready, valid, ...references.conditions, ...own],
      status: { phase: broken === undefined ? 'Valid' : waits ? 'Pending' : 'Failed' },
    })
  },
}

function headerSecrets(entry: MCPServerEntry): ConditionDraft[] {
  const named = [...new Set(secretReferences(entry).map(({ name }) => name))].sort()
  if (named.length === 0) return []
  const message = `named: ${named.join(', ')}. The operator has no right to read Secrets: a virtual server that lacks a value says so when it calls`
  return [yes('HeaderSecretRefsValidated', 'HeaderSecretRefsNotRead', message)]
}
