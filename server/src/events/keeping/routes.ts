import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { legalHold } from '../../facts/legal-hold.ts'
import { problems, success } from '../../http/openapi.ts'
import { stepUpRequired } from '../../identity/factors/step-up.ts'
import { permitOf } from '../../identity/factors/step-ups/demand-step-ups.ts'
import { type Guard, personOf } from '../../identity/guard.ts'
import { type AnyRefusal, invalid } from '../../platform/problem.ts'
import type { ErasureSubject } from './erasure.ts'
import type { Keeping } from './service.ts'
import type { Policy } from './store.ts'

const reason = Type.String({
  minLength: 1,
  maxLength: 1_000,
  description: 'The reason. It stays in the audit permanently, so name a case rather than a person.',
})

const retention = Type.Union([
  Type.Integer({ minimum: 184, maximum: 36_500, description: 'Days; at least six months, which have up to 184.' }),
  Type.Null({ description: 'For ever.' }),
])

const onHold = Type.Boolean({ description: 'While it is on, nothing is purged and nothing is erased.' })

const policySchema = Type.Object(
  {
    retention_days: retention,
    legal_hold: onHold,
  },
  { $id: 'AuditPolicy', title: 'AuditPolicy' },
)

const changeBody = Type.Object(
  { retention_days: Type.Optional(retention), legal_hold: Type.Optional(onHold), reason },
  { title: 'AuditPolicyChange' },
)

const erasureBody = Type.Object(
  {
    user_id: Type.Optional(
      Type.String({
        format: 'uuid',
        description:
          'In the events that this person caused, and in those about them or about the invitation that let them in.',
      }),
    ),
    request_id: Type.Optional(
      Type.String({
        format: 'uuid',
        description: 'In the events of this request, in the request itself and in its callbacks, once they are over.',
      }),
    ),
    invitation_id: Type.Optional(
      Type.String({
        format: 'uuid',
        description: 'In the events of this invitation: the address it was sent to, even if it was never used.',
      }),
    ),
    reason,
  },
  { title: 'AuditErasure' },
)

const erasureSchema = Type.Object(
  {
    erased: Type.Integer({
      description: 'The number of events that were erased now; 0 when nothing was left to erase.',
    }),
  },
  { $id: 'AuditErasureResult', title: 'AuditErasureResult' },
)

const policyJson = ({ retentionDays, legalHold }: Policy) => ({ retention_days: retentionDays, legal_hold: legalHold })

/** Retention of the audit, and erasure of personal data from it. */
export function registerKeepingRoutes(
  app: FastifyInstance,
  { keeping, guard, stillOpen }: { readonly keeping: Keeping; readonly guard: Guard; readonly stillOpen: AnyRefusal },
): void {
  app.addSchema(policySchema)
  app.addSchema(erasureSchema)
  const common = { tags: ['audit'] }
  const example = { retention_days: 730, legal_hold: false }

  app.get(
    '/events/policy',
    {
      ...guard('audit.read'),
      schema: {
        ...common,
        summary: 'How long the audit is kept',
        operationId: 'getAuditPolicy',
        response: { 200: success('The policy', Type.Ref('AuditPolicy'), example), ...problems() },
      },
    },
    async (request) => policyJson(await keeping.policy(personOf(request).principal.organizationId)),
  )

  app.patch<{ Body: Static<typeof changeBody> }>(
    '/events/policy',
    {
      ...guard('audit.manage'),
      schema: {
        ...common,
        summary: 'Change how long the audit is kept, or put it under legal hold',
        description:
          'Naming a number of days and lifting the hold need a step-up; keeping for ever and holding do not.',
        operationId: 'changeAuditPolicy',
        body: { ...changeBody, examples: [{ retention_days: 730, reason: 'Retention schedule 2026-4' }] },
        response: {
          200: success('The policy', Type.Ref('AuditPolicy'), example),
          ...problems(stepUpRequired),
        },
      },
    },
    async (request) => {
      const { retention_days: retentionDays, legal_hold: legalHold, reason: why } = request.body
      if (retentionDays === undefined && legalHold === undefined) {
        throw invalid('', 'has nothing to change: send retention_days or legal_hold')
      }
      return policyJson(
        await keeping.changePolicy(personOf(request), { retentionDays, legalHold, reason: why }, request.permit),
      )
    },
  )

  app.post<{ Body: Static<typeof erasureBody> }>(
    '/events/erasures',
    {
      ...guard('audit.manage'),
      schema: {
        ...common,
        summary: "Erase personal data from the audit permanently; the chain's proofs stay valid",
        description:
          'Free text, addresses and networks are erased. What happened, when, and under which ids, remains. ' +
          'Earlier exports still hold what was erased. Repeating the call does no harm.',
        operationId: 'eraseFromAudit',
        body: {
          ...erasureBody,
          examples: [{ user_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59', reason: 'Erasure request 2026-17' }],
        },
        response: {
          200: success('What was erased', Type.Ref('AuditErasureResult'), { erased: 12 }),
          ...problems(stepUpRequired, legalHold, stillOpen),
        },
      },
    },
    async (request) => {
      const { user_id, request_id, invitation_id, reason: why } = request.body
      const subjects = Object.entries({ user: user_id, request: request_id, invitation: invitation_id }).flatMap(
        ([kind, id]) => (id === undefined ? [] : [{ kind, id: id.toLowerCase() } as ErasureSubject]),
      )
      const [subject] = subjects
      if (subject === undefined || subjects.length > 1) {
        throw invalid('', 'must have exactly one of user_id, request_id and invitation_id')
      }
      return { erased: await keeping.erase(personOf(request), subject, why, permitOf(request)) }
    },
  )
}
