import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import { visible } from '../platform/visible-text.ts'

/** A page that stands by itself: a file to keep, or an answer where the web application cannot be. It loads nothing, from nowhere. */
export interface HtmlPage {
  readonly html: string
  /** Its Content-Security-Policy: only its very own style. */
  readonly policy: string
}

export interface PageParts {
  readonly title: string
  /** HTML: what others wrote in it has gone through `escaped`. */
  readonly body: string
  readonly style?: string
  /** The page will be saved as a file, so it contains its own policy and does not belong to this origin. */
  readonly isFile?: boolean
}

/** The colours of the inbox (web/src/design/theme.css). */
const shellStyle = `:root { color-scheme: light dark; --ink: #1c1b19; --ground: #fff; --accent: #3b5bdb; --on-accent: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #ecebe8; --ground: #181817; --accent: #8aa2ff; --on-accent: #10131f } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 12vh auto; padding: 0 1rem; color: var(--ink); background: var(--ground) }
a { color: var(--accent) }
a[role=button] { display: inline-block; padding: .5rem 1rem; border-radius: 7px; font-weight: 500; text-decoration: none; color: var(--on-accent); background: var(--accent) }`

const source = (text: string): string => `'sha256-${hash('sha256', text, 'base64')}'`

export function htmlPage({ title, body, style = '', isFile = false }: PageParts): HtmlPage {
  const wholeStyle = `${shellStyle}\n${style}`
  const policy = `default-src 'none'; style-src ${source(wholeStyle)}; base-uri 'none'; form-action 'none'`
  const meta = isFile ? `\n<meta http-equiv="content-security-policy" content="${escaped(policy)}">` : ''
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">${meta}<style>${wholeStyle}</style></head>
<body>${body}</body></html>
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
