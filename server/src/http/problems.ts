import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { outageOf, tookTooLong } from '../platform/database/errors.ts'
import { Problem } from '../platform/problem.ts'
import {
  badRequest,
  bearerChallenge,
  bodyTooLarge,
  failed,
  mediaType,
  methodNotAllowed,
  notFound,
  tokenChallenge,
} from './refusals.ts'

/** The wire form of a refusal: RFC 9457 problem+json. `request_id` is in the log too. */
export function problemBody(problem: Problem, requestId: string): Record<string, unknown> {
  return {
    type: 'about:blank',
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    code: problem.code,
    detail: problem.message,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
    ...problem.extra,
    request_id: requestId,
  }
}

/** Headers that a route may have set for the reply that it did not come to send. */
const ofAnotherReply = [
  'etag',
  'location',
  'content-disposition',
  'content-range',
  'accept-ranges',
  'idempotency-replayed',
]

export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
  for (const name of ofAnotherReply) reply.removeHeader(name)
  return reply
    .status(problem.status)
    .headers(headersFor(request, problem))
    .header('x-request-id', request.id)
    .type('application/problem+json')
    .send(JSON.stringify(problemBody(problem, request.id)))
}

/** RFC 6750, 3.1: a call that sent no credentials is not told what is wrong with them. */
function headersFor({ headers }: FastifyRequest, { status, headers: said }: Problem): Problem['headers'] {
  if (status !== 401 || headers.authorization !== undefined) return said
  return said['www-authenticate'] === tokenChallenge['www-authenticate'] ? { ...said, ...bearerChallenge } : said
}

/** Everything that is thrown ends here: problems are sent as they are, the framework's errors translated, the rest becomes 500. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    return sendProblem(request, reply, problemOf(error, request))
  })
  // The router returns 404 for a known path with another method; RFC 9110, 15.5.6 requires 405 and Allow.
  const routes: { readonly url: string; readonly pattern: RegExp; readonly methods: readonly string[] }[] = []
  const literal = new Set<string>()
  app.addHook('onRoute', ({ url, method }) => {
    // The CORS preflight route matches every path, so it does not make a path known.
    if (url === '*') return
    const source = url
      .replace(/[.\\+?^$()[\]{}|]/g, '\\$&')
      .replace(/:\w+/g, '[^/]+')
      .replaceAll('*', '.*')
    routes.push({ url, pattern: new RegExp(`^${source}/?$`), methods: [method].flat() })
    if (!/[:*]/.test(url)) literal.add(url)
  })
  const pathOf = ({ url }: FastifyRequest): string => (url.split('?', 1)[0] ?? '/').replace(/(?<=.)\/$/, '')
  // With a method that only `/passkeys/:id` has, the router takes `/passkeys/options` for the passkey of that id.
  app.addHook('onRequest', (request, _reply, done) => {
    const { url = '' } = request.routeOptions
    const path = url.includes(':') ? pathOf(request) : ''
    if (!literal.has(path)) return done()
    const own = routes.filter((route) => route.url === path).flatMap((route) => route.methods)
    done(methodNotAllowed(request.method, own.join(', ')))
  })
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request)
    const fitting = routes.filter((route) => (literal.has(path) ? route.url === path : route.pattern.test(path)))
    const allow = [...new Set(fitting.flatMap((route) => route.methods))].join(', ')
    const isKnown = allow !== '' && !allow.split(', ').includes(request.method)
    return sendProblem(request, reply, isKnown ? methodNotAllowed(request.method, allow) : notFound())
  })
}

/** The problem that the caller receives for an error. Causes of the service's own failures are logged, and not sent. */
export function problemOf(error: unknown, request: FastifyRequest): Problem {
  const problem = toProblem(error as FastifyError, request)
  // What the database's watch says in one line is not said for each call; every call has its own line anyway.
  if (problem.status >= 500 && outageOf(problem) === null && !tookTooLong(problem)) {
    const level = problem.status === 503 ? 'warn' : 'error'
    request.log[level]({ err: problem.cause ?? error }, problem.message)
  }
  return problem
}

function toProblem(error: FastifyError, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  const status = error.statusCode ?? 500
  if (status === 413) return bodyTooLarge(request.routeOptions.bodyLimit)
  if (status === 415) return mediaType()
  return status >= 400 && status < 500 ? badRequest(`The request could not be read: ${error.message}`) : failed(error)
}
