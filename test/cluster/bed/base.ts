// The images that every cluster starts from: one static binary each, and a Node base image without a shell.
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { images } from './plan.ts'
import { run } from './shell.ts'
import * as store from './store.ts'

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** An image of one static binary. */
export function packBinary(folder: string, name: string, binary: string, path: string): Promise<void> {
  const key = createHash('sha256')
    .update(name + binary)
    .digest('hex')
    .slice(0, 12)
  return once(folder, key, async (draft) => {
    copyFileSync(binary, join(draft, path))
    await store.build(folder, name, [{ folder: draft }], { Entrypoint: [path] })
  })
}

/** An image of the Node that runs this, with what it needs of the system: its libraries, name resolution, certificates, a user. */
export function packNode(folder: string): Promise<void> {
  return once(folder, `node-${process.version}`, async (draft) => {
    const libraries = [...run(['ldd', process.execPath]).matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
    for (const path of [...libraries, CERTIFICATES]) {
      mkdirSync(join(draft, dirname(path)), { recursive: true })
      copyFileSync(path, join(draft, path))
    }
    mkdirSync(join(draft, 'bin'))
    copyFileSync(process.execPath, join(draft, 'bin/node'))
    chmodSync(join(draft, 'bin/node'), 0o755)
    writeFileSync(join(draft, 'etc/nsswitch.conf'), 'hosts: files dns\n')
    writeFileSync(join(draft, 'etc/passwd'), 'root:x:0:0::/:/bin/false\nnode:x:1000:1000::/tmp:/bin/false\n')
    writeFileSync(join(draft, 'etc/group'), 'root:x:0:\nnode:x:1000:\n')
    mkdirSync(join(draft, 'tmp'))
    chmodSync(join(draft, 'tmp'), 0o1777)
    const env = ['PATH=/bin', 'HOME=/tmp', `NODE_EXTRA_CA_CERTS=${CERTIFICATES}`]
    await store.build(folder, images.node, [{ folder: draft }], {
      User: '1000:1000',
      Entrypoint: ['/bin/node'],
      Env: env,
    })
  })
}

/** Works in a folder of its own, which is then removed, unless it has been done before. */
async function once(folder: string, key: string, work: (draft: string) => Promise<void>): Promise<void> {
  const made = join(folder, `made-${key}`)
  if (existsSync(made)) return
  mkdirSync(folder, { recursive: true })
  const draft = mkdtempSync(join(folder, 'draft-'))
  await work(draft)
  rmSync(draft, { recursive: true })
  writeFileSync(made, '')
}
