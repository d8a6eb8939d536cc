import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { Authenticator } from './authenticate.ts'
import { type Agent, actorOf, type Caller, type Person, type Principal, type Right, requireRight } from './principal.ts'

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null
  }
}

/** What a route that needs a right puts first: authentication before the body is even read. */
export type Guard = (right: Right) => { readonly onRequest: onRequestAsyncHookHandler }

export function createGuard(app: FastifyInstance, authenticator: Authenticator): Guard {
  app.decorateRequest('principal', null)
  return (right) => ({
    onRequest: async (request) => {
      const principal = await authenticator.authenticate(request.headers.authorization)
      // Before the right is judged: the log names the one who was refused too.
      request.actor = actorOf(principal)
      requireRight(principal, right)
      request.principal = principal
    },
  })
}

export function callerOf(request: FastifyRequest): Caller {
  if (request.principal === null) throw new Error('this route has no guard')
  return { principal: request.principal, httpRequestId: request.id }
}

/** For routes whose right only people have. */
export function personOf(request: FastifyRequest): Caller<Person> {
  const { principal, httpRequestId } = callerOf(request)
  if (principal.kind !== 'person') throw new Error('this right is for people only')
  return { principal, httpRequestId }
}

/** For routes whose right only agents have. */
export function agentOf(request: FastifyRequest): Caller<Agent> {
  const { principal, httpRequestId } = callerOf(request)
  if (principal.kind !== 'agent') throw new Error('this right is for agents only')
  return { principal, httpRequestId }
}
