// What a process has used, read from /proc: CPU seconds of all its threads (user + system) and resident memory.
import { readFileSync } from 'node:fs'

/** Linux reports CPU time to user space in hundredths of a second on every architecture (USER_HZ). */
const TICKS_PER_SECOND = 100

/** CPU seconds in the text of /proc/<pid>/stat. The command name may hold spaces and brackets, so fields count from the last `)`. */
export function cpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function cpuOf(pid: number): number {
  return cpuSeconds(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

/** Resident memory in MiB. */
export function residentOf(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib ?? Number.NaN) / 1024
}
