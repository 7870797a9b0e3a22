// Reads the manifests of examples/edge and puts in where things really run: the files name default ports, which may be taken.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

export interface Ports {
  edge: number
  idp: number
  board: number
  everything: number
  classic: number
}

/** The ports of a world whose edge is at `edge`. */
export function portsFrom(edge: number): Ports {
  return { edge, idp: edge + 1, board: edge + 4, everything: edge + 5, classic: edge + 6 }
}

/** The ports that the files name. */
export const defaultPorts: Readonly<Ports> = portsFrom(8787)

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
