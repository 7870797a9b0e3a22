// The image store: a folder of blobs by digest and of names pointing at them. It is what the clusters pull from, under any registry's name.
import { spawn, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  createWriteStream,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export const blobPath = (store: string, digest: string): string => join(store, 'blobs', digest.replace(':', '-'))
export const refPath = (store: string, name: string): string => join(store, 'refs', encodeURIComponent(name))

/** An image name in full, as a container runtime completes it: `redis` is `docker.io/library/redis:latest`. */
export function fullName(name: string): string {
  const [first = '', ...rest] = name.split('/')
  const registry = rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : 'docker.io'
  const path = registry === first ? rest.join('/') : name
  const repository = registry === 'docker.io' && !path.includes('/') ? `library/${path}` : path
  return `${registry}/${repository}${repository.includes(':') ? '' : ':latest'}`
}

type Descriptor = { mediaType: string; digest: string; size: number }
export type Config = { User?: string; WorkingDir?: string; Entrypoint?: string[]; Env?: string[] }
type Manifest = { config: Descriptor; layers: Descriptor[] }

/** What an image adds to its base: the content of `folder`, placed at `at`. */
export type Layer = { folder: string; at?: string }

/** Writes an image of `layers` on top of the image `base` and names it. Layers are plain tar: compressing for a pull over the loopback would only cost time. */
export async function build(
  store: string,
  name: string,
  layers: Layer[],
  config: Config,
  base?: string,
): Promise<void> {
  mkdirSync(join(store, 'blobs'), { recursive: true })
  mkdirSync(join(store, 'refs'), { recursive: true })
  const below =
    base === undefined
      ? []
      : (JSON.parse(read(store, readFileSync(refPath(store, fullName(base)), 'utf8'))) as Manifest).layers
  const added = await Promise.all(layers.map((layer) => pack(store, layer)))
  const all = [...below, ...added]
  const image = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: all.map((layer) => layer.digest) },
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: put(store, 'application/vnd.oci.image.config.v1+json', image),
    layers: all,
  }
  writeFileSync(refPath(store, fullName(name)), put(store, manifest.mediaType, manifest).digest)
}

/** Takes in an image made elsewhere, from an OCI archive (`buildah push IMAGE oci-archive:FILE`, `docker save`), and names it. */
export function load(store: string, name: string, archive: string): void {
  mkdirSync(join(store, 'blobs'), { recursive: true })
  mkdirSync(join(store, 'refs'), { recursive: true })
  const folder = mkdtempSync(join(store, 'load-'))
  try {
    execFileSync('tar', ['-xf', archive, '-C', folder])
    const blobs = execFileSync('ls', [join(folder, 'blobs/sha256')], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
    for (const blob of blobs) copyFileSync(join(folder, 'blobs/sha256', blob), blobPath(store, `sha256:${blob}`))
    const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
    const top = index.manifests[0]
    if (top === undefined) throw new Error(`${archive} holds no image`)
    writeFileSync(refPath(store, fullName(name)), top.digest)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Another name for an image of the store. */
export function tag(store: string, from: string, to: string): void {
  copyFileSync(refPath(store, fullName(from)), refPath(store, fullName(to)))
}

const read = (store: string, digest: string): string => readFileSync(blobPath(store, digest), 'utf8')

function put(store: string, mediaType: string, value: unknown): Descriptor {
  const bytes = Buffer.from(JSON.stringify(value))
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  writeFileSync(blobPath(store, digest), bytes)
  return { mediaType, digest, size: bytes.length }
}

/** Same content, same digest: names are sorted, times and owners are fixed. */
async function pack(store: string, layer: Layer): Promise<Descriptor> {
  const draft = join(mkdtempSync(join(store, 'pack-')), 'layer.tar')
  const place = (layer.at ?? '').replace(/^\/|\/$/g, '')
  const tar = spawn(
    'tar',
    [
      '-C',
      layer.folder,
      '--sort=name',
      '--mtime=@0',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=a+rX', // a folder made by mkdtemp is its owner's alone
      '--exclude=./.git',
      ...(place === '' ? [] : ['--transform', `flags=rSh;s,^\\.,./${place},`]),
      '-cf',
      '-',
      '.',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const hash = createHash('sha256')
  const meter = new Transform({ transform: (chunk, _, done) => (hash.update(chunk), done(null, chunk)) })
  const [code] = await Promise.all([
    new Promise((resolve) => tar.once('close', resolve)),
    pipeline(tar.stdout, meter, createWriteStream(draft)),
  ])
  if (code !== 0) throw new Error(`tar of ${layer.folder} failed`)
  const digest = `sha256:${hash.digest('hex')}`
  renameSync(draft, blobPath(store, digest))
  rmSync(join(draft, '..'), { recursive: true })
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: statSync(blobPath(store, digest)).size }
}
