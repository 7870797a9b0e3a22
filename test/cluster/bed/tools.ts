// The programs and the images that every cluster uses, built once from source and kept in the cache: binaries by the hash of what they are built from.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { packBinary, packNode } from './base.ts'
import { findGo } from './go.ts'
import { images } from './plan.ts'
import { ensurePackages } from './setup.ts'
import { run, patiently } from './shell.ts'

export const cache =
  process.env.TESTBED_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'testbed')

const BUILD_MS = 45 * 60_000

export interface Tools {
  readonly kube: string
  readonly helm: string
  /** The image store's folder. */
  readonly store: string
}

/** Makes everything that a cluster is made of, once. Prints what it does when that takes long; throws with what to install. */
export async function tools(): Promise<Tools> {
  await ensurePackages()
  mkdirSync(cache, { recursive: true })
  const goMod = readFileSync(join(import.meta.dirname, 'kube/go.mod'), 'utf8')
  const [, version = '', minor = ''] = /k8s\.io\/kubernetes v(1\.(\d+)\S*)/.exec(goMod) ?? []
  const stamps = Object.entries({ Version: `v${version}`, Major: '1', Minor: minor })
  const kube = await compile(
    'kube',
    ['.', './pause'],
    stamps.map(([name, value]) => `-X k8s.io/component-base/version.git${name}=${value}`),
  )
  const other = await compile('tools', ['./coredns', 'tool'], [])
  const store = join(cache, 'images')
  await packBinary(store, images.pause, join(kube, 'pause'), '/pause')
  await packBinary(store, images.coredns, join(other, 'coredns'), '/coredns')
  await packNode(store)
  return { kube: join(kube, 'kube'), helm: join(other, 'helm'), store }
}

/** Builds packages of the Go module `module` into a folder of the cache. A finished folder is never written again. */
async function compile(module: string, packages: readonly string[], stamps: readonly string[]): Promise<string> {
  const source = join(import.meta.dirname, module)
  const hash = createHash('sha256').update(stamps.join())
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' }).sort())
    if (/\.(go|mod|sum)$/.test(file)) hash.update(file).update(readFileSync(join(source, file)))
  const folder = join(cache, `${module}-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(folder)) return folder
  const go = await findGo(cache)
  const draft = mkdtempSync(join(cache, 'draft-'))
  // A lazy collector makes the compiler and the linker a little faster; static binaries run in an image made of nothing else.
  const env = { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOGC: '400' }
  const flags = ['-trimpath', '-ldflags', ['-s', '-w', ...stamps].join(' '), '-o', `${draft}/`]
  const command = [go, 'build', ...flags, ...packages]
  await patiently(`building ${folder} from source (10 minutes of CPU, once)`, command, BUILD_MS, { cwd: source, env })
  // Somebody else may have built the same in the meantime.
  if (existsSync(folder)) rmSync(draft, { recursive: true })
  else renameSync(draft, folder)
  return folder
}

/** kubectl as the administrator of the cluster whose folder is `dir`: what it prints. Throws, with its complaint, when it fails. */
export function kubectl(tools: Tools, dir: string, args: readonly string[], input?: string): string {
  const command = [tools.kube, 'kubectl', `--kubeconfig=${join(dir, 'kubeconfig')}`, ...args]
  return run(command, input === undefined ? {} : { input })
}
