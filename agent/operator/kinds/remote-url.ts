// Where servers outside the cluster may be, judged before anybody connects. The proxy judges again, with the address that a
// name turns out to have.

import { zone } from '../../../gateway/backend/egress.ts'
import { allowList } from '../../allow-list.ts'

/** What is wrong with `spec.remoteUrl`, for its author; undefined when it may be called. */
export function remoteUrlProblem(
  { remoteUrl, allowPrivateEndpoint }: { readonly remoteUrl: string; readonly allowPrivateEndpoint: boolean },
  egressAllow: readonly string[],
): string | undefined {
  const field = 'spec.remoteUrl'
  if (!URL.canParse(remoteUrl)) return `${field} is not an absolute URL`
  const url = new URL(remoteUrl)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return `${field} must start with https:// or http://`
  if (url.username !== '' || url.password !== '')
    return `${field} carries credentials: put them into a Secret and name it in an MCPExternalAuthConfig`
  switch (zone(url)) {
    case 'public':
      return undefined
    case 'private':
      if (allowPrivateEndpoint || allowList(egressAllow).has(url.hostname)) return undefined
      return `${field} is a private address: set spec.allowPrivateEndpoint to true, if it is meant`
    case 'loopback':
      return `${field} is a loopback address, where in a cluster only the proxy itself is`
    case 'forbidden':
      return `${field} is an address that is never called: the API server, cloud metadata, link-local or reserved`
  }
}
