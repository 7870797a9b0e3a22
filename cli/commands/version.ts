// `waggle version`: what somebody who helps wants to know first.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, parse } from '../command.ts'

export const version: Command = {
  summary: 'print the version',
  help: 'waggle version',
  async run(argv, io) {
    parse(argv, {})
    const path = join(import.meta.dirname, '..', '..', 'package.json')
    const about = JSON.parse(await readFile(path, 'utf8')) as { version: string }
    io.out(`waggle ${about.version} (node ${process.versions.node}, ${process.platform} ${process.arch})`)
  },
}
