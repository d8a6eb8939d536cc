import type { FastifyInstance } from 'fastify'
import { Problem } from '../platform/problem.ts'
import type { Instruments } from './instruments.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']
const classes = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const

/** Counts every call of the web server: by its route, so that made-up addresses are one series. */
export function countCalls(http: FastifyInstance, { calls, callDuration, problems }: Instruments): void {
  const handlesOf = (route: string, method: string) => {
    // The first failure of a route shows as an increase.
    calls.inc({ route, method, status: '5xx' }, 0)
    return classes.map((status) => ({
      count: calls.labels(route, method, status),
      duration: callDuration.labels(route, method, status),
    }))
  }
  type Handles = ReturnType<typeof handlesOf>
  // Made once for each route and method: no object is made for a call.
  const handles = new Map<string, Map<string, Handles>>()
  http.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none'
    const method = methods.includes(request.method) ? request.method : 'other'
    const byMethod = handles.get(route) ?? new Map<string, Handles>()
    const known = byMethod.get(method) ?? handlesOf(route, method)
    if (byMethod.size === 0) handles.set(route, byMethod)
    byMethod.set(method, known)
    const handle = known[Math.trunc(reply.statusCode / 100) - 1]
    handle?.count.inc()
    handle?.duration.observe(reply.elapsedTime / 1_000)
    done()
  })
  http.addHook('onError', (_request, _reply, error, done) => {
    problems.inc({ code: error instanceof Problem ? error.code : 'other' })
    done()
  })
}
