// The Go compiler that builds the clusters' programs: the machine's, when it is new enough, or else the release from the Go module proxy, checked
// against the digests below and kept in the cache.
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from './setup.ts'
import { patiently, run } from './shell.ts'

const RELEASE = '1.26.8'
const NEEDED = [1, 26] as const
const DOWNLOAD_MS = 300_000
const UNPACK_MS = 300_000
const DIGESTS: Readonly<Record<string, string>> = {
  x64: '30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7',
  arm64: '02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99',
}

/** The path of a `go` command of at least version 1.26. Throws an Error that says how to get one. */
export async function findGo(cache: string): Promise<string> {
  const installed = findProgram('go')
  if (installed !== undefined && recent(installed)) return installed
  const folder = join(cache, `go-${RELEASE}`)
  const go = join(folder, 'bin/go')
  if (existsSync(go)) return go
  try {
    await download(cache, folder)
  } catch (error) {
    const how = `install Go ${NEEDED.join('.')} or newer (https://go.dev/dl) and put it on the PATH`
    throw new Error(`there is no Go compiler: ${how}`, { cause: error })
  }
  return go
}

function recent(go: string): boolean {
  const [, major = '0', minor = '0'] = /go(\d+)\.(\d+)/.exec(run([go, 'version'])) ?? []
  return Number(major) > NEEDED[0] || (Number(major) === NEEDED[0] && Number(minor) >= NEEDED[1])
}

async function download(cache: string, folder: string): Promise<void> {
  const digest = DIGESTS[process.arch]
  if (digest === undefined) throw new Error(`no Go release is known for ${process.arch}`)
  const proxy = (process.env['GOPROXY'] ?? '').split(/[,|]/).find((one) => one.startsWith('https://'))
  const name = `v0.0.1-go${RELEASE}.linux-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const url = `${proxy ?? 'https://proxy.golang.org'}/golang.org/toolchain/@v/${name}.zip`
  console.error(`downloading Go ${RELEASE} …`)
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_MS) })
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  const archive = Buffer.from(await response.arrayBuffer())
  const found = createHash('sha256').update(archive).digest('hex')
  if (found !== digest) throw new Error(`${url} has the digest ${found}, not ${digest}`)
  const draft = mkdtempSync(join(cache, 'draft-'))
  await writeFile(join(draft, 'go.zip'), archive)
  await patiently('unpacking Go', ['unzip', '-q', join(draft, 'go.zip'), '-d', draft], UNPACK_MS)
  // The module proxy's archives carry no modes.
  const root = join(draft, `golang.org/toolchain@${name}`)
  run(['chmod', '-R', 'a+x', join(root, 'bin'), join(root, 'pkg/tool')])
  renameSync(root, folder)
  rmSync(draft, { recursive: true })
}
