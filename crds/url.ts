// URLs in resources: absolute http or https, never with credentials in them (they would end up in logs and lists).
import * as z from 'zod'
import { semantically } from './rule.ts'

function usable(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  return url.username === '' && url.password === '' && url.hash === ''
}

const secret = semantically('must be an absolute URL without user, password or fragment')

export const HttpUrl = z
  .string()
  .max(2048)
  .regex(/^https?:\/\//, { error: 'must be a URL that starts with https:// or http://', abort: true })
  .refine(usable, secret)

export const HttpsUrl = z
  .string()
  .max(2048)
  .regex(/^https:\/\//, { error: 'must be a URL that starts with https://', abort: true })
  .refine(usable, secret)

/** A path that an ingress puts before an endpoint; slashes at its ends do not count. */
export const PathPrefix = z
  .string()
  .max(512)
  .refine(
    (text) =>
      /^\/*$|^\/*[\w.~%:@!$&'()*+,;=-]+(\/[\w.~%:@!$&'()*+,;=-]+)*\/*$/.test(text) && !/(^|\/)\.{1,2}(\/|$)/.test(text),
    semantically('must be a path such as /tools, without query, fragment, spaces or dots alone'),
  )

/** A URL that paths are appended to: no query, no fragment, no slash at its end. */
export const BaseUrl = z
  .string()
  .max(2048)
  .regex(/^https?:\/\/[!-"$->@-~]*[!-"$-.0->@-~]$/, {
    error: 'must be an http or https URL without query, fragment or a slash at its end',
  })

/** As `BaseUrl`, with https only. */
export const SecureBaseUrl = z
  .string()
  .max(2048)
  .regex(/^https:\/\/[!-"$->@-~]*[!-"$-.0->@-~]$/, {
    error: 'must be an https URL without query, fragment or a slash at its end',
  })
