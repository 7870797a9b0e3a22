// The conformance fixture's skill (extension io.modelcontextprotocol/skills, SEP-2640): one folder with two files.

import type { McpServer } from '@modelcontextprotocol/server'
import { ProtocolError } from '@modelcontextprotocol/server'
import { createHash } from 'node:crypto'
import * as z from 'zod'

export const SKILLS = 'io.modelcontextprotocol/skills'

interface File {
  readonly uri: string
  readonly name: string
  readonly description: string
  readonly text: string
}

const folder = 'skill://note-taking'
const frontmatter = { name: 'note-taking', description: 'Takes notes and files them' }
const manifest: File = {
  ...frontmatter,
  uri: `${folder}/SKILL.md`,
  text: `---\nname: ${frontmatter.name}\ndescription: ${frontmatter.description}\n---\n\nWrite down what was said.\n`,
}
const reference: File = {
  uri: `${folder}/references/FORMATS.md`,
  name: 'formats',
  description: 'Formats of notes',
  text: 'One line a note.\n',
}
const files = [manifest, reference]

const digest = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
const skill = {
  uri: manifest.uri,
  frontmatter,
  resources: files.map(({ uri, text }) => ({ uri, digest: digest(text), size: Buffer.byteLength(text) })),
}
const child = ({ uri, name, description }: File) => ({ uri, name, description, mimeType: 'text/markdown' })
const children: Readonly<Record<string, readonly object[]>> = {
  [folder]: [child(manifest), { uri: `${folder}/references`, name: 'references', mimeType: 'inode/directory' }],
  [`${folder}/references`]: [child(reference)],
}

const params = z.looseObject({ uri: z.string().optional() })
/** What every list and every read carries in the modern era. */
const cached = { resultType: 'complete', ttlMs: 1_000, cacheScope: 'private' }

/** Adds the skill and the methods of the extension; the server's capabilities must declare it. */
export function addSkills(server: McpServer): void {
  for (const { uri, name, description, text } of files) {
    server.registerResource(name, uri, { description, mimeType: 'text/markdown' }, () => ({
      contents: [{ uri, mimeType: 'text/markdown', text }],
    }))
  }
  server.server.setRequestHandler('skills/list', { params }, () => ({ ...cached, skills: [skill] }))
  server.server.setRequestHandler('skills/get', { params }, ({ uri }) => {
    if (uri !== skill.uri) throw new ProtocolError(-32602, 'params.uri: no such skill')
    return { ...cached, skill }
  })
  server.server.setRequestHandler('resources/directory/read', { params }, ({ uri }) => {
    const resources = children[uri ?? '']
    if (resources === undefined) throw new ProtocolError(-32602, 'params.uri: not a folder')
    return { ...cached, resources }
  })
}
