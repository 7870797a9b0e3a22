// The life of a cluster. Everything a cluster is made of can be found from its letter alone: the processes by its network namespace and its control
// group, the files by its folder, the mounts by dying with the processes (they are in a mount namespace of their own). So `down` needs no record of
// what `up` did, and works after any crash.
import { spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { call } from './api.ts'
import * as cgroup from './cgroup.ts'
import { inhabitants, namespace, plug, unplug } from './network.ts'
import { bridge, commands, files, images, outside, users } from './plan.ts'
import type { Cluster, Program, User } from './plan.ts'
import { run, until } from './shell.ts'
import { kubectl } from './tools.ts'
import type { Tools } from './tools.ts'

/** A new cluster that is an API server and nothing else, whatever was there before. Nobody makes what controllers make. */
export async function serve(c: Cluster, tools: Tools): Promise<void> {
  await begin(c, tools, ['etcd', 'kube-apiserver', 'gate'])
}

/** A new cluster, whatever was there before; resolves when its node and its DNS are ready. */
export async function up(c: Cluster, tools: Tools): Promise<void> {
  await begin(c, tools, ['etcd', 'kube-apiserver', 'gate', 'containerd'])
  for (const program of ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'enforce'] as const)
    await start(c, tools, program)
  const values: Record<string, string> = {
    $DNS: c.dns,
    $OUTSIDE: bridge.address,
    $DOMAINS: outside.map((name) => `${name}:53`).join(' '),
    $IMAGE: images.coredns,
  }
  const dns = readFileSync(join(import.meta.dirname, 'dns.yaml'), 'utf8').replace(
    /\$[A-Z]+/g,
    (name) => values[name] ?? name,
  )
  kubectl(tools, c.dir, ['apply', '-f', '-'], dns)
  const path = '/apis/apps/v1/namespaces/kube-system/deployments/coredns'
  const ready = async () => (await call<{ status: { readyReplicas?: number } }>(c, 'GET', path)).status.readyReplicas
  await until(`cluster ${c.name}'s DNS`, async () => (await ready()) === 1)
}

async function begin(c: Cluster, tools: Tools, programs: readonly Program[]): Promise<void> {
  await down(c)
  configure(c)
  plug(c)
  cgroup.create(c.id)
  await hold(c)
  await Promise.all(programs.map((program) => start(c, tools, program)))
}

/** Removes everything of the cluster. Removing what is not there is no error. */
export async function down(c: Cluster): Promise<void> {
  await until(
    `the processes of cluster ${c.name} to end`,
    () => {
      const left = [...inhabitants(c), ...cgroup.processes(c.id)].filter((pid) => pid !== process.pid)
      for (const pid of left) kill(pid)
      return left.length === 0
    },
    60,
  )
  unplug(c)
  await until(`the control groups of cluster ${c.name} to empty`, () => (cgroup.remove(c.id), true), 60)
  rmSync(c.dir, { recursive: true, force: true })
}

/** Starts a program of the cluster. Resolves at once, for the API server when it serves. */
export async function start(c: Cluster, tools: Tools, program: Program): Promise<void> {
  if (running(c, tools, program).length > 0) return
  const holder = inhabitants(c).find((pid) => commandLine(pid) === holding.join('\0'))
  if (holder === undefined) throw new Error(`cluster ${c.name} is not up`)
  const log = openSync(join(c.dir, 'log', `${program}.log`), 'a')
  const child = spawn(
    'nsenter',
    [`--net=${namespace(c)}`, `--mount=/proc/${holder}/ns/mnt`, ...command(c, tools, program)],
    {
      detached: true,
      stdio: ['ignore', log, log, ...(program === 'gate' ? ['ipc' as const] : [])],
    },
  )
  child.unref()
  closeSync(log)
  if (program === 'gate') {
    const listener = createServer().listen(c.port, '127.0.0.1')
    await once(listener, 'listening')
    await new Promise<void>((resolve, reject) =>
      child.send('listener', listener, (error) => (error === null ? resolve() : reject(error))),
    )
    listener.close()
    child.disconnect()
  }
  if (program === 'kube-apiserver')
    await until(`cluster ${c.name}'s API server`, async () => (await call<string>(c, 'GET', '/readyz')) === 'ok')
}

/** Kills a program of the cluster, as a crash would. */
export async function stop(c: Cluster, tools: Tools, program: Program): Promise<void> {
  await until(
    `${program} to end`,
    () => {
      const pids = running(c, tools, program)
      for (const pid of pids) kill(pid)
      return pids.length === 0
    },
    60,
  )
}

const command = (c: Cluster, tools: Tools, program: Program): string[] =>
  commands(c, tools.kube, process.execPath, import.meta.dirname, tools.store)[program]

const running = (c: Cluster, tools: Tools, program: Program): number[] =>
  inhabitants(c).filter((pid) => commandLine(pid) === command(c, tools, program).join('\0'))

const holding = ['sleep', 'infinity']

/** Makes the mount namespace of the cluster, in which /var/lib, /var/log and /run are folders of its own, and a process that holds it. */
async function hold(c: Cluster): Promise<void> {
  const binds = ['/var/lib', '/var/log', '/run'].map(
    (path) => `mount --bind ${join(c.dir, path.split('/').at(-1) ?? '')} ${path}`,
  )
  spawn(
    'nsenter',
    [`--net=${namespace(c)}`, 'unshare', '--mount', 'sh', '-ec', [...binds, `exec ${holding.join(' ')}`].join('\n')],
    { detached: true, stdio: 'ignore' },
  ).unref()
  await until(
    `the mount namespace of cluster ${c.name}`,
    () => inhabitants(c).some((pid) => commandLine(pid) === holding.join('\0')),
    60,
  )
}

function configure(c: Cluster): void {
  for (const name of ['etc/volume-plugins', 'lib', 'log', 'run']) mkdirSync(join(c.dir, name), { recursive: true })
  const etc = (name: string) => join(c.dir, 'etc', name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '365']
  run([
    'openssl',
    'req',
    '-x509',
    ...key,
    '-keyout',
    etc('ca.key'),
    '-out',
    etc('ca.crt'),
    '-subj',
    `/CN=testbed ${c.name}`,
  ])
  const names = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    'localhost',
  ].map((name) => `DNS:${name}`)
  const addresses = ['127.0.0.1', c.address, c.kubernetes].map((address) => `IP:${address}`)
  run([
    'openssl',
    'req',
    '-x509',
    ...key,
    '-keyout',
    etc('api.key'),
    '-out',
    etc('api.crt'),
    '-CA',
    etc('ca.crt'),
    '-CAkey',
    etc('ca.key'),
    '-subj',
    '/O=system:masters/CN=kube-apiserver',
    '-addext',
    'basicConstraints=CA:FALSE',
    '-addext',
    `subjectAltName=${[...names, ...addresses].join()}`,
  ])
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(etc('sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const tokens = Object.fromEntries(
    Object.keys(users).map((user) => [user, randomBytes(16).toString('hex')]),
  ) as Record<User, string>
  for (const [path, content] of Object.entries(files(c, { ca: readFileSync(etc('ca.crt'), 'utf8'), tokens }))) {
    mkdirSync(dirname(join(c.dir, path)), { recursive: true })
    writeFileSync(join(c.dir, path), content)
  }
}

/** The arguments of a process, joined by NUL; empty when it is gone. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '')
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // it ended by itself
  }
}
