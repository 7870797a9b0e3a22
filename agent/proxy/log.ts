// What a proxy says about itself: one JSON line on stderr. Stdout is the audit trail's. No token, secret or content of a
// caller or a server ever gets here.

export type Log = (
  level: 'info' | 'warn' | 'error',
  msg: string,
  extra?: Readonly<Record<string, string | number>>,
) => void

export const log: Log = (level, msg, extra = {}) => {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, msg, ...extra })}\n`)
}

/** The message of what was thrown, within bounds. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 512)
}
