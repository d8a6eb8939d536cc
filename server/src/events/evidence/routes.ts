import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idOf, idParams, problems } from '../../http/openapi.ts'
import { headersNamed } from '../../http/openapi-headers.ts'
import { type Guard, personOf } from '../../identity/guard.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/database/db.ts'
import type { AnyRefusal } from '../../platform/problem.ts'
import type { RecordAct } from '../act.ts'
import type { EarlierRevisions, Members } from './checks.ts'
import { evidencePage } from './page.ts'
import { type Evidence, type EvidenceName, evidenceChecks, evidenceJson, idsIn } from './service.ts'
import { provenErasures, provenEvents } from './store.ts'

/** What other modules contribute about a request. Each throws 404 when the principal may not see it. */
export interface EvidenceSources {
  /** The request and the certificate of its decision. */
  readonly request: (
    principal: Principal,
    id: string,
  ) => Promise<{
    /** As its route shows it. */
    readonly json: string
    /** The same without what may be large. */
    readonly outline: string
    /** JSON: what was asked beside title and description, and what the answer says beside decision and comment, if anything. */
    readonly context: string
    readonly values: string | null
    /** Of what was asked, computed from it as it is now. */
    readonly digest: string
    readonly answered: Members | null
    readonly certificate: string | null
    readonly earlier: EarlierRevisions
  }>
  /** The attempts to deliver its callback, as the API shows them. */
  readonly deliveries: (principal: Principal, id: string) => Promise<readonly unknown[]>
  /** The public keys of certificates and of the audit, leaked ones too. */
  readonly keys: () => Promise<readonly unknown[]>
  /** What people call the persons, agents and keys with these ids. */
  readonly names: (organizationId: string, ids: readonly string[]) => Promise<readonly EvidenceName[]>
}

export interface EvidenceRoutes {
  readonly db: Db
  readonly clock: Clock
  readonly guard: Guard
  readonly record: RecordAct
  readonly sources: EvidenceSources
  readonly requestNotFound: AnyRefusal
  /** Seals the latest events of the organization, so that they have a proof too. */
  readonly sealOne: (organizationId: string) => Promise<boolean>
}

const query = Type.Object({
  format: Type.Optional(Type.Enum(['json', 'html'], { default: 'json', description: 'Data, or a page to read.' })),
})

const evidenceExample = {
  hitl_evidence: 1,
  organization_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a51',
  request_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a58',
  generated_at: '2026-01-31T09:00:00.000Z',
  checks: [{ check: 'digest', result: 'holds', detail: 'The digest follows from what was asked.' }],
  names: [],
  request: {},
  certificate: null,
  revisions: [],
  revisions_left_out: 0,
  deliveries: [],
  events_total: 0,
  events_left_out: 0,
  events: [],
  erasures: [],
  seals: [],
  keys: { keys: [] },
}

/** This many first and last events: far more than a request collects. The pack is one reply, and states what it leaves out. */
const eachEnd = 500

export function registerEvidenceRoutes(app: FastifyInstance, routes: EvidenceRoutes): void {
  const { db, clock, guard, record, sources, requestNotFound, sealOne } = routes

  app.get<{ Params: { id: string }; Querystring: Static<typeof query> }>(
    '/requests/:id/evidence',
    {
      ...guard('audit.export'),
      schema: {
        tags: ['audit'],
        summary: 'The evidence pack of one request, as JSON or as a self-contained page',
        description:
          'The request, what it asked before it was revised, its events with proofs that they were sealed, the heads of their seals, the keys, the certificate ' +
          'of the decision, the deliveries, the names of who took part, and in `checks` whether all of it agrees. Of more than 1 000 events the middle ones are left out, and events_left_out counts ' +
          'them. docs/audit.md explains how to check it without this service.',
        operationId: 'getEvidence',
        params: idParams,
        querystring: query,
        response: {
          200: {
            description: 'The pack',
            headers: headersNamed('Content-Disposition'),
            content: {
              'application/json': {
                schema: Type.Object({}, { additionalProperties: true, title: 'Evidence' }),
                example: evidenceExample,
              },
              'text/html': { schema: Type.String() },
            },
          },
          ...problems(requestNotFound),
        },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { organizationId } = by.principal
      const id = idOf(request)
      const { json, outline, context, values, digest, answered, certificate, earlier } = await sources.request(
        by.principal,
        id,
      )
      const about = JSON.parse(outline) as Members
      const format = request.query.format === 'html' ? 'html' : 'json'
      // Neither proven nor noted as taken.
      if (request.method === 'HEAD') return reply.type(format === 'json' ? 'application/json' : 'text/html').send()
      await record(by, { kind: 'audit.evidence_taken', after: { format }, subject: { kind: 'request', id } })
      await sealOne(organizationId).catch(() => false)
      const rows = db.within({ organizationId })
      const { events, total } = await provenEvents(rows, organizationId, id, eachEnd)
      const ids = idsIn(about, events)
      const isErased = events.some(
        ({ record, erasable }) => erasable === null && record.includes('"erasable_sha256":"'),
      )
      const found = {
        organizationId,
        requestId: id,
        generatedAt: clock.now(),
        request: json,
        about,
        context,
        values,
        digest,
        answered,
        certificate,
        earlier,
        deliveries: JSON.stringify(await sources.deliveries(by.principal, id)),
        events,
        eventsTotal: total,
        erasures: isErased ? await provenErasures(rows, organizationId, [id, ...ids]) : [],
        names: await sources.names(organizationId, ids),
        keys: JSON.stringify(await sources.keys()),
      }
      const evidence: Evidence = { ...found, checks: evidenceChecks(found) }
      reply.header('content-disposition', `attachment; filename="evidence-${id}.${format}"`)
      const pack = evidenceJson(evidence)
      if (format === 'json') return reply.type('application/json; charset=utf-8').send(pack)
      reply.weigh(2 * pack.length)
      const { policy, pieces } = evidencePage(evidence, pack)
      return reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', policy)
        .send(Readable.from(pieces, { objectMode: false }))
    },
  )
}
