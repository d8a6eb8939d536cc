import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems } from '../../http/openapi.ts'
import { headersNamed } from '../../http/openapi-headers.ts'
import { type Guard, personOf } from '../../identity/guard.ts'
import type { Caller } from '../../identity/principal.ts'
import { refusal } from '../../platform/problem.ts'
import type { RecordAct } from '../act.ts'
import { atOnce, createPlaces, ofOneOrganization } from '../places.ts'
import type { Exporter, ExportFormat } from './service.ts'

export interface ExportRoutes {
  readonly exporter: Exporter
  readonly guard: Guard
  readonly record: RecordAct
  /** A reader that takes nothing for this long is disconnected, which frees its slot. */
  readonly stalledAfterMs: number
}

const query = Type.Object({
  format: Type.Optional(
    Type.Enum(['jsonl', 'csv'], {
      default: 'jsonl',
      description: 'jsonl is what `hitl audit verify` checks; csv is for reading in a spreadsheet.',
    }),
  ),
  after: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Only what was sealed after this seal: the last one of your previous export.',
    }),
  ),
})

const types = { jsonl: 'application/jsonl; charset=utf-8', csv: 'text/csv; charset=utf-8; header=present' } as const

const tooManyExports = refusal(429, 'audit.too_many_exports', {
  detail: `A process writes at most ${ofOneOrganization} exports of an organization at a time, and ${atOnce} in all. Try again when one of them is done.`,
  headers: { 'retry-after': '10' },
})
const sealNotFound = refusal(
  404,
  'audit.seal_not_found',
  'There is no such seal: leave out `after`, or name the last seal of an export.',
)

export function registerExportRoutes(app: FastifyInstance, routes: ExportRoutes): void {
  const { exporter, guard, record, stalledAfterMs } = routes
  const takePlace = createPlaces()
  const begin = async (by: Caller, format: ExportFormat, after: number | null): Promise<Readable> => {
    const lines = await exporter.export(by.principal.organizationId, format, after)
    if (lines === null) throw sealNotFound()
    // Exporting the audit is itself in the audit.
    await record(by, { kind: 'audit.exported', after: { format, after_seal: after } })
    // Before the first byte, so that a failure to seal is a 503, not a file that breaks off.
    await exporter.seal(by.principal.organizationId)
    return Readable.from(lines, { objectMode: false, highWaterMark: 1_048_576 })
  }
  app.get<{ Querystring: Static<typeof query> }>(
    '/events/export',
    {
      ...guard('audit.export'),
      schema: {
        tags: ['audit'],
        summary: 'The whole audit as a file, streamed',
        description:
          'Oldest first, with the seals in between; docs/audit.md describes the lines. A reply that breaks off has no end line; it does so when the ' +
          'client reads nothing for 30 s. The end line counts the events that are not sealed yet; sealing takes up to two seconds.',
        operationId: 'exportEvents',
        querystring: query,
        response: {
          200: {
            description: 'The events',
            headers: headersNamed('Content-Disposition'),
            content: {
              'application/jsonl': { schema: Type.String() },
              'text/csv': { schema: Type.String() },
            },
          },
          ...problems(sealNotFound, tooManyExports),
        },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { format: asked = 'jsonl', after = null } = request.query
      const format = asked === 'csv' ? 'csv' : 'jsonl'
      const { organizationId } = by.principal
      const described = () =>
        reply
          .type(types[format])
          .header('content-disposition', `attachment; filename="audit-${organizationId}.${format}"`)
      // Nothing is read that nobody gets.
      if (request.method === 'HEAD') return described().send()
      const leave = takePlace(organizationId)
      if (leave === null) throw tooManyExports()
      const stream = await begin(by, format, after).catch((error: unknown) => {
        leave()
        throw error
      })
      stream.once('close', leave)
      reply.endStalled(stalledAfterMs)
      stream.once('error', (error) => request.log.warn({ err: error }, 'an export broke off'))
      return described().send(stream)
    },
  )
}
