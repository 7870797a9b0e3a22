// The control groups below which a cluster's kubelet puts its pods: one folder in every hierarchy (version 1), or one in all (version 2).
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

const mount = '/sys/fs/cgroup'
const hierarchies = (): string[] =>
  existsSync(join(mount, 'cgroup.procs'))
    ? [mount]
    : readdirSync(mount)
        .map((name) => join(mount, name))
        .filter((path) => existsSync(join(path, 'cgroup.procs')))

export function create(name: string): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, name), { recursive: true })
}

/** The processes in the group and in all groups below it. */
export function processes(name: string): number[] {
  return [
    ...new Set(
      groups(name).flatMap((path) =>
        readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
      ),
    ),
  ]
}

/** Throws while there are processes left. */
export function remove(name: string): void {
  for (const path of groups(name)) rmdirSync(path)
}

/** Deepest first. */
function groups(name: string): string[] {
  const below = (path: string): string[] => [
    ...readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => below(join(path, entry.name))),
    path,
  ]
  return hierarchies()
    .map((hierarchy) => join(hierarchy, name))
    .filter((path) => existsSync(path))
    .flatMap(below)
}
