// The reasons that the answers of the edge carry: `error.data.reason` of JSON-RPC, `error.reason` of the admin API.

/** Every reason in a text, be it JSON, a batch, or an event stream. Only the edge's own: servers send no such member. */
export function reasons(text: string): string[] {
  return [...text.matchAll(/"reason":"([a-z_]+)"/gu)].flatMap(([, reason]) => (reason === undefined ? [] : [reason]))
}
