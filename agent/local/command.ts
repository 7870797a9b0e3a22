// An MCPServer as a process of this machine. Its image says which: a package of npm, as ToolHive writes it (`npx://<package>@<version>`), or a
// program beside the manifests (`node://<file>`). Containers need a cluster.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { envName, type MCPServer } from '../../crds/mcp-server.ts'
import type { Command } from './child.ts'

/** `[@scope/]name[@version]`; neither can be taken for an option or a path. */
const PACKAGE = /^(?<name>(?:@[\w~-][\w.~-]*\/)?[\w~][\w.~-]*)(?:@(?<version>[\w^~*][\w.^~*+-]*))?$/u
const FILE_NAME = /^(?!\.{1,2}$)[\w.-]+$/u
const MAX_SECRET = 64 * 1024

/** Why a server cannot run here, whatever is on this machine; undefined when it can. */
export function unfit({ spec: { image, transport } }: MCPServer): string | undefined {
  const [, scheme, rest = ''] = /^(npx|node):\/\/(.+)$/u.exec(image) ?? []
  if (scheme === undefined || (scheme === 'npx' && !PACKAGE.test(rest)))
    return `spec.image: ${image} needs a container; without a cluster use npx://<package> or node://<file>`
  if (transport === 'stdio') return undefined
  return `spec.transport: ${transport} needs a cluster; use stdio, or start the server yourself and name its URL in an MCPRemoteProxy`
}

/** Throws an Error that says what is wrong with the manifest, or what is missing on this machine. */
export function commandOf(server: MCPServer, folder: string, secrets: string): Command {
  const problem = unfit(server)
  if (problem !== undefined) throw new Error(problem)
  const { image, args = [] } = server.spec
  const common = { env: environmentOf(server, secrets), cwd: folder }
  const rest = image.replace(/^\w+:\/\//u, '')
  if (image.startsWith('node:')) return { file: process.execPath, args: [resolve(folder, rest), ...args], ...common }
  const { name = rest, version } = PACKAGE.exec(rest)?.groups ?? {}
  const installed = programOf(name, version, folder) ?? programOf(name, version, process.cwd())
  if (installed !== undefined) return { file: process.execPath, args: [installed, ...args], ...common }
  return { file: 'npx', args: ['-y', rest, ...args], ...common }
}

function environmentOf({ metadata, spec }: MCPServer, secrets: string): Record<string, string> {
  const given = Object.fromEntries((spec.env ?? []).map(({ name, value }) => [name, value]))
  for (const secret of spec.secrets ?? []) {
    const { name, key } = secret
    if (!FILE_NAME.test(name) || !FILE_NAME.test(key)) throw new Error(`spec.secrets: ${name}/${key} is no file name`)
    const path = join(secrets, metadata.namespace, name, key)
    if (!existsSync(path)) throw new Error(`spec.secrets: write the value of key ${key} of ${name} to ${path}`)
    const value = readFileSync(path, 'utf8').replace(/\r?\n$/u, '')
    if (value.length > MAX_SECRET || value.includes('\0')) throw new Error(`spec.secrets: ${path} is no text`)
    given[envName(secret)] = value
  }
  return given
}

/** The program of a package that is installed here or above, in the version that is wanted. */
function programOf(name: string, wanted: string | undefined, from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const home = join(folder, 'node_modules', name)
    const manifest = join(home, 'package.json')
    if (existsSync(manifest)) {
      const { bin, version } = JSON.parse(readFileSync(manifest, 'utf8')) as Manifest
      if (wanted !== undefined && wanted !== version) return undefined
      const own = name.replace(/^@[^/]+\//u, '')
      const program = typeof bin === 'string' ? bin : (bin?.[own] ?? Object.values(bin ?? {})[0])
      return program === undefined ? undefined : join(home, program)
    }
    if (dirname(folder) === folder) return undefined
  }
}

interface Manifest {
  readonly version?: string
  readonly bin?: string | Readonly<Record<string, string>>
}
