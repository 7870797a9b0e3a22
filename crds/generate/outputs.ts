// Every file that is made from the schemas, as text: paths are relative to the project's root.
import { kinds } from '../kinds.ts'
import { template } from './chart.ts'
import { compatibility } from './compatibility.ts'
import { crd } from './crd.ts'
import { editorSchema } from './editor.ts'
import { publishedKinds } from './published.ts'
import { index, page } from './reference.ts'

/** Folders that hold nothing but generated files, so that the file of a kind that is gone is found. */
export const folders = ['charts/waggle-crds/templates/crds', 'docs/reference', 'docs/schemas']

/** Path to content of all generated files. */
export function outputs(): Map<string, string> {
  const files = new Map<string, string>()
  for (const kind of publishedKinds) {
    files.set(`charts/waggle-crds/templates/crds/${kinds[kind].plural}.yaml`, template(crd(kind)))
    files.set(`docs/reference/${kind.toLowerCase()}.md`, `${page(kind)}\n`)
    files.set(`docs/schemas/${kind.toLowerCase()}.json`, `${JSON.stringify(editorSchema(kind), undefined, 1)}\n`)
  }
  files.set('docs/reference/README.md', `${index()}\n`)
  files.set('docs/compatibility.md', `${compatibility()}\n`)
  return files
}
