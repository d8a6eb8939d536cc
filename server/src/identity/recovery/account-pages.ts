import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

interface Page {
  readonly path: string
  readonly title: string
  readonly call: string
  readonly fields: string
  readonly button: string
  readonly done: string
}

const newPassword = `<label for="password">New password (8 to 72 bytes)</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="8" maxlength="72" required>`

const pages: readonly Page[] = [
  {
    path: '/password/forgot',
    title: 'Forgot your password?',
    call: '/api/v1/auth/password/forgot',
    fields: `<label for="email">Email</label><input id="email" name="email" type="email" autocomplete="username" required>`,
    button: 'Send me a link',
    done: 'If the address has an account, a link is on its way. Look into your mailbox.',
  },
  {
    path: '/password/reset',
    title: 'Choose a new password',
    call: '/api/v1/auth/password/reset',
    fields: newPassword,
    button: 'Use this password',
    done: 'Done. Sign in with the new password.',
  },
  {
    path: '/email/confirm',
    title: 'Confirm your address',
    call: '/api/v1/auth/email/confirm',
    // A button: programs that look into mail follow links, but they press nothing.
    fields: '',
    button: 'This address is mine',
    done: 'Done. Your address is confirmed.',
  },
]

// The token stands behind the #, which browsers never send: it is in no access log and no Referer.
const script = `
const form = document.querySelector('form'), out = document.querySelector('output')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  out.textContent = 'One moment…'
  const token = location.hash.slice(1)
  const body = { ...Object.fromEntries(new FormData(form)), ...(token === '' ? {} : { token }) }
  try {
    const answer = await fetch(form.dataset.call, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    out.textContent = answer.ok ? form.dataset.done : (await answer.json()).detail
    if (answer.ok) { form.querySelector('button').disabled = true; history.replaceState(null, '', location.pathname) }
  } catch { out.textContent = 'The service did not answer. Try again.' }
})
`
const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 12vh auto; padding: 0 1rem; color-scheme: light dark }
label { display: block; margin: 1rem 0 .25rem } input { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit }
button { margin: 1.5rem 0 1rem; padding: .6rem 1.2rem; font: inherit }
`

const hashOf = (source: string): string => `'sha256-${createHash('sha256').update(source).digest('base64')}'`
const policy =
  `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; connect-src 'self'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const htmlOf = ({ title, call, fields, button, done }: Page): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${style}</style></head>
<body><h1>${title}</h1><form data-call="${call}" data-done="${done}">${fields}
<button>${button}</button></form><output role="status"></output><script>${script}</script></body></html>
`

/** The pages that mailed links lead to, and the one where a person asks for one. */
export function registerAccountPages(app: FastifyInstance): void {
  for (const page of pages) {
    const html = htmlOf(page)
    app.get(page.path, { schema: { hide: true } }, async (_request, reply) =>
      reply.type('text/html; charset=utf-8').header('content-security-policy', policy).send(html),
    )
  }
}
