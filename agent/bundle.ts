// Makes one program of a source file and all it imports: `node agent/bundle.ts FOLDER` writes the agent as FOLDER/main.js.
// What the source imports lazily becomes files of its own, read only when it is asked for.

import { build } from 'esbuild'
import { dirname, join } from 'node:path'

// Dependencies in CommonJS ask for Node's own modules by `require`, which an ES module lacks.
const banner = `import { createRequire as __require } from 'node:module'; const require = __require(import.meta.url);`

/**
 * Bundles `entry` into `folder`, as a file of the entry's name that ends in `.js`. Throws what esbuild throws, with the place of the error.
 * @returns the paths of all sources, from the project's root
 */
export async function bundleProgram(entry: string, folder: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [entry],
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    chunkNames: 'parts/[name]-[hash]',
    legalComments: 'none',
    logLevel: 'silent',
    banner: { js: banner },
    absWorkingDir: dirname(import.meta.dirname),
    metafile: true,
  })
  return Object.keys(metafile.inputs)
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2)
  if (folder === undefined) throw new Error('say where to: node agent/bundle.ts FOLDER')
  await bundleProgram(join(import.meta.dirname, 'main.ts'), folder)
}
