import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { callerOf } from '../guard.ts'
import type { KeptReplies } from './service.ts'
import type { Claim } from './store.ts'
import { unrepeatableActs } from './unrepeatable-acts.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null unless this call's reply is to be kept. */
    claim: Claim | null
  }
}

/**
 * Gives Idempotency-Key to every POST among the routes that are added later, except those in `unrepeatable-acts.ts` and those
 * that read the key themselves. To be called after `demandStepUps`: a repetition needs no step-up of its own, but the token of
 * the first call.
 */
export function keepReplies(app: FastifyInstance, replies: KeptReplies): void {
  app.decorateRequest('claim', null)
  app.addHook('onRoute', (route) => {
    const { method, schema, config } = route
    const operation = schema?.operationId
    if (schema === undefined || operation === undefined || method !== 'POST') return
    const { properties } = (schema.headers ?? {}) as Partial<typeof idempotencyHeaders>
    if (properties?.['idempotency-key'] !== undefined || operation in unrepeatableActs) return
    if (config?.access === undefined) {
      throw new Error(
        `${operation} has no guard, so nobody's key can be told from another's: give a reason in unrepeatable-acts.ts`,
      )
    }
    schema.headers = Type.Object({ ...properties, ...idempotencyHeaders.properties })
    config.keepsReply = true
    route.preHandler = [repeatOrClaim(replies), ...[route.preHandler ?? []].flat()]
    route.onSend = [endClaim(replies), ...[route.onSend ?? []].flat()]
  })
}

const repeatOrClaim = (replies: KeptReplies) => async (request: FastifyRequest, reply: FastifyReply) => {
  const stepUp = request.headers['x-step-up']
  const idempotency = idempotencyOf(request, typeof stepUp === 'string' ? stepUp : '')
  if (idempotency === null) return undefined
  const { principal } = callerOf(request)
  const callerId = principal.kind === 'agent' ? principal.agentId : principal.userId
  const call = { organizationId: principal.organizationId, callerId, path: pathOf(request) }
  const begun = await replies.begin(call, idempotency)
  if ('claim' in begun) {
    request.claim = begun.claim
    return undefined
  }
  const { status, type, body } = begun.reply
  reply.status(status).header('idempotency-replayed', 'true')
  if (type !== null) reply.header('content-type', type)
  return reply.send(body ?? undefined)
}

/** Ids are not case-sensitive. */
const pathOf = ({ url }: FastifyRequest): string => (url.split('?', 1)[0] ?? '').replace(/\/$/, '').toLowerCase()

const endClaim =
  (replies: KeptReplies) =>
  async (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> => {
    const { claim } = request
    if (claim === null) return payload
    request.claim = null
    const type = reply.getHeader('content-type')
    const sent = {
      status: reply.statusCode,
      type: typeof type === 'string' ? type : null,
      // A large one is bytes by now (http/bytes-under-way.ts).
      body: typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.toString() : null,
    }
    // The act is done, or refused: its caller must hear that, even if a repetition would not.
    await replies.end(claim, sent).catch((error: unknown) => {
      request.log.error({ err: error }, 'the reply was not kept for repetitions of its call')
    })
    return payload
  }
