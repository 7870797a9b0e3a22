// Ends a child when this process dies, however it dies: a small shell holds the other end of a pipe and acts when it closes.
// It outlives SIGINT and SIGTERM on purpose (a terminal sends Ctrl-C to the whole group); only `drop` or our death ends it.

import { spawn } from 'node:child_process'

/** Two seconds to end by itself. */
const script = `trap '' INT TERM HUP
read -r _
kill -TERM "$0"
tries=0
while [ $tries -lt 20 ] && kill -0 "$0"; do sleep 0.1; tries=$((tries + 1)); done
kill -KILL "$0"`

/**
 * Puts the process `pid` on a leash; a negative one is a process group. The returned function takes it off; call it once the process
 * has ended.
 */
export function leash(pid: number): () => void {
  const shell = spawn('/bin/sh', ['-c', script, String(pid)], { stdio: ['pipe', 'ignore', 'ignore'] })
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  shell.unref()
  return () => {
    shell.kill('SIGKILL')
  }
}
