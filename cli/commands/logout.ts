// `waggle logout`: forgets the login of an edge, here and at the identity provider.

import { type Command, edgeOptions, parse } from '../command.ts'
import { readCredentials, writeLogin } from '../credentials.ts'
import { chooseEdge } from '../edge.ts'
import { messageOf } from '../failure.ts'
import { giveBack } from '../grant.ts'

export const logout: Command = {
  summary: 'forget the login at an edge',
  help: 'waggle logout [--edge URL]',
  async run(argv, io) {
    const { values } = parse(argv, edgeOptions)
    const credentials = await readCredentials(io)
    const edge = chooseEdge(values.edge, io, credentials)
    const login = credentials.edges[edge]
    if (login === undefined) return io.err(`not logged in at ${edge}`)
    await writeLogin(io, edge, undefined, false)
    io.out(`Logged out at ${edge}.`)
    // It is forgotten here in any case; that the provider is away must not keep it.
    await giveBack(login).catch((error: unknown) => io.err(`warning: ${messageOf(error)}`))
    return undefined
  },
}
