// What `/` says: what this is and how to connect, as text that a person reads in a terminal and in a browser alike.

/** The page for an edge that is reached at `url`, without a trailing slash. */
export function welcome(url: string): string {
  return `Waggle: one MCP endpoint for every cluster and every SaaS.

Connect your agent to
  ${url}/mcp                        everything you may use
  ${url}/<namespace>/<name>/mcp     one virtual server

Claude Code
  claude mcp add --transport http waggle ${url}/mcp

Cursor (~/.cursor/mcp.json)
  { "mcpServers": { "waggle": { "url": "${url}/mcp" } } }

VS Code
  code --add-mcp '{"name":"waggle","type":"http","url":"${url}/mcp"}'

MCP Inspector
  npx @modelcontextprotocol/inspector          then choose "Streamable HTTP" and ${url}/mcp

Your client opens a browser for the login on its own. Admins: waggle login --edge ${url}
`
}
