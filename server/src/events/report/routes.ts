import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { toInstant } from '../../http/instant.ts'
import { problems } from '../../http/openapi.ts'
import { headersNamed } from '../../http/openapi-headers.ts'
import { type Guard, personOf } from '../../identity/guard.ts'
import type { Clock } from '../../platform/clock.ts'
import { invalid, refusal } from '../../platform/problem.ts'
import type { RecordAct } from '../act.ts'
import { atOnce, createPlaces, ofOneOrganization } from '../places.ts'
import { reportPage } from './page.ts'
import { type Period, type ReportDependencies, reportJson, reportOf } from './service.ts'

export interface ReportRoutes extends ReportDependencies {
  readonly clock: Clock
  readonly guard: Guard
  readonly record: RecordAct
  /** Seals the latest events of the organization, so that the report names their seals. */
  readonly sealOne: (organizationId: string) => Promise<boolean>
}

const query = Type.Object({
  since: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; by default 30 days before `until`.' })),
  until: Type.Optional(
    Type.String({ maxLength: 40, description: 'RFC 3339; events before this time. By default, now.' }),
  ),
  format: Type.Optional(Type.Enum(['json', 'html'], { default: 'json', description: 'Data, or a page to read.' })),
})

const day = 86_400_000
const longestDays = 366

const tooManyReports = refusal(429, 'audit.too_many_reports', {
  detail: `A process makes at most ${ofOneOrganization} reports of an organization at a time, and ${atOnce} in all. Try again when one of them is done.`,
  headers: { 'retry-after': '5' },
})

const example = {
  hitl_compliance_report: 1,
  organization_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a51',
  since: '2026-01-01T00:00:00.000Z',
  until: '2026-02-01T00:00:00.000Z',
  covered_until: '2026-02-01T00:00:00.000Z',
  generated_at: '2026-02-01T09:00:00.000Z',
  events: 0,
  events_left_out: 0,
  mismatched_columns: 0,
  requests: { created: 0, revised: 0, responded: 0, timed_out: 0, cancelled: 0, redeemed: 0, completed: 0 },
  decisions: {
    total: 0,
    by_decision: {},
    by_assurance: {},
    seconds: { median: null, p90: null, longest: null },
    of_unknown_age: 0,
    listed: [],
    left_out: 0,
  },
  people: [],
  exceptions: { counts: {}, listed: [], left_out: 0 },
  seals: [],
  has_unsealed: false,
  keys: [],
  names: [],
}

export function registerReportRoutes(app: FastifyInstance, routes: ReportRoutes): void {
  const { clock, guard, record, sealOne } = routes
  const takePlace = createPlaces()

  app.get<{ Querystring: Static<typeof query> }>(
    '/events/report',
    {
      ...guard('audit.export'),
      schema: {
        tags: ['audit'],
        summary: 'The compliance report of a period, as JSON or as a self-contained page',
        description:
          'From the records of the audit: who decided what, how fast and how they had signed in; exceptions (people who approved what ' +
          'their own agent or key asked, decisions taken back or void, refused acts, paused and stopped agents, legal holds, erasures, purges); and the ' +
          'heads of the seals. A report reads up to 100 000 events of at most 366 days: with more it ends at `covered_until`, and `events_left_out` counts ' +
          'the rest, up to 100 000. It lists the first 2 000 decisions and 200 exceptions of each kind; `left_out` counts the others, and every total has all. ' +
          'docs/audit.md describes it.',
        operationId: 'getComplianceReport',
        querystring: query,
        response: {
          200: {
            description: 'The report',
            headers: headersNamed('Content-Disposition'),
            content: {
              'application/json': {
                schema: Type.Object({}, { additionalProperties: true, title: 'ComplianceReport' }),
                example,
              },
              'text/html': { schema: Type.String() },
            },
          },
          ...problems(tooManyReports),
        },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { organizationId } = by.principal
      const format = request.query.format === 'html' ? 'html' : 'json'
      const now = clock.now()
      const period = periodOf(request.query, now)
      // Neither made nor noted as taken.
      if (request.method === 'HEAD') return reply.type(format === 'json' ? 'application/json' : 'text/html').send()
      const leave = takePlace(organizationId)
      if (leave === null) throw tooManyReports()
      try {
        await record(by, { kind: 'audit.report_taken', after: { format, ...period } })
        await sealOne(organizationId).catch(() => false)
        const report = await reportOf(routes, organizationId, period, now)
        const named = `attachment; filename="compliance-${organizationId}-${dateOf(period.since)}.${format}"`
        reply.header('content-disposition', named)
        const json = JSON.stringify(reportJson(report))
        if (format === 'json') return await reply.type('application/json; charset=utf-8').send(json)
        // The rows, and the page that is made of them.
        reply.weigh(2 * json.length)
        const { policy, pieces } = reportPage(report)
        return await reply
          .type('text/html; charset=utf-8')
          .header('content-security-policy', policy)
          .send(Readable.from(pieces, { objectMode: false }))
      } finally {
        leave()
      }
    },
  )
}

function periodOf({ since, until }: Static<typeof query>, now: Date): Period {
  const end = until === undefined ? now : toInstant('until', until)
  const begin = since === undefined ? new Date(Math.max(0, end.getTime() - 30 * day)) : toInstant('since', since)
  if (begin >= end) throw invalid('since', 'must be before `until`')
  if (end.getTime() - begin.getTime() > longestDays * day) {
    throw invalid('since', `must be at most ${longestDays} days before \`until\``)
  }
  return { since: begin, until: end }
}

const dateOf = (time: Date): string => time.toISOString().slice(0, 10)
