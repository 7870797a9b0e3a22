// Whether the edge may know of a resource: its owner's word, by an annotation. What is not published is not in the uplink's
// snapshot, and its proxies believe neither the edge nor the uplink.

import type { EndpointResource } from './address.ts'

export const publishAnnotation = 'waggle.dev/publish'

/** Everything is published unless its owner says that it is not; a value that cannot be read counts as no. */
export function publishes({ metadata }: Pick<EndpointResource, 'metadata'>): boolean {
  const value = metadata.annotations?.[publishAnnotation]
  return value === undefined || value === 'true'
}
