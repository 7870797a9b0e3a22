// Whether a process runs. One that has ended and that nobody has asked about yet does not.

import { execFileSync } from 'node:child_process'

/** Those of these processes that run. */
export function running(pids: readonly number[]): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,stat='], { encoding: 'utf8' })
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/u))
  const alive = new Set(rows.filter(([, state = 'Z']) => !state.startsWith('Z')).map(([pid]) => Number(pid)))
  return pids.filter((pid) => alive.has(pid))
}
