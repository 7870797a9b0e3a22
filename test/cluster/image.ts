// The images of the tests: the agent as Dockerfile.agent describes its last stage, on the testbed's base, and the fixture servers under real names.
// An image is published again only when its bundle changed.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { bundleProgram } from '../../agent/bundle.ts'
import { images } from './bed/plan.ts'
import * as store from './bed/store.ts'

const root = dirname(dirname(import.meta.dirname))
const fixtures = join(import.meta.dirname, 'fixtures')

/** The name that the chart gives the agent's image by default. */
export async function agentImage(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  return `ghcr.io/waggle-dev/agent:${version}`
}

/** Bundles the agent and publishes its image under the chart's default name. */
export async function publishAgent(folder: string, entry = join(root, 'agent/main.ts')): Promise<void> {
  const stage = lastStage(await readFile(join(root, 'Dockerfile.agent'), 'utf8'))
  const name = await agentImage()
  await withBundle(entry, (bundle) => store.build(folder, name, [{ folder: bundle, at: '/app' }], stage, images.node))
}

/** Image names of the tests' servers, in the manifests of the article and of the starter fleet. */
const servers: Readonly<Record<string, string>> = {
  'grafana/mcp-grafana:latest': 'grafana',
  'ghcr.io/github/github-mcp-server:latest': 'github',
  'ghcr.io/stackloklabs/mkp/server:latest': 'kubernetes',
  'ghcr.io/stackloklabs/osv-mcp/server:latest': 'osv',
}

export const clientImage = 'testbed.example/client:1'

/** Publishes the fixture servers and the client. */
export async function publishFixtures(folder: string): Promise<void> {
  const config = (...command: string[]): store.Config => ({ User: '1000:1000', Entrypoint: ['/bin/node', ...command] })
  await withBundle(join(fixtures, 'server.ts'), async (bundle) => {
    for (const [name, server] of Object.entries(servers))
      await store.build(folder, name, [{ folder: bundle, at: '/app' }], config('/app/server.js', server), images.node)
  })
  // A client that has nothing to do waits to be told by exec.
  const idle = config('-e', 'setInterval(() => {}, 1 << 30)')
  await withBundle(join(fixtures, 'client.ts'), (bundle) =>
    store.build(folder, clientImage, [{ folder: bundle, at: '/app' }], idle, images.node),
  )
}

async function withBundle(entry: string, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'waggle-image-'))
  try {
    await bundleProgram(entry, folder)
    await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** What the last stage of a Dockerfile says of its image. Throws when it does more than this test can build. */
function lastStage(dockerfile: string): store.Config {
  const lines = dockerfile.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const stage = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')) + 1)
  const config: store.Config = {}
  for (const line of stage) {
    const [word = '', rest = ''] = line.split(/ (.*)/)
    if (word === 'WORKDIR') config.WorkingDir = rest
    else if (word === 'USER') config.User = rest
    else if (word === 'ENV') config.Env = rest.split(' ')
    else if (word === 'ENTRYPOINT') config.Entrypoint = JSON.parse(rest) as string[]
    else if (line !== 'COPY --from=bundle /app /app')
      throw new Error(`Dockerfile.agent: the tests cannot build ${line}`)
  }
  return config
}
