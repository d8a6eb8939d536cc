import type { FastifyReply, FastifyRequest } from 'fastify'
import { escaped, htmlPage, sendPage } from '../../http/html-page.ts'
import { problems } from '../../http/openapi.ts'
import { headersNamed } from '../../http/openapi-headers.ts'
import { type AnyRefusal, invalidFields, Problem } from '../../platform/problem.ts'

/**
 * These addresses are opened by browsers, where a person reads the answer: to them a refusal is a page, to programs
 * problem+json as everywhere. What is not a refusal of ours is left to the service's error handler.
 */
export function refuseInWords(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const isPage = /^text\/html\b/i.test(request.headers.accept ?? '')
  if (!(error instanceof Problem) || !isPage) throw error
  const title = 'Sign-in did not work'
  const body = `<h1>${title}</h1><p>${escaped(error.message)}</p>
<p><small>${escaped(error.code)} · ${escaped(request.id)}</small></p>`
  sendPage(reply.status(error.status).headers(error.headers), htmlPage({ title, body }))
}

/** Asks before a sign-in that this person may not have wanted; `href` goes on with it. */
export function sendQuestion(reply: FastifyReply, href: string): FastifyReply {
  const title = 'Sign in through an identity provider?'
  const body = `<h1>${title}</h1>
<p>You came here from another page, or somebody is signed in already. If you go on, an organization's identity provider signs
you in, and this browser is signed out of the account that it uses now.</p>
<p>If you did not want to sign in, close this page.</p>
<p><a role="button" href="${escaped(href)}">Sign in</a></p>`
  return sendPage(reply, htmlPage({ title, body }))
}

/**
 * Has the browser come again from a page of this service: coming from the provider, it leaves out the cookie of the session,
 * so that nobody could be asked before the session is replaced.
 */
export function sendAgain(reply: FastifyReply, href: string): FastifyReply {
  const title = 'One moment'
  const body = `<h1>${title}</h1><p><a href="${escaped(href)}">Go on</a></p>`
  return sendPage(reply.header('refresh', `0; url=${href}`), htmlPage({ title, body }))
}

/** For the `response` of such a route: its refusals come as problem+json or as a page, that of wrong input too. */
export function alsoAsPages(...own: readonly AnyRefusal[]): Record<string, unknown> {
  const refusals = problems(...own, invalidFields)
  const page = { 'text/html': { schema: { type: 'string' } } }
  return Object.fromEntries(
    Object.entries(refusals).map(([status, refusal]) => {
      const { content, ...rest } = refusal as { readonly content: object }
      return [status, { ...rest, content: { ...content, ...page } }]
    }),
  )
}

/** A page that a person goes on from. */
export const questionPage = {
  200: {
    description: 'A page that asks whether to go on, or that comes here again',
    headers: headersNamed('Set-Cookie'),
    content: { 'text/html': { schema: { type: 'string' } } },
  },
}
