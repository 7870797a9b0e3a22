// `waggle agent local`: the manifests of a cluster on this machine, without Kubernetes, in the foreground. Audit events on stdout, the log
// on stderr, ends on a signal.

import { localOptions, localSettings, type LocalSettings } from '../../agent/local/settings.ts'
import { type Command, parse } from '../command.ts'
import { readCredentials } from '../credentials.ts'
import { chooseEdge } from '../edge.ts'
import { messageOf, usage } from '../failure.ts'

export const agent: Command = {
  summary: 'run servers of this machine, joined to an edge',
  help: `waggle agent local -f FOLDER --cluster NAME [--join-token-file FILE] [--edge URL]

Runs what the manifests of a folder say, as a cluster would: every MCPServer as a process that speaks over stdio, every
MCPRemoteProxy, each behind a proxy of its own, with the policies that are among the manifests. The edge knows it as a
cluster: waggle cluster add NAME --join-token lets it join. No port is opened. Manifests that change are taken up.

  -f, --file        folder with the manifests (.yaml, .yml, .json)
  --cluster         the name that the cluster was added with
  --join-token-file the token of waggle cluster token NAME; needed until the edge knows the key of this place
  --state           folder for that key (default .waggle/local)
  --secrets         folder with the values of Secrets, as <namespace>/<name>/<key> (default: secrets in --state)
  --egress-allow    host or network that an MCPRemoteProxy may name although it is private; may be repeated

Images: npx://<package>[@<version>], node://<file>. Such processes are not confined: they may do what you may.`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, localOptions)
    if (positionals.length !== 1 || positionals[0] !== 'local') throw usage('say `waggle agent local`')
    const edge = chooseEdge(values.edge, io, await readCredentials(io))
    let settings: LocalSettings
    try {
      settings = localSettings({ ...values, edge })
    } catch (error) {
      throw usage(messageOf(error), 'run `waggle help agent`')
    }
    const { run } = await import('../../agent/local/main.ts')
    const stop = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())
    await run(settings, stop.signal)
  },
}
