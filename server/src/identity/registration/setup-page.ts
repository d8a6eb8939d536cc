import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

// The token stands behind the #, which browsers never send: it is in no access log and no Referer.
const script = `
const form = document.querySelector('form'), out = document.querySelector('output')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const field = (name) => form.elements[name].value
  out.textContent = 'One moment…'
  try {
    const answer = await fetch('/api/v1/auth/register', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: field('email'), password: field('password'), name: field('name') || null,
        invitation: location.hash.slice(1) || undefined }),
    })
    const body = await answer.json()
    out.textContent = answer.ok ? 'Done. You can sign in at /docs as ' + body.email + '.' : body.detail
    if (answer.ok) { form.querySelector('button').disabled = true; history.replaceState(null, '', '/setup') }
  } catch { out.textContent = 'The service did not answer. Try again.' }
})
`
const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 12vh auto; padding: 0 1rem; color-scheme: light dark }
label { display: block; margin: 1rem 0 .25rem } input { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit }
button { margin: 1.5rem 0 1rem; padding: .6rem 1.2rem; font: inherit }
`
const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Set up your account</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${style}</style></head>
<body><h1>Set up your account</h1>
<form><label for="email">Email</label><input id="email" name="email" type="email" autocomplete="username" required>
<label for="name">Name</label><input id="name" name="name" autocomplete="name" maxlength="255">
<label for="password">Password (8 to 72 bytes)</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="8" maxlength="72" required>
<button>Create account</button></form><output role="status"></output><script>${script}</script></body></html>
`

const hashOf = (source: string): string => `'sha256-${createHash('sha256').update(source).digest('base64')}'`
const policy =
  `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; connect-src 'self'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** `/setup#<token>`: where the first admin, or an invited person, makes an account. */
export function registerSetupPage(app: FastifyInstance): void {
  app.get('/setup', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', policy).send(page),
  )
}
