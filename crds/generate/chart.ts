// A CustomResourceDefinition as a template of the chart waggle-crds: among the templates, because Helm never upgrades what lies in
// a folder `crds`.
import { Document, isScalar, isSeq, visit } from 'yaml'
import type { CustomResourceDefinition } from './crd.ts'

/** The template: installed unless `crds.install` is false, and kept when the chart is uninstalled unless `crds.keep` is false. */
export function template(crd: CustomResourceDefinition): string {
  const { metadata, spec, ...kind } = crd
  return [
    '{{- if .Values.crds.install }}\n',
    text(kind),
    'metadata:\n',
    `  name: ${metadata.name}\n`,
    '  {{- if .Values.crds.keep }}\n',
    '  annotations:\n',
    '    helm.sh/resource-policy: keep\n',
    '  {{- end }}\n',
    text({ spec }),
    '{{- end }}\n',
  ].join('')
}

/** YAML with a line for each field that has no fields of its own: half the size, and a change is one line of a diff. */
function text(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false })
  visit(document, {
    Map: (key, map) => {
      if (key === null) return
      if (map.items.every(({ value: item }) => isScalar(item) || (isSeq(item) && item.items.every(isScalar))))
        map.flow = true
    },
    // Helm reads YAML 1.1, where more characters mean something inside of braces.
    Scalar: (_key, scalar) => {
      if (typeof scalar.value === 'string' && !/^[A-Za-z][\w ./-]*$/.test(scalar.value)) scalar.type = 'QUOTE_SINGLE'
    },
    Seq: (_key, list) => {
      if (list.items.every(isScalar)) list.flow = true
    },
  })
  return document.toString({ lineWidth: 0, singleQuote: true, indentSeq: false }).replaceAll('{{', '{{ "{{" }}')
}
