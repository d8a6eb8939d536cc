import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../../platform/problem.ts'

const style =
  'body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 12vh auto; padding: 0 1rem; color-scheme: light dark }'
const policy =
  `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => escapes[char] ?? char)

/**
 * These addresses are opened by browsers, where a person reads the answer: to them a refusal is a page, to programs
 * problem+json as everywhere. What is not a refusal of ours is left to the error handler.
 */
export async function refusingInWords(
  request: FastifyRequest,
  reply: FastifyReply,
  work: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  try {
    return await work()
  } catch (error) {
    const isPage = /^text\/html\b/i.test(request.headers.accept ?? '')
    if (!(error instanceof Problem) || !isPage) throw error
    const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign-in did not work</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${style}</style></head>
<body><h1>Sign-in did not work</h1><p>${escaped(error.message)}</p>
<p><small>${escaped(error.code)} · ${escaped(request.id)}</small></p></body></html>
`
    return reply
      .status(error.status)
      .headers(error.headers)
      .header('content-security-policy', policy)
      .type('text/html; charset=utf-8')
      .send(html)
  }
}

/** For the `response` of such a route: its refusals come as problem+json or as a page. */
export function alsoAsPages(refusals: Record<string, unknown>): Record<string, unknown> {
  const page = { 'text/html': { schema: { type: 'string' } } }
  return Object.fromEntries(
    Object.entries(refusals).map(([status, refusal]) => {
      const { content, ...rest } = refusal as { readonly content: object }
      return [status, { ...rest, content: { ...content, ...page } }]
    }),
  )
}
