// Login on another device (RFC 8628), for machines without a browser: show a code, then ask the provider until it was entered.

import { setTimeout as sleep } from 'node:timers/promises'
import * as oauth from 'oauth4webapi'
import type { Login } from './credentials.ts'
import { Failure } from './failure.ts'
import { toLogin } from './grant.ts'
import { type Io, printable } from './io.ts'
import { type Provider, attempt, serverOptions } from './provider.ts'

/** Shows a code and waits until it was entered, refused, or has expired. */
export async function loginOnDevice(provider: Provider, io: Io): Promise<Login> {
  const { server, client, resource, scope } = provider
  if (server.device_authorization_endpoint === undefined) {
    throw new Failure(`${server.issuer} has no device login`, 'run `waggle login` where there is a browser')
  }
  const options = serverOptions(server)
  const device = await attempt('the device login failed', async () => {
    const parameters = { scope, resource }
    const none = oauth.None()
    const response = await oauth.deviceAuthorizationRequest(server, client, none, parameters, options)
    return oauth.processDeviceAuthorizationResponse(server, client, response)
  })
  const page = printable(device.verification_uri_complete ?? device.verification_uri)
  io.err(`Log in at:\n\n  ${page}\n\nand confirm the code ${printable(device.user_code)}`)

  const deadline = Date.now() + Math.min(device.expires_in, 3600) * 1000
  let interval = Math.max(device.interval ?? 5, 1)
  while (Date.now() + interval * 1000 < deadline) {
    await sleep(interval * 1000)
    const result = await poll()
    if (result === 'slow_down') interval += 5
    else if (result !== 'authorization_pending') return toLogin(provider, result)
  }
  throw new Failure('the code has expired before anybody confirmed it', 'run `waggle login --device` again')

  function poll(): Promise<oauth.TokenEndpointResponse | 'slow_down' | 'authorization_pending'> {
    return attempt('the device login failed', async () => {
      try {
        const more = { ...options, additionalParameters: { resource } }
        const { device_code: code } = device
        const response = await oauth.deviceCodeGrantRequest(server, client, oauth.None(), code, more)
        return await oauth.processDeviceCodeResponse(server, client, response)
      } catch (error) {
        const code = error instanceof oauth.ResponseBodyError ? error.error : undefined
        if (code === 'slow_down' || code === 'authorization_pending') return code
        throw error
      }
    })
  }
}
