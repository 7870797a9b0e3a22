// Names of objects as Kubernetes accepts them, so that a manifest of the edge stays valid in a cluster (RFC 1123).
import * as z from 'zod'

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'

const dnsLabel = () =>
  z
    .string()
    .min(1)
    .max(63)
    .regex(new RegExp(`^${label}$`), {
      error: 'must consist of lower-case letters, digits and "-", and start and end with a letter or digit',
    })

/** A DNS label: a namespace, a cluster. */
export const Namespace = dnsLabel()

/** A DNS subdomain: the name of an object. */
export const Name = z
  .string()
  .min(1)
  .max(253)
  .regex(new RegExp(`^${label}(\\.${label})*$`), {
    error: 'must consist of lower-case letters, digits, "-" and ".", and start and end with a letter or digit',
  })

/** The name of an upstream identity provider inside an embedded authorization server. */
export const ProviderName = dnsLabel()
