// What is wrong with a manifest, in words for its author: the field's path and what to do. Never a value: values may be secrets.

export interface Problem {
  /** The field as its author would write it: `spec.remoteUrl`, `spec.backends[0].name`, `metadata.annotations["a.b/c"]`. */
  readonly path: string
  readonly message: string
  /** What was probably meant: the name of a field, of a kind, or a value. */
  readonly suggestion?: string
}

/** Writes a path of keys and indexes as in `Problem.path`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let out = ''
  for (const part of path) {
    if (typeof part === 'number') out += `[${part}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(String(part))) out += out === '' ? String(part) : `.${String(part)}`
    else out += `[${JSON.stringify(String(part).slice(0, 128))}]`
  }
  return out
}
