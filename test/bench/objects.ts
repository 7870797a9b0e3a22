// Which Durable Objects of a workerd are awake: an object that sleeps is a file, one that is awake is an open file.
import { readdirSync, readlinkSync } from 'node:fs'

const OBJECT = /\/waggle-(\w+)\/([0-9a-f]{64})\.sqlite/

/** What the file descriptors of a process point at: paths, `socket:[1]`, and so on; none when it is gone. Linux only. */
export function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  try {
    return readdirSync(folder).map((name) => target(`${folder}/${name}`))
  } catch {
    return []
  }
}

/** A Durable Object that is awake. */
export interface Awake {
  readonly className: string
  readonly id: string
}

export function awake(pid: number): Awake[] {
  const found = new Map<string, Awake>()
  for (const path of openFiles(pid)) {
    const [, className, id] = OBJECT.exec(path) ?? []
    if (className !== undefined && id !== undefined) found.set(id, { className, id })
  }
  return [...found.values()]
}

/** How many objects of each class are awake. */
export function awakeObjects(pid: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { className } of awake(pid)) counts.set(className, (counts.get(className) ?? 0) + 1)
  return counts
}

function target(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}
