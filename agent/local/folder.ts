// The manifests of a folder, as a cluster would read them. All or nothing: a policy that cannot be read must not leave its server open.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readResource } from '../../crds/cluster.ts'
import { readSources } from '../../crds/source.ts'
import { resourceKey, type Resource, type Resources } from '../../plan/resources.ts'
import { reasonOf } from '../proxy/log.ts'
import { unfit } from './command.ts'

const MANIFEST = /\.(?:ya?ml|json)$/iu
const MAX_FILE = 4 * 1024 * 1024
const MAX_FILES = 1_000

export type Reading =
  | { readonly ok: true; readonly resources: Resources }
  /** One line each: the file, the line, the field, and what is wrong with it. */
  | { readonly ok: false; readonly problems: readonly string[] }

/** What the .yaml, .yml and .json files of a folder say. Never throws. */
export async function readFolder(folder: string): Promise<Reading> {
  const resources = new Map<string, Resource>()
  const problems: string[] = []
  try {
    for (const name of await manifestsOf(folder)) {
      try {
        await readManifest(name, join(folder, name), resources, problems)
      } catch (error) {
        problems.push(`${name}: ${reasonOf(error)}`)
      }
    }
    if (problems.length === 0 && resources.size === 0) problems.push(`${folder}: there is no manifest in it`)
  } catch (error) {
    problems.push(`${folder}: ${reasonOf(error)}`)
  }
  return problems.length === 0 ? { ok: true, resources } : { ok: false, problems }
}

/** As `kubectl apply -f`: the files of the folder itself. */
async function manifestsOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter((entry) => !entry.isDirectory() && MANIFEST.test(entry.name)).map(({ name }) => name)
  if (names.length > MAX_FILES) throw new Error(`more than ${MAX_FILES} manifests`)
  return names.sort()
}

async function readManifest(
  name: string,
  path: string,
  resources: Map<string, Resource>,
  problems: string[],
): Promise<void> {
  if ((await stat(path)).size > MAX_FILE) throw new Error('more than 4 MiB; split it')
  const written = readSources(name, await readFile(path, 'utf8'))
  if (!written.ok) {
    problems.push(...written.problems)
    return
  }
  for (const source of written.sources) {
    const reading = readResource(withNamespace(source.value))
    if (!reading.ok) {
      for (const { path: field, message } of reading.problems)
        problems.push(`${name}:${source.line(field)}: ${field}: ${message}`)
      continue
    }
    const { resource } = reading
    const { kind, metadata } = resource
    const key = resourceKey(kind, metadata.namespace, metadata.name)
    const problem = resources.has(key) ? `${key} is in these files twice` : unfitHere(resource)
    if (problem !== undefined) problems.push(`${name}:${source.line('')}: ${problem}`)
    resources.set(key, resource)
  }
}

function unfitHere(resource: Resource): string | undefined {
  if (resource.kind === 'MCPServer') return unfit(resource)
  if (resource.kind === 'MCPServerEntry')
    return 'an MCPServerEntry has no proxy, and is called by virtual servers of a cluster only; use an MCPRemoteProxy'
  return undefined
}

/** As kubectl: a manifest without a namespace is one of `default`. */
function withNamespace(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return value
  const { metadata } = value
  return { ...value, metadata: { namespace: 'default', ...(metadata as object) } }
}
