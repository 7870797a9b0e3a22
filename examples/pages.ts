// The HTML of the local identity provider. Everything that comes from outside is escaped.

import type { Users } from './users.ts'

/** Text made safe for HTML content and quoted attributes. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** A whole page around a body. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 10vh auto; padding: 0 1rem }
  h1 { font-size: 1.4rem }
  button { display: block; width: 100%; text-align: left; font: inherit; padding: .8rem 1rem; margin: .6rem 0;
    border: 1px solid #8888; border-radius: .6rem; background: #8881; color: inherit; cursor: pointer }
  button:hover, button:focus { border-color: #e6a100; background: #e6a10022 }
  small { display: block; opacity: .75 }
  code { font-size: 1.1em }
  input[type=text] { font: inherit; padding: .6rem; width: 100%; box-sizing: border-box; text-transform: uppercase }
</style>
</head>
<body>
<h1>${escape(title)}</h1>
${body}
</body>
</html>
`
}

/** The login page: one button per user. Submitting it logs in and consents in one step. */
export function loginPage(users: Users, request: { action: string; client: string; scope: string; resource: string }) {
  const buttons = Object.entries(users).map(
    ([id, user]) =>
      `<button name="user" value="${escape(id)}"><strong>${escape(id)}</strong><small>${escape(user.about)}</small></button>`,
  )
  const asked = request.scope === '' ? 'nothing but who you are' : request.scope
  return page(
    'Who are you today?',
    `<p><strong>${escape(request.client)}</strong> wants to act for you${request.resource === '' ? '' : ` at <code>${escape(request.resource)}</code>`}.
<small>It asks for: ${escape(asked)}</small></p>
<form method="post" action="${escape(request.action)}">
${buttons.join('\n')}
</form>`,
  )
}

/** The page that asks for the code of a device login. `form` comes from the provider and is complete but for its button. */
export function deviceCodePage(form: string, problem: string | undefined): string {
  return page(
    'Enter the code your device shows',
    `${problem === undefined ? '' : `<p>${escape(problem)}</p>`}
${form}
<button form="op.deviceInputForm">Continue</button>`,
  )
}

/** The page that lets a person compare the code before logging in. */
export function deviceConfirmPage(form: string, client: string, code: string): string {
  return page(
    'Is this your device?',
    `<p><strong>${escape(client)}</strong> shows the code <code>${escape(code)}</code>. Continue only when it is the same.</p>
${form}
<button form="op.deviceConfirmForm">Yes, continue</button>`,
  )
}
