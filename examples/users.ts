// The demo users and what each may do. Their rights are made to differ: every policy in examples/edge shows on one of them.

export interface DemoUser {
  readonly name: string
  /** One line for the login page and the start page. */
  readonly about: string
  readonly groups: readonly string[]
  /** Scopes this user can be granted for a resource; a request for more is narrowed, not failed. */
  readonly scopes: readonly string[]
}

/** Subject (also the login name) to user. */
export type Users = Readonly<Record<string, DemoUser>>

export const demoUsers: Users = {
  ada: {
    name: 'Ada Admin',
    about: 'platform admin: sees everything, may change the edge',
    groups: ['platform-admins', 'engineers'],
    scopes: ['mcp:read', 'mcp:write', 'waggle:admin'],
  },
  ben: {
    name: 'Ben Builder',
    about: 'engineer: the incident board and the everyday tools',
    groups: ['engineers'],
    scopes: ['mcp:read', 'mcp:write'],
  },
  cleo: {
    name: 'Cleo Care',
    about: 'support: may look at incidents, little else',
    groups: ['support'],
    scopes: ['mcp:read', 'mcp:write'],
  },
}
