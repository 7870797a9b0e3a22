// What `npm start` prints once everything runs: where the edge is, who can log in, how to connect each client.

import type { Users } from './users.ts'
import type { World } from './world.ts'

/** The page. `demoCommand` is what shows a scripted client at work. */
export function welcome(
  world: Pick<World, 'url' | 'endpoint' | 'issuer' | 'servers'>,
  users: Users,
  demoCommand: string,
) {
  const { url, endpoint } = world
  const configuration = JSON.stringify({ mcpServers: { waggle: { url: endpoint } } })
  const vscode = JSON.stringify({ name: 'waggle', type: 'http', url: endpoint })
  return `
  Waggle is running. Ctrl-C ends everything.

  One endpoint     ${endpoint}
     also          ${url}/mcp                      everything you may use
                   ${url}/demo/everything/mcp      one server by itself

  One login        ${world.issuer}   (your client opens it; one click, no password)
${Object.entries(users)
  .map(([id, user]) => `     ${id.padEnd(14)}${user.about}`)
  .join('\n')}

  Behind it
${world.servers.map((server) => `     ${server.name.padEnd(14)}${server.about}`).join('\n')}

  Connect
     Claude Code   claude mcp add --transport http waggle ${endpoint}
                   then type /mcp in Claude Code and log in
     Cursor        put this into ~/.cursor/mcp.json
                   ${configuration}
     VS Code       code --add-mcp '${vscode}'
     Inspector     npx @modelcontextprotocol/inspector --web --transport http --server-url ${endpoint}

  See it work      ${demoCommand}   (in a second terminal)

  Calls appear here:
`
}
