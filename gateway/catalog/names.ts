// Exposed names: what model hosts accept (`^[a-zA-Z0-9_-]{1,64}$`), free of collisions, the same after every restart.
// Exposed and original names are different types: mixing them would route a call to the wrong tool.

import { mark } from './hash.ts'

declare const brand: unique symbol
/** A name or URI as clients of the merged catalog see it. */
export type ExposedName = string & { readonly [brand]: 'exposed' }
/** A name or URI at its own server. */
export type OriginalName = string & { readonly [brand]: 'original' }

export const exposed = (name: string): ExposedName => name as ExposedName
export const original = (name: string): OriginalName => name as OriginalName

const LIMIT = 64
const SUFFIX = 7

/**
 * A wanted name made to fit. Names that fit stay as they are; others are cleaned, cut and marked with six hexadecimal
 * digits of `identity`, so that two different wishes never meet and the result depends on nothing else.
 */
export function fit(wanted: string, identity: string): ExposedName {
  if (/^[a-zA-Z0-9_-]{1,64}$/u.test(wanted)) return exposed(wanted)
  return marked(wanted, identity)
}

/** The name with its identity mark, for wishes that do not fit or that collide. */
export function marked(wanted: string, identity: string): ExposedName {
  const clean = wanted.replaceAll(/[^a-zA-Z0-9_-]/gu, '_').slice(0, LIMIT - SUFFIX)
  return exposed(`${clean}_${mark(identity)}`)
}

/** A URI made unique by its server, in the place where its scheme stays what hosts look at (`ui://`). */
export function mapUri(uri: string, server: string): string {
  const at = schemeLength(uri)
  return `${uri.slice(0, at)}${server.replaceAll('/', '.').replaceAll('@', '~')}!${uri.slice(at)}`
}

/** What a caller's URI means at the server, where `exposed` is what `original`, a URI or a template, is exposed as. */
export function unmapUri(uri: string, exposed: string, original: string): string {
  if (uri === exposed) return original
  // An expansion of a template: its owner's mark stands where the template has it.
  const at = schemeLength(original)
  return uri.slice(0, at) + uri.slice(at + exposed.length - original.length)
}

const schemeLength = (uri: string): number => /^[a-zA-Z][a-zA-Z0-9+.-]*:(?:\/\/)?/u.exec(uri)?.[0].length ?? 0
