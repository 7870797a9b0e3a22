// Methods that a lenient server might take for one that is judged here: another spelling must not slip past the rules.

/** Whether a method reads like one that there are rules for, and is not spelt so. */
export function isLookAlike(method: string): boolean {
  const plain = method
    .toLowerCase()
    .replaceAll(/[^a-z/]/gu, '')
    .replaceAll(/\/+/gu, '/')
    .replaceAll(/^\/|\/$/gu, '')
  if (plain === method) return plain.startsWith('tools/')
  return /^(tools|prompts|resources|completion|tasks|logging|subscriptions|notifications)(\/|$)|^(initialize|ping|server)(\/|$)/u.test(
    plain,
  )
}
