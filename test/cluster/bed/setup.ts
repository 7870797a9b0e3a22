// What a testbed needs of the machine: Linux, root, and a dozen of programs that every distribution has. On Debian the missing ones are installed;
// elsewhere the error says which they are. Nothing is ever skipped.
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { patiently } from './shell.ts'

const UPDATE_MS = 120_000
const INSTALL_MS = 600_000

/** Debian package by a file or program that shows it is there. */
const packages: readonly (readonly [name: string, sign: string])[] = [
  ['containerd', 'containerd'],
  ['runc', 'runc'],
  ['containernetworking-plugins', '/usr/lib/cni/ptp'],
  ['nftables', 'nft'],
  ['iptables', 'iptables'],
  ['iproute2', 'ip'],
  ['procps', 'sysctl'],
  ['util-linux', 'nsenter'],
  ['openssl', 'openssl'],
  ['ca-certificates', '/etc/ssl/certs/ca-certificates.crt'],
  ['unzip', 'unzip'],
]

/** Where a program is, if it is. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/go/bin']
  return folders.map((folder) => join(folder, name)).find(executable)
}

/** Installs what is missing. Throws an Error that says what to install where it cannot. */
export async function ensurePackages(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('the cluster tests need Linux: they make network namespaces')
  if (process.getuid?.() !== 0) throw new Error('the cluster tests need root: they make network namespaces')
  if (absent().length === 0) return
  const apt = findProgram('apt-get')
  const wanted = absent()
  const how = `install what these Debian packages hold: ${wanted.join(' ')}`
  if (apt === undefined) throw new Error(`programs are missing; ${how}`)
  process.env['DEBIAN_FRONTEND'] = 'noninteractive'
  // The lists may be stale or absent; a mirror that cannot be reached must not hide a package that is cached.
  await patiently('apt-get update', [apt, 'update', '-q'], UPDATE_MS).catch(() => {})
  const install = ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120']
  const failure = await patiently(`apt-get install ${wanted.join(' ')}`, [apt, ...install, ...wanted], INSTALL_MS).then(
    () => '',
    (error: unknown) => String(error),
  )
  if (absent().length > 0)
    throw new Error(`${absent().join(' ')} could not be installed by apt-get; ${how}\n${failure}`)
}

const absent = (): string[] =>
  packages
    .filter(([, sign]) => (sign.startsWith('/') ? !existsSync(sign) : findProgram(sign) === undefined))
    .map(([name]) => name)

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
