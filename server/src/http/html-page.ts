import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import { visible } from '../platform/visible-text.ts'
import { publicPath } from './public-path.ts'

/** A page of this service, until the web application takes its place. It loads nothing, from nowhere. */
export interface HtmlPage {
  readonly html: string
  /** Its Content-Security-Policy: only its very own style and script. */
  readonly policy: string
}

export interface PageParts {
  readonly title: string
  /** HTML: what others wrote in it has gone through `escaped`. */
  readonly body: string
  readonly style?: string
  /** It may call this service. */
  readonly script?: string
  /** The page will be saved as a file, so it contains its own policy and does not belong to this origin. */
  readonly isFile?: boolean
}

const shellStyle =
  'body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 12vh auto; padding: 0 1rem; color-scheme: light dark }'

const source = (text: string): string => `'sha256-${hash('sha256', text, 'base64')}'`

export function htmlPage({ title, body, style = '', script, isFile = false }: PageParts): HtmlPage {
  const wholeStyle = `${shellStyle}\n${style}`
  const scripts = script === undefined ? '' : ` script-src ${source(script)};`
  const calls = script === undefined ? '' : " connect-src 'self';"
  const policy = `default-src 'none';${scripts} style-src ${source(wholeStyle)};${calls} base-uri 'none'; form-action 'none'`
  const meta = isFile ? `\n<meta http-equiv="content-security-policy" content="${escaped(policy)}">` : ''
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">${meta}<style>${wholeStyle}</style></head>
<body>${body}${script === undefined ? '' : `<script>${script}</script>`}</body></html>
`
  // These two count in the header alone.
  return { html, policy: `${policy}; frame-ancestors 'none'${isFile ? '; sandbox' : ''}` }
}

export function sendPage(reply: FastifyReply, { html, policy }: HtmlPage): FastifyReply {
  return reply.type('text/html; charset=utf-8').header('content-security-policy', policy).send(html)
}

/** Escaping this much takes a few milliseconds, during which nobody else is served. */
const atOnce = 65_536

/** Long JSON text, escaped piece by piece. */
export async function* escapedJson(text: string): AsyncGenerator<string> {
  for (let at = 0; at < text.length; ) {
    // A character of two code units stays whole.
    const end = at + atOnce - ((text.charCodeAt(at + atOnce - 1) & 0xfc00) === 0xd800 ? 1 : 0)
    yield escaped(text.slice(at, end), 'json')
    await setImmediate()
    at = end
  }
}

/** As HTML text or attribute value, with everything invisible made visible. */
export function escaped(value: unknown, as: Parameters<typeof visible>[1] = 'line'): string {
  return visible(String(value), as)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

export interface FormParts {
  readonly title: string
  /** The path that the fields are posted to, as JSON. */
  readonly call: string
  /** The member that holds the link's token. */
  readonly token?: string
  /** HTML. */
  readonly fields: string
  readonly button: string
  /** HTML that takes the place of the form. */
  readonly done: string
}

// The token is after the #, which browsers never send, so it is in no access log and no Referer.
const formScript = `
const form = document.querySelector('form'), out = document.querySelector('output')
const button = form.querySelector('button')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  out.textContent = 'One moment…'
  button.disabled = true
  const given = [...new FormData(form), [form.dataset.token, location.hash.slice(1)]]
  const body = Object.fromEntries(given.filter(([, value]) => value !== ''))
  try {
    const reply = await fetch(form.dataset.call, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (reply.ok) {
      history.replaceState(null, '', location.pathname)
      out.replaceChildren(document.querySelector('template').content)
      return form.remove()
    }
    out.textContent = (await reply.json()).detail
  } catch { out.textContent = 'The service did not answer. Try again.' }
  button.disabled = false
})
`
const formStyle = `
body { max-width: 24rem }
label { display: block; margin: 1rem 0 .25rem } input { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit }
button { margin: 1.5rem 0 1rem; padding: .6rem 1.2rem; font: inherit }
`

/** One form that a mailed link leads to, or from which a person asks for one. */
export function formPage(parts: FormParts, publicUrl: string): HtmlPage {
  const { title, call, token = 'token', fields, button, done } = parts
  const body = `<h1>${title}</h1>
<form data-call="${escaped(publicPath(publicUrl) + call)}" data-token="${token}">${fields}
<button>${button}</button></form><output role="status"></output><template>${done}</template>`
  return htmlPage({ title, body, style: formStyle, script: formScript })
}
