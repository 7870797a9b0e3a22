// The manifests that `-f` names: read, given a namespace, and checked by the edge's own schemas before anything is sent.

import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { parseManifest } from '../crds/manifest.ts'
import { readSources, type Source } from '../crds/source.ts'
import { type Problem, describe } from './admin.ts'
import { Failure, codeOf, messageOf, usage } from './failure.ts'
import type { Io } from './io.ts'

const largest = 4 * 1024 * 1024
const manifestFile = /\.(?:ya?ml|json)$/i

/** Reads files, folders (their .yaml, .yml and .json files, with `recursive` those below too) and `-` for stdin. */
export async function readManifests(paths: readonly string[], io: Io, recursive: boolean): Promise<Source[]> {
  const sources: Source[] = []
  for (const path of paths) {
    if (path === '-') {
      sources.push(...sourcesOf('stdin', await readText(io.stdin)))
      continue
    }
    for (const file of await filesOf(path, recursive)) sources.push(...sourcesOf(file, await load(file)))
  }
  if (sources.length === 0) throw new Failure(`there is no manifest in ${paths.join(', ')}`, 'name files with -f')
  return sources
}

function sourcesOf(file: string, text: string): readonly Source[] {
  const reading = readSources(file, text)
  if (reading.ok) return reading.sources
  throw new Failure('the file cannot be read', 'correct it and try again', { lines: reading.problems })
}

async function filesOf(path: string, recursive: boolean): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw new Failure(`cannot read ${path}: ${codeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error)}`)
  })
  if (!found.isDirectory()) return [path]
  const entries = await readdir(path, { recursive, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory() && manifestFile.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

async function load(file: string): Promise<string> {
  const { size } = await stat(file)
  if (size > largest) throw new Failure(`${file} has more than ${largest / 1024 / 1024} MiB`, 'split it')
  return readFile(file, 'utf8')
}

export interface Checked {
  readonly source: Source
  /** As written, with its namespace. */
  readonly manifest: unknown
  /** As the schemas read it. */
  readonly resource: Extract<ReturnType<typeof parseManifest>, { ok: true }>['resource']
}

/**
 * Puts manifests without a namespace into `namespace` (default `default`) and checks them all. Throws a `Failure` that lists
 * every problem with its file and line. A manifest that names another namespace than the one asked for is a usage error.
 */
export function checkManifests(sources: readonly Source[], namespace: string | undefined): Checked[] {
  const checked: Checked[] = []
  const lines: string[] = []
  for (const source of sources) {
    const manifest = place(source, namespace)
    const parsed = parseManifest(manifest)
    if (parsed.ok) checked.push({ source, manifest, resource: parsed.resource })
    else lines.push(...parsed.problems.map((problem) => locate(source, problem)))
  }
  if (lines.length === 0) return checked
  const few = lines.length === 1 ? '1 problem' : `${lines.length} problems`
  throw new Failure(`nothing was sent: ${few} in the manifests`, 'correct them and try again', { lines })
}

/** `file.yaml:12: spec.remotUrl: …` */
export function locate(source: Source | undefined, problem: Problem): string {
  const text = describe(problem)
  return source === undefined ? text : `${source.file}:${source.line(problem.path)}: ${text}`
}

function place(source: Source, namespace: string | undefined): unknown {
  const { value } = source
  if (!isRecord(value) || !isRecord(value['metadata'])) return value
  const own = value['metadata']['namespace']
  if (own === undefined || own === null) {
    return { ...value, metadata: { ...value['metadata'], namespace: namespace ?? 'default' } }
  }
  if (namespace !== undefined && typeof own === 'string' && own !== namespace) {
    const where = `${source.file}:${source.line('metadata.namespace')}`
    throw usage(
      `${where}: the manifest is for the namespace ${own}, not ${namespace}`,
      'leave out -n, or change the manifest',
    )
  }
  return value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
