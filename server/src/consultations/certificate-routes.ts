import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../http/idempotency.ts'
import { idParams, problems, success } from '../http/openapi.ts'
import { agentOf, callerOf, type Guard } from '../identity/guard.ts'
import type { Clock } from '../platform/clock.ts'
import { certificateContradicts, notDecided } from './certificate.ts'
import * as schemas from './certificate-schemas.ts'
import { notFound, questionChanged } from './consultation.ts'
import * as redemption from './redemption.ts'
import { requestJson } from './representation.ts'
import { requestExample } from './schemas.ts'
import type { Consultations } from './service.ts'

export interface CertificateRoutes {
  readonly consultations: Consultations
  readonly guard: Guard
  readonly clock: Clock
}

const unproven = [redemption.certificateRevoked, certificateContradicts, questionChanged] as const
const refusals = [
  redemption.notApproved,
  redemption.alreadyRedeemed,
  redemption.approvalExpired,
  redemption.erased,
  ...unproven,
] as const

/** Register these after the routes of requests, whose schemas they use. */
export function registerCertificateRoutes(app: FastifyInstance, routes: CertificateRoutes): void {
  const { consultations, guard, clock } = routes
  const redeeming = guard('request.redeem')
  app.addSchema(schemas.certificateSchema)

  app.get<{ Params: { id: string } }>(
    '/requests/:id/certificate',
    {
      ...guard('request.read'),
      schema: {
        tags: ['requests'],
        summary: 'The signed certificate of the decision',
        description:
          'Verify it with the keys at `/.well-known/jwks.json`. To use it, once, call `POST /requests/{id}/redeem`.',
        operationId: 'getCertificate',
        params: idParams,
        response: {
          200: success('The certificate', Type.Ref('Certificate'), schemas.certificateExample),
          ...problems(notFound, notDecided, ...unproven),
        },
      },
    },
    async (request) => {
      const found = await consultations.decided(callerOf(request), request.params.id)
      return {
        request_id: found.id,
        certificate: found.certificate,
        digest: found.digest,
        decision: found.response?.decision,
        revision: found.revision,
        expires_at: found.certificateExpiresAt,
        redeemed_at: found.redeemedAt,
      }
    },
  )

  app.post<{ Params: { id: string }; Body: Static<typeof schemas.redeemBody> }>(
    '/requests/:id/redeem',
    {
      ...redeeming,
      config: { ...redeeming.config, usesApproval: true },
      schema: {
        tags: ['requests'],
        summary: 'Use an approval: exactly once, before it expires',
        description:
          'Of any number of calls one succeeds; a caller that gets no reply repeats the call with the ' +
          'same Idempotency-Key, or must assume that the approval was used. ' +
          'Only approvals can be used; with `digest`, only for exactly what was approved.',
        operationId: 'redeem',
        headers: idempotencyHeaders,
        params: idParams,
        body: { ...schemas.redeemBody, examples: [{ digest: schemas.digestExample }] },
        response: {
          200: success('The request; its approval is used', Type.Ref('Request'), requestExample),
          ...problems(notFound, ...refusals, redemption.digestDiffers, redemption.supersededRevision),
        },
      },
    },
    async (request, reply) => {
      const by = agentOf(request)
      const used = await consultations.redeem(
        by,
        request.params.id,
        request.body.digest ?? null,
        idempotencyOf(request, 'redeem'),
      )
      if (used.isRepeated === true) reply.header('idempotency-replayed', 'true')
      const text = requestJson(used, by.principal, clock.now())
      return reply.type('application/json; charset=utf-8').send(text)
    },
  )
}
