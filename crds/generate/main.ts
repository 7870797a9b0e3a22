// Writes everything that is made from the schemas: the chart's CRDs, the reference, editors' schemas. With --check it only compares.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { drift, root } from './drift.ts'
import { outputs } from './outputs.ts'

const { stale, orphans } = drift()
if (process.argv.includes('--check')) {
  for (const path of [...stale, ...orphans]) console.error(`${path} is not what the schemas say`)
  if (stale.length + orphans.length > 0) {
    console.error('run: node crds/generate/main.ts')
    process.exitCode = 1
  }
} else {
  const files = outputs()
  for (const path of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), files.get(path) ?? '')
  }
  for (const path of orphans) rmSync(join(root, path))
  console.log(`${files.size} files, ${stale.length} written, ${orphans.length} removed`)
}
