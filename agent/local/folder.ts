// The manifests of a folder, as a cluster would read them.

import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { readResource } from '../../crds/cluster.ts'
import { resourceKey, type Resource, type Resources } from '../../plan/resources.ts'

const MANIFEST = /\.(?:ya?ml|json)$/iu

/** What can be read, and a line for everything that cannot. Throws when the folder cannot be read. */
export async function readFolder(folder: string): Promise<{ resources: Resources; problems: string[] }> {
  const resources = new Map<string, Resource>()
  const problems: string[] = []
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && MANIFEST.test(entry.name))
  for (const file of files.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    const name = relative(folder, file)
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
      const [error] = document.errors
      if (error !== undefined) {
        problems.push(`${name}: ${error.message.slice(0, 200)}`)
        continue
      }
      const value = document.toJS() as unknown
      if (value === null || value === undefined) continue
      const reading = readResource(withNamespace(value))
      if (!reading.ok) {
        problems.push(...reading.problems.map(({ path, message }) => `${name}: ${path}: ${message}`))
        continue
      }
      const { kind, metadata } = reading.resource
      resources.set(resourceKey(kind, metadata.namespace, metadata.name), reading.resource)
    }
  }
  return { resources, problems }
}

/** As kubectl: a manifest without a namespace is one of `default`. */
function withNamespace(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return value
  const { metadata } = value
  return { ...value, metadata: { namespace: 'default', ...(metadata as object) } }
}
