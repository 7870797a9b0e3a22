// A scripted person with a real MCP client (SDK v2): it discovers, registers itself, logs in by clicking the user's button, and
// steps up when a call is answered with a challenge for more scopes.

import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
  type OAuthClientInformationMixed,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type OAuthTokens,
} from '@modelcontextprotocol/client'
import { clickThrough } from './login.ts'

const redirectUrl = 'http://127.0.0.1:47810/callback'

export interface PersonOptions {
  user: string
  /** URL of the MCP endpoint. */
  url: string
  /** Called with the scopes of each login, before it happens. */
  onLogin?: (scopes: string) => void
}

/** What an MCP SDK client asks its host for, answered by a script. Everything is kept in memory. */
class Clicker implements OAuthClientProvider {
  readonly redirectUrl = redirectUrl
  readonly clientMetadata = {
    client_name: 'Waggle demo client',
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  }
  /** The answer of the last login, until it is redeemed. */
  callback: URLSearchParams | undefined
  readonly #options: PersonOptions
  #client: OAuthClientInformationMixed | undefined
  #tokens: OAuthTokens | undefined
  #discovery: OAuthDiscoveryState | undefined
  #verifier = ''

  constructor(options: PersonOptions) {
    this.#options = options
  }

  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.#client
  }
  saveClientInformation(client: OAuthClientInformationMixed): void {
    this.#client = client
  }
  tokens(): OAuthTokens | undefined {
    return this.#tokens
  }
  saveTokens(tokens: OAuthTokens): void {
    this.#tokens = tokens
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier
  }
  codeVerifier(): string {
    return this.#verifier
  }
  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovery = state
  }
  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovery
  }
  async redirectToAuthorization(authorizationUrl: URL): Promise<void> {
    this.#options.onLogin?.(authorizationUrl.searchParams.get('scope') ?? '')
    this.callback = (await clickThrough(authorizationUrl, this.#options.user)).searchParams
  }
}

/** Connects as a user. Throws what the SDK throws when the endpoint or the provider refuses. */
export async function connectAs(options: PersonOptions): Promise<Person> {
  const clicker = new Clicker(options)
  const client = new Client(
    { name: `${options.user}'s client`, version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  )
  const open = () => new StreamableHTTPClientTransport(new URL(options.url), { authProvider: clicker })
  let transport = open()
  try {
    await client.connect(transport)
  } catch (error) {
    const callback = clicker.callback
    if (!(error instanceof UnauthorizedError) || callback === undefined) throw error
    await transport.finishAuth(callback)
    transport = open()
    await client.connect(transport)
  }
  return new Person(client, transport, clicker)
}

export class Person {
  readonly client: Client
  readonly #transport: StreamableHTTPClientTransport
  readonly #clicker: Clicker

  constructor(client: Client, transport: StreamableHTTPClientTransport, clicker: Clicker) {
    this.client = client
    this.#transport = transport
    this.#clicker = clicker
  }

  /** Names of all tools this person may see now, whatever the client remembers. */
  async tools(): Promise<string[]> {
    const { tools } = await this.client.listTools({}, { cacheMode: 'refresh' })
    return tools.map((tool) => tool.name)
  }

  /** Calls a tool; a challenge for more scopes is answered with one more login. Throws when that does not help either. */
  async call(name: string, input: Record<string, unknown>, onProgress?: (message: string) => void) {
    const attempt = () =>
      this.client.callTool(
        { name, arguments: input },
        onProgress === undefined
          ? {}
          : { onprogress: (step) => onProgress(step.message ?? `${step.progress} of ${step.total ?? '?'}`) },
      )
    this.#clicker.callback = undefined
    try {
      return await attempt()
    } catch (error) {
      const callback = this.#clicker.callback
      if (!(error instanceof UnauthorizedError) || callback === undefined) throw error
      await this.#transport.finishAuth(callback)
      return attempt()
    }
  }
}
