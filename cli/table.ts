// Text tables like kubectl's: columns as wide as their widest cell, three spaces between, no trailing spaces.

import { printable } from './io.ts'

/** The lines of a table; the first row is its head. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const clean = rows.map((row) => row.map((cell) => printable(cell, 300)))
  const widths: number[] = []
  for (const row of clean) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  return clean.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  )
}

/** How long ago, in the largest two units that say something: `45s`, `12m`, `3h20m`, `5d`. */
export function age(since: string | undefined, now: number): string {
  const start = since === undefined ? Number.NaN : Date.parse(since)
  if (Number.isNaN(start)) return '<unknown>'
  const seconds = Math.max(0, Math.floor((now - start) / 1000))
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 120) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 10 && minutes % 60 > 0) return `${hours}h${minutes % 60}m`
  if (hours < 48) return `${hours}h`
  return `${Math.floor(hours / 24)}d`
}
