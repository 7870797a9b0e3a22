// Compares the generated files on disk with what the schemas say today.
import { readdirSync, readFileSync, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { folders, outputs } from './outputs.ts'

export const root = dirname(dirname(import.meta.dirname))

/** Paths of generated files that are missing, differ, or belong to nothing any more. */
export function drift(): { stale: string[]; orphans: string[] } {
  const files = outputs()
  const stale = [...files].filter(([path, content]) => read(path) !== content).map(([path]) => path)
  const orphans = folders.flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder))
          .map((name) => `${folder}/${name}`)
          .filter((path) => !files.has(path))
      : [],
  )
  return { stale, orphans }
}

function read(path: string): string | undefined {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined
}
