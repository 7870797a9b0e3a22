// Reads the manifests of examples/edge and puts in where things really run: the files name default ports, which may be taken.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

export const defaultPorts = { edge: 8787, idp: 8788, board: 8791, everything: 8792, classic: 8793 } as const

/** Origins (`http://127.0.0.1:<port>`) by the default port that they replace. */
export type Origins = ReadonlyMap<number, string>

/** All manifests of a folder, in the order of file names, as plain JSON. Throws with file and line on bad YAML. */
export function readManifests(folder: string, origins: Origins = new Map()): unknown[] {
  const files = readdirSync(folder).filter((file) => /\.ya?ml$/.test(file))
  return files.toSorted().flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8')
    return parseAllDocuments(move(text, origins)).map((document) => {
      const [problem] = document.errors
      if (problem !== undefined) throw new Error(`${join(folder, file)}: ${problem.message}`)
      return document.toJS() as unknown
    })
  })
}

function move(text: string, origins: Origins): string {
  return text.replace(/http:\/\/127\.0\.0\.1:(\d+)/g, (origin, port: string) => origins.get(Number(port)) ?? origin)
}
