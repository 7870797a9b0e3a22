// `waggle login`: a token for the edge's admin API, from the identity provider that the edge itself names.

import { type Command, edgeOptions, parse } from '../command.ts'
import { loginInBrowser } from '../browser.ts'
import { readCredentials, writeLogin } from '../credentials.ts'
import { loginOnDevice } from '../device.ts'
import { chooseEdge } from '../edge.ts'
import { usage } from '../failure.ts'
import { discover } from '../provider.ts'

export const login: Command = {
  summary: 'log in at an edge and remember it',
  help: `waggle login [--edge URL] [--device] [--client-id ID] [--no-browser]

  --edge            the edge; later commands use it when they name none
  --device          log in on another device, for machines without a browser
  --client-id       this program's client at the identity provider (default waggle-cli)
  --no-browser      only print the address of the login page

Machines need no login: set WAGGLE_TOKEN to an access token for <edge>/admin.`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      ...edgeOptions,
      device: { type: 'boolean' },
      'client-id': { type: 'string' },
      'no-browser': { type: 'boolean' },
    })
    const [address, more] = positionals
    if (more !== undefined) throw usage(`unexpected ${JSON.stringify(more)}`)
    const edge = chooseEdge(values.edge ?? address, io, await readCredentials(io))
    const provider = await discover(edge, values['client-id'] ?? 'waggle-cli')
    const { open, ...silent } = io
    const person = values['no-browser'] === true || open === undefined ? silent : io
    const granted = await (values.device === true ? loginOnDevice(provider, io) : loginInBrowser(provider, person))
    await writeLogin(io, edge, granted, true)
    io.out(`Logged in at ${edge}.`)
    if (io.env['WAGGLE_TOKEN']) io.err('warning: WAGGLE_TOKEN is set and is used instead of this login')
  },
}
