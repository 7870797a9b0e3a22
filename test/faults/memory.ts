// Memory of a process, from /proc: what a hostile peer must not be able to grow without bound.

import { readFile } from 'node:fs/promises'

/** Resident memory of a process in MiB. Linux only. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const [, kib = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? []
  return Number(kib) / 1024
}

/** Runs `action` and returns the largest resident memory seen meanwhile, sampled every 20 ms. */
export async function peakMiB(pid: number, action: () => Promise<unknown>): Promise<number> {
  let peak = await residentMiB(pid)
  const sample = async (): Promise<void> => {
    peak = Math.max(peak, await residentMiB(pid))
  }
  const timer = setInterval(() => void sample(), 20)
  try {
    await action()
  } finally {
    clearInterval(timer)
  }
  return peak
}
