// Reads a secret from stdin: all of it from a pipe, one line without showing it from a terminal.

import { Failure } from './failure.ts'
import type { Io } from './io.ts'

const longest = 1024 * 1024

/** The text, as it came. The question is asked only when a person is there to see it. */
export async function ask(io: Io, question: string): Promise<string> {
  const { stdin } = io
  const terminal = stdin.isTTY === true
  if (terminal) {
    process.stderr.write(question)
    stdin.setRawMode?.(true)
  }
  try {
    return await read(stdin, terminal)
  } finally {
    if (terminal) {
      stdin.setRawMode?.(false)
      stdin.pause()
      process.stderr.write('\n')
    }
  }
}

function read(stdin: Io['stdin'], terminal: boolean): Promise<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return new Promise((resolve, reject) => {
    let text = ''
    const finish = (): void => {
      stdin.off('data', onData).off('end', finish).off('error', reject)
      resolve(text)
    }
    const onData = (chunk: Buffer | string): void => {
      const more = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
      if (text.length + more.length > longest) return reject(new Failure('the value has more than 1 MiB'))
      if (!terminal) {
        text += more
        return undefined
      }
      for (const char of more) {
        if (char === '\r' || char === '\n' || char === '\u0004') return finish()
        if (char === '\u0003') return reject(new Failure('nothing was set', 'interrupted'))
        text = char === '\u007f' || char === '\b' ? text.slice(0, -1) : text + char
      }
      return undefined
    }
    stdin.on('data', onData).on('end', finish).on('error', reject)
    stdin.resume()
  })
}
