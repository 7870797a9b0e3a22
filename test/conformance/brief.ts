// What the driver is told by whoever started the suite: the suite hands its environment down to the driver.

/** Which edge to use, and under which name the scripted server is known there. */
export interface Brief {
  /** Origin of a running edge. */
  readonly edge: string
  /** Of the server and of the virtual server in namespace `test` that has nothing else. */
  readonly name: string
  /** For the endpoint of the virtual server. */
  readonly token: string
  readonly adminToken: string
}

const variable = 'CONFORMANCE_DRIVER_BRIEF'

/** The environment that carries a brief. */
export function writeBrief(brief: Brief): Record<string, string> {
  return { [variable]: JSON.stringify(brief) }
}

/** Reads it back; throws when nobody wrote one. */
export function readBrief(env: NodeJS.ProcessEnv): Brief {
  const written = env[variable]
  if (written === undefined)
    throw new Error(`${variable} is not set: run the suite through test/conformance/upstream.ts`)
  return JSON.parse(written) as Brief
}
