// Strategic merge as the API server does it for pod templates: maps merge, lists replace each other unless their items have a key.
// Knows the lists of a pod that have one; `$patch: delete | replace` and null are understood.

/** Lists that merge, and the field that tells their items apart. Everything else is replaced whole. */
const keys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  env: 'name',
  ports: 'containerPort',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  volumes: 'name',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
  resourceClaims: 'name',
}

export type Tree = { [field: string]: unknown }

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `patch` over `base`; neither is changed. */
export function merge(base: Tree, patch: Tree): Tree {
  if (patch['$patch'] === 'replace') return without(patch, '$patch')
  const out: Tree = { ...base }
  for (const [field, value] of Object.entries(patch)) {
    if (field.startsWith('$')) continue
    if (value === null) delete out[field]
    else out[field] = mergeValue(field, out[field], value)
  }
  return out
}

function mergeValue(field: string, old: unknown, value: unknown): unknown {
  if (isTree(value)) {
    // A volume's source is one of many: a new one takes the place of the old.
    return isTree(old) ? merge(old, value) : without(merge({}, value), '$patch')
  }
  const key = keys[field]
  if (Array.isArray(value) && key !== undefined) return mergeList(Array.isArray(old) ? old : [], value, key, field)
  return value
}

function mergeList(base: readonly unknown[], patch: readonly unknown[], key: string, field: string): unknown[] {
  const items = patch.filter(isTree)
  const whole = items.some((item) => item['$patch'] === 'replace' && item[key] === undefined)
  const out = whole ? [] : base.filter(isTree)
  for (const item of items) {
    if (item[key] === undefined) continue
    const at = out.findIndex((one) => one[key] === item[key])
    const old = out[at]
    if (item['$patch'] === 'delete') {
      if (old !== undefined) out.splice(at, 1)
    } else if (old === undefined) {
      out.push(merge({}, without(item, '$patch')))
    } else {
      // Volumes retain only the source that is given.
      out[at] = field === 'volumes' ? merge({}, without(item, '$patch')) : merge(old, item)
    }
  }
  return out
}

function without(tree: Tree, field: string): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([name]) => name !== field))
}
