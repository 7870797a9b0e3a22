// What a user's podTemplateSpec may change in a pod of ours: everything but what would give the pod rights that its author need not
// have. The cluster's admin may allow more, by class.

import { isTree, merge, type Tree } from './strategic.ts'

export type Allowance = 'hostNamespaces' | 'privileged' | 'hostPath' | 'serviceAccount'

export type Patched = { readonly ok: true; readonly template: Tree } | { readonly ok: false; readonly message: string }

/** The template with the user's changes, or why they are refused: fields by path, never values. */
export function patchTemplate(template: Tree, patch: unknown, allowed: ReadonlySet<string>): Patched {
  if (patch === undefined || patch === null) return { ok: true, template }
  if (!isTree(patch)) return { ok: false, message: 'spec.podTemplateSpec must be an object with metadata and spec' }
  const unknown = Object.keys(patch).find((field) => field !== 'metadata' && field !== 'spec')
  if (unknown !== undefined) {
    return { ok: false, message: `spec.podTemplateSpec.${unknown} is not a field of a pod template: metadata, spec` }
  }
  if (isTree(patch['metadata'])) {
    const other = Object.keys(patch['metadata']).find((field) => !metadataFields.has(field))
    if (other !== undefined)
      return { ok: false, message: `spec.podTemplateSpec.metadata.${other} cannot be set: labels and annotations can` }
  }
  const merged = merge(template, patch)
  const refused = denials(template, merged, allowed)
  if (refused.length > 0) {
    const list = refused.map(({ path, allowance }) => (allowance === undefined ? path : `${path} (${allowance})`))
    return {
      ok: false,
      message: `spec.podTemplateSpec asks for what is not allowed here: ${list.join(', ')}. Remove it, or let the cluster's admin allow the class in parentheses in operator.podTemplate.allow`,
    }
  }
  const lost = lostLabel(template, merged)
  if (lost !== undefined)
    return { ok: false, message: `spec.podTemplateSpec changes the label ${lost}, by which pods are found` }
  return { ok: true, template: merged }
}

const metadataFields = new Set(['labels', 'annotations', 'creationTimestamp'])

interface Denial {
  readonly path: string
  /** Undefined: nobody can allow it. */
  readonly allowance: Allowance | undefined
}

function denials(template: Tree, merged: Tree, allowed: ReadonlySet<string>): Denial[] {
  const spec = tree(merged['spec'])
  const original = tree(template['spec'])
  const found: Denial[] = []
  const deny = (path: string, allowance: Allowance): void => {
    if (!allowed.has(allowance)) found.push({ path: `spec.${path}`, allowance })
  }
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) if (spec[field] === true) deny(field, 'hostNamespaces')
  for (const field of ['serviceAccountName', 'serviceAccount'])
    if (spec[field] !== undefined && spec[field] !== original[field]) deny(field, 'serviceAccount')
  for (const path of weakening(tree(spec['securityContext']), 'securityContext')) deny(path, 'privileged')
  for (const [i, volume] of trees(spec['volumes']).entries()) {
    if (volume['hostPath'] !== undefined && !isOriginal(original['volumes'], volume))
      deny(`volumes[${i}].hostPath`, 'hostPath')
    for (const source of trees(tree(volume['projected'])['sources']))
      if (source['serviceAccountToken'] !== undefined && !isOriginal(original['volumes'], volume))
        deny(`volumes[${i}].projected.sources.serviceAccountToken`, 'serviceAccount')
  }
  for (const list of ['containers', 'initContainers', 'ephemeralContainers']) {
    for (const [i, container] of trees(spec[list]).entries()) {
      const path = `${list}[${i}]`
      for (const weak of weakening(tree(container['securityContext']), `${path}.securityContext`))
        deny(weak, 'privileged')
      for (const port of trees(container['ports']))
        if (port['hostPort'] !== undefined && port['hostPort'] !== 0) deny(`${path}.ports.hostPort`, 'hostNamespaces')
    }
  }
  return found
}

/** Fields of a securityContext, of a pod or a container, that leave the `restricted` level by the side of more power. */
function weakening(context: Tree, path: string): string[] {
  const found: string[] = []
  if (context['privileged'] === true) found.push('privileged')
  if (context['allowPrivilegeEscalation'] === true) found.push('allowPrivilegeEscalation')
  if (context['runAsNonRoot'] === false) found.push('runAsNonRoot')
  if (context['runAsUser'] === 0) found.push('runAsUser')
  const procMount = context['procMount']
  if (procMount !== undefined && procMount !== 'Default') found.push('procMount')
  const capabilities = tree(context['capabilities'])
  const added: unknown = capabilities['add']
  if (Array.isArray(added) && added.some((one) => one !== 'NET_BIND_SERVICE')) found.push('capabilities.add')
  const dropped: unknown = capabilities['drop']
  if (Array.isArray(dropped) && !dropped.includes('ALL')) found.push('capabilities.drop')
  for (const profile of ['seccompProfile', 'appArmorProfile'])
    if (tree(context[profile])['type'] === 'Unconfined') found.push(profile)
  if (trees(context['sysctls']).length > 0) found.push('sysctls')
  if (tree(context['windowsOptions'])['hostProcess'] === true) found.push('windowsOptions.hostProcess')
  const { user, role, type } = tree(context['seLinuxOptions'])
  if (user !== undefined || role !== undefined || (type !== undefined && !String(type).startsWith('container_')))
    found.push('seLinuxOptions')
  return found.map((field) => `${path}.${field}`)
}

/** Volumes that the template had before are not the user's. */
function isOriginal(volumes: unknown, volume: Tree): boolean {
  return trees(volumes).some((one) => JSON.stringify(one) === JSON.stringify(volume))
}

/** A label of ours that the user's changes took away or gave another value. */
function lostLabel(template: Tree, merged: Tree): string | undefined {
  const labels = tree(tree(template['metadata'])['labels'])
  const after = tree(tree(merged['metadata'])['labels'])
  return Object.keys(labels).find((name) => after[name] !== labels[name])
}

function tree(value: unknown): Tree {
  return isTree(value) ? value : {}
}

function trees(value: unknown): Tree[] {
  return Array.isArray(value) ? value.filter(isTree) : []
}
