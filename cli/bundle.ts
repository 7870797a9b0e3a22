// Builds the Worker once per content of its sources into dist/<hash>/, with what workerd must know about it in worker.json.
// A bundle is complete or absent: it is built aside and renamed, so any number of processes may ask for it at once.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { Failure, messageOf } from './failure.ts'
import { eachLine } from './lines.ts'

const root = dirname(import.meta.dirname)
const folders = ['crds', 'edge', 'gateway', 'plan', 'protocol']
const files = ['package-lock.json', 'wrangler.toml']
const buildDeadline = 120_000

/** What workerd's configuration needs to know about a bundle; written beside it as `worker.json`. */
export interface WorkerFacts {
  compatibilityDate: string
  compatibilityFlags: string[]
  durableObjects: { binding: string; className: string; sql: boolean }[]
}

/** The folder of the built Worker (`worker.js`, `worker.json`, further modules), built first when its sources changed. */
export async function bundle(): Promise<string> {
  const dist = join(root, 'dist')
  const target = join(dist, await digest())
  if (existsSync(join(target, 'worker.json'))) return target
  await mkdir(dist, { recursive: true })
  const aside = await mkdtemp(join(dist, '.building-'))
  try {
    await build(aside)
    await writeFile(join(aside, 'worker.json'), JSON.stringify(await facts(), null, 2))
    await chmod(aside, 0o755)
    await rename(aside, target).catch((error: unknown) => {
      // Somebody else finished first: their bundle has the same sources.
      if (!existsSync(join(target, 'worker.json'))) throw error
    })
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  return target
}

async function digest(): Promise<string> {
  const hash = createHash('sha256')
  const paths = files.map((file) => join(root, file))
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      if (entry.isFile() && /(?<!\.test)\.(?:ts|json|wasm)$/.test(entry.name)) {
        paths.push(join(entry.parentPath, entry.name))
      }
    }
  }
  for (const path of paths.sort()) {
    const content = await readFile(path)
    hash.update(`${relative(root, path)}\0${content.byteLength}\0`).update(content)
  }
  return hash.digest('hex').slice(0, 16)
}

async function build(outdir: string): Promise<void> {
  const wrangler = join(dirname(createRequire(import.meta.url).resolve('wrangler/package.json')), 'bin', 'wrangler.js')
  const child = spawn(process.execPath, [wrangler, 'deploy', '--dry-run', '--minify', '--outdir', outdir], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: buildDeadline,
    env: {
      ...process.env,
      CI: 'true',
      FORCE_COLOR: '0',
      WRANGLER_SEND_METRICS: 'false',
      // Without a banner wrangler does not look for a newer version of itself.
      WRANGLER_HIDE_BANNER: 'true',
      WRANGLER_WRITE_LOGS: 'false',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    },
  })
  const said: string[] = []
  const keep = (line: string): void => {
    said.push(line)
    if (said.length > 200) said.shift()
  }
  eachLine(child.stdout, keep)
  eachLine(child.stderr, keep)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  }).catch((error: unknown) => {
    throw new Failure(`cannot run wrangler: ${messageOf(error)}`, 'run `npm ci` in the project folder')
  })
  if (code !== 0) throw new Failure(`the Worker does not build:\n${said.join('\n')}`, 'fix the error above')
}

async function facts(): Promise<WorkerFacts> {
  const { unstable_readConfig: readConfig } = await import('wrangler')
  const config = readConfig({ config: join(root, 'wrangler.toml') }, { hideWarnings: true })
  const sql = new Set(
    config.migrations.flatMap((step: { new_sqlite_classes?: string[] }) => step.new_sqlite_classes ?? []),
  )
  if (config.compatibility_date === undefined) {
    throw new Failure('wrangler.toml: compatibility_date is missing', 'add it, not newer than the installed workerd')
  }
  return {
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    durableObjects: config.durable_objects.bindings.map((object: { name: string; class_name: string }) => ({
      binding: object.name,
      className: object.class_name,
      sql: sql.has(object.class_name),
    })),
  }
}
