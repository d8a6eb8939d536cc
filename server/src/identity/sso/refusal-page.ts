import type { FastifyReply, FastifyRequest } from 'fastify'
import { escaped, htmlPage, sendPage } from '../../http/html-page.ts'
import { Problem } from '../../platform/problem.ts'

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
    const title = 'Sign-in did not work'
    const body = `<h1>${title}</h1><p>${escaped(error.message)}</p>
<p><small>${escaped(error.code)} · ${escaped(request.id)}</small></p>`
    return sendPage(reply.status(error.status).headers(error.headers), htmlPage({ title, body }))
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
