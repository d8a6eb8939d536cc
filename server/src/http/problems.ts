import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { outageOf } from '../platform/database/errors.ts'
import { Problem, refusal } from '../platform/problem.ts'
import { badRequest, bodyTooLarge, failed, mediaType, notFound } from './refusals.ts'

const methodNotAllowed = refusal(
  405,
  'http.method_not_allowed',
  (method: string, allow: string) => ({
    detail: `${method} is not possible here, only ${allow}.`,
    headers: { allow },
  }),
  'PUT',
  'GET, HEAD',
)

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

export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .status(problem.status)
    .headers(problem.headers)
    .header('x-request-id', request.id)
    .type('application/problem+json')
    .send(JSON.stringify(problemBody(problem, request.id)))
}

/** Everything that is thrown ends here: problems are sent as they are, the framework's errors translated, the rest becomes 500. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error, request)
    // An outage of the database is one line of its watch, and not one for each call; every call has its own line anyway.
    if (problem.status >= 500 && outageOf(problem) === null) {
      const level = problem.status === 503 ? 'warn' : 'error'
      request.log[level]({ err: problem.cause ?? error }, problem.message)
    }
    return sendProblem(request, reply, problem)
  })
  // The router returns 404 for a known path with another method; RFC 9110, 15.5.6 requires 405 and Allow.
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    // The CORS preflight route matches every path, so it does not make a path known.
    if (url === '*') return
    const source = url
      .replace(/[.\\+?^$()[\]{}|]/g, '\\$&')
      .replace(/:[A-Za-z]+/g, '[^/]+')
      .replaceAll('*', '.*')
    routes.push({ pattern: new RegExp(`^${source}/?$`), methods: [method].flat() })
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '/'
    const fitting = routes.filter((route) => route.pattern.test(path))
    const allow = [...new Set(fitting.flatMap((route) => route.methods))].join(', ')
    const isKnown = allow !== '' && !allow.split(', ').includes(request.method)
    return sendProblem(request, reply, isKnown ? methodNotAllowed(request.method, allow) : notFound())
  })
}

function toProblem(error: FastifyError, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  const status = error.statusCode ?? 500
  if (status === 413) return bodyTooLarge(request.routeOptions.bodyLimit)
  if (status === 415) return mediaType()
  return status >= 400 && status < 500 ? badRequest(`The request could not be read: ${error.message}`) : failed(error)
}
