// A server that is told who calls: every request to it carries an assertion of its caller besides the server's own headers.
// Whoever cannot be named does not get through.

import { Fault } from '../../protocol/fault.ts'
import { ASSERTION_HEADER, REQUEST_ID_HEADER } from '../auth/assertion.ts'
import type { Principal } from '../principal.ts'
import type { Backend, Call, Owner, Reply, Unasked, Upstream } from './upstream.ts'

export interface Assertive {
  readonly upstream: Upstream
  /** The assertion of a caller for this server. */
  readonly assert: (principal: Principal) => Promise<string>
  /** How the server is spoken to once its headers are known. */
  readonly backend: (upstream: Upstream) => Backend
}

export class AssertedBackend implements Backend {
  readonly #server: Assertive
  readonly #backends = new WeakMap<Principal, Backend>()

  constructor(server: Assertive) {
    this.#server = server
  }

  async call(call: Call, owner: Owner): Promise<Reply> {
    return this.#for(owner).call(traced(call), owner)
  }

  async tell(call: Call, owner: Owner): Promise<void> {
    if (owner.caller !== undefined) await this.#for(owner).tell(call, owner)
  }

  async resume(after: string, call: Call, owner: Owner): Promise<Reply | undefined> {
    return this.#for(owner).resume(after, traced(call), owner)
  }

  async listen(uris: readonly string[], owner: Owner, signal: AbortSignal): Promise<Unasked | undefined> {
    return this.#for(owner).listen(uris, owner, signal)
  }

  async end(owner: Owner, signal: AbortSignal): Promise<void> {
    if (owner.caller !== undefined) await this.#for(owner).end(owner, signal)
  }

  #for({ caller }: Owner): Backend {
    const { upstream, assert, backend } = this.#server
    if (caller === undefined)
      throw new Fault('backend_refused', `Server ${upstream.server} must be told who calls.`, {
        data: { server: upstream.server },
        detail: 'no caller to assert',
      })
    const principal = caller()
    const known = this.#backends.get(principal)
    if (known !== undefined) return known
    const headers = async () => ({ ...(await upstream.headers()), [ASSERTION_HEADER]: await assert(principal) })
    const made = backend({ ...upstream, headers })
    this.#backends.set(principal, made)
    return made
  }
}

/** The server's own trail of this call joins ours. */
function traced(call: Call): Call {
  return call.requestId === undefined
    ? call
    : { ...call, headers: { ...call.headers, [REQUEST_ID_HEADER]: call.requestId } }
}
