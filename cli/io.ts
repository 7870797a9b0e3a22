// What a command may touch of the world around it: passed in, so that tests run commands in their own process.

import type { Readable } from 'node:stream'

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { isTTY?: boolean; setRawMode?: (on: boolean) => unknown }
  /** Prints a line of the result. */
  out(line: string): void
  /** Prints a line about the result. */
  err(line: string): void
  /** Shows a page to the person, if there is a way to; absent: there is not. */
  open?: (url: string) => void
}

/** Text from elsewhere without the control characters that could steer a terminal, on one line. */
export function printable(text: string, longest = 2000): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out here
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').slice(0, longest)
}
