// One workerd per state folder: two on the same SQLite files would corrupt them.
// The claim is a file naming the process; a claim whose process is gone is void, also when its number was given to another.

import { readFileSync } from 'node:fs'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure, codeOf } from './failure.ts'

export interface Claim {
  /** Passes the claim on to the process that holds the files open. */
  assign(pid: number): Promise<void>
  release(): Promise<void>
}

const own = new Set<string>()

/** Claims a folder for this process; throws a `Failure` while another live process holds it. */
export async function claim(folder: string): Promise<Claim> {
  const path = join(folder, 'process')
  if (own.has(path)) throw taken(folder, process.pid)
  own.add(path)
  // Linked into place, so that nobody ever reads half a claim.
  const aside = `${path}.${process.pid}`
  try {
    await writeFile(aside, mark(process.pid))
    for (let attempt = 0; ; attempt++) {
      try {
        await link(aside, path)
        break
      } catch (error) {
        if (codeOf(error) !== 'EEXIST' || attempt > 2) throw error
      }
      const holder = await readFile(path, 'utf8').catch(() => '')
      const pid = Number.parseInt(holder, 10)
      if (pid > 0 && pid !== process.pid && mark(pid) === holder) throw taken(folder, pid)
      await rm(path, { force: true })
    }
  } catch (error) {
    own.delete(path)
    throw error
  } finally {
    await rm(aside, { force: true })
  }
  return {
    assign: (pid) => writeFile(path, mark(pid)),
    release: async () => {
      own.delete(path)
      await rm(path, { force: true })
    },
  }
}

function taken(folder: string, pid: number): Failure {
  return new Failure(
    `the state folder ${folder} is in use by process ${pid}`,
    'stop that one first, or give this one its own folder with --state',
  )
}

/** A process by number and start: `''` when there is none. Where /proc is missing the number alone must do. */
function mark(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    return `${pid} ${start}`
  } catch {
    try {
      process.kill(pid, 0)
      return `${pid}`
    } catch (error) {
      return codeOf(error) === 'EPERM' ? `${pid}` : ''
    }
  }
}
