// An MCPServer as a process of this machine. Its image says which: a package of npm, as ToolHive writes it (`npx://<package>@<version>`), or a
// program beside the manifests (`node://<file>`). Containers need a cluster.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { MCPServer } from '../../crds/mcp-server.ts'
import type { Command } from './child.ts'

/** Throws an Error that says what is wrong with the manifest, or what is missing on this machine. */
export function commandOf({ metadata, spec }: MCPServer, folder: string, secrets: string): Command {
  const { image, args = [], env = [] } = spec
  const given = Object.fromEntries(env.map(({ name, value }) => [name, value]))
  for (const { name, key, targetEnvName = key } of spec.secrets ?? []) {
    const path = join(secrets, metadata.namespace, name, key)
    if (!existsSync(path)) throw new Error(`spec.secrets: write the value of key ${key} of ${name} to ${path}`)
    given[targetEnvName] = readFileSync(path, 'utf8').replace(/\r?\n$/u, '')
  }
  const common = { env: given, cwd: folder }
  const [, scheme, rest = ''] = /^(npx|node):\/\/(.+)$/u.exec(image) ?? []
  if (scheme === 'node') return { file: process.execPath, args: [resolve(folder, rest), ...args], ...common }
  if (scheme !== 'npx')
    throw new Error(`spec.image: ${image} needs a container; without a cluster use npx://<package> or node://<file>`)
  const [, name = rest] = /^(@?[^@]+)(?:@.+)?$/u.exec(rest) ?? []
  const installed = programOf(name, folder) ?? programOf(name, process.cwd())
  if (installed !== undefined) return { file: process.execPath, args: [installed, ...args], ...common }
  return { file: 'npx', args: ['-y', rest, ...args], ...common }
}

/** The program of a package that is installed here or above. */
function programOf(name: string, from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const home = join(folder, 'node_modules', name)
    const manifest = join(home, 'package.json')
    if (existsSync(manifest)) {
      const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin?: string | Record<string, string> }
      const program = typeof bin === 'string' ? bin : Object.values(bin ?? {})[0]
      return program === undefined ? undefined : join(home, program)
    }
    if (dirname(folder) === folder) return undefined
  }
}
