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
  return { ok: true, template: allowed.has('privileged') ? merged : hardened(template, merged) }
}

/**
 * What the patch took away by `null` or `$patch`, or never said of containers of its own, is as restricted as before: the level is
 * left by what is said, which is judged, and not by silence.
 */
function hardened(template: Tree, merged: Tree): Tree {
  const spec = tree(merged['spec'])
  const { runAsNonRoot, seccompProfile } = tree(tree(template['spec'])['securityContext'])
  const out: Tree = { ...spec, securityContext: { runAsNonRoot, seccompProfile, ...tree(spec['securityContext']) } }
  for (const list of ['containers', 'initContainers']) {
    if (!Array.isArray(spec[list])) continue
    out[list] = spec[list].map((container: unknown) => {
      if (!isTree(container)) return container
      const context = tree(container['securityContext'])
      const capabilities = { drop: ['ALL'], ...tree(context['capabilities']) }
      return { ...container, securityContext: { allowPrivilegeEscalation: false, ...context, capabilities } }
    })
  }
  return { ...merged, spec: out }
}

const metadataFields = new Set(['labels', 'annotations', 'creationTimestamp'])

const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/'
/** What the `restricted` level lets pods mount; the rest is the node's, or reaches it. */
const volumeSources = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
])

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
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'])
    if ((spec[field] ?? false) !== false) deny(field, 'hostNamespaces')
  // Without a name the pod would be `default`, whose rights are not ours to hand out either.
  const account = original['serviceAccountName']
  if (spec['serviceAccountName'] !== account) deny('serviceAccountName', 'serviceAccount')
  if (spec['serviceAccount'] !== undefined && spec['serviceAccount'] !== account)
    deny('serviceAccount', 'serviceAccount')
  const annotations = tree(tree(merged['metadata'])['annotations'])
  for (const [name, value] of Object.entries(annotations))
    if (name.startsWith(APPARMOR) && value === 'unconfined')
      found.push({ path: `metadata.annotations["${name}"]`, allowance: 'privileged' })
  for (const path of weakening(tree(spec['securityContext']), 'securityContext')) deny(path, 'privileged')
  for (const [i, volume] of trees(spec['volumes']).entries()) {
    const source = Object.keys(volume).find((field) => field !== 'name' && !volumeSources.has(field))
    if (source !== undefined && !isOriginal(original['volumes'], volume)) deny(`volumes[${i}].${source}`, 'hostPath')
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
  // Whatever is not known to be harmless is refused, values of a wrong type included.
  const only = (field: string, ...harmless: readonly unknown[]): void => {
    if (context[field] !== undefined && !harmless.includes(context[field])) found.push(field)
  }
  only('privileged', false)
  only('allowPrivilegeEscalation', false)
  only('runAsNonRoot', true)
  only('procMount', 'Default')
  const user = context['runAsUser']
  if (user !== undefined && !(typeof user === 'number' && user > 0)) found.push('runAsUser')
  const { add: added = [], drop: dropped = ['ALL'] } = tree(context['capabilities'])
  if (!Array.isArray(added) || added.some((one) => one !== 'NET_BIND_SERVICE')) found.push('capabilities.add')
  if (!Array.isArray(dropped) || !dropped.includes('ALL')) found.push('capabilities.drop')
  for (const field of ['seccompProfile', 'appArmorProfile']) {
    const profile = context[field]
    if (profile !== undefined && !profiles.has(tree(profile)['type'])) found.push(field)
  }
  if (trees(context['sysctls']).length > 0) found.push('sysctls')
  if (tree(context['windowsOptions'])['hostProcess'] === true) found.push('windowsOptions.hostProcess')
  const { user: seUser, role, type } = tree(context['seLinuxOptions'])
  if (seUser !== undefined || role !== undefined || (type !== undefined && !String(type).startsWith('container_')))
    found.push('seLinuxOptions')
  return found.map((field) => `${path}.${field}`)
}

const profiles = new Set<unknown>(['RuntimeDefault', 'Localhost'])

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
