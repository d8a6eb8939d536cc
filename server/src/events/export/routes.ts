import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { type OwnMeaning, problems } from '../../http/openapi.ts'
import { type Guard, personOf } from '../../identity/guard.ts'
import type { Caller } from '../../identity/principal.ts'
import { Problem } from '../../platform/problem.ts'
import type { RecordAct } from '../act.ts'
import type { Exporter, ExportFormat } from './service.ts'

export interface ExportRoutes {
  readonly exporter: Exporter
  readonly guard: Guard
  readonly record: RecordAct
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
      description: 'Only what was sealed behind this seal: the last one of the export before.',
    }),
  ),
})

const types = { jsonl: 'application/jsonl; charset=utf-8', csv: 'text/csv; charset=utf-8; header=present' } as const

/** Each holds a page in memory and a connection while it reads one: a few do no harm, many would. */
const atOnce = 4

const tooMany: OwnMeaning = {
  status: 429,
  code: 'audit.too_many_exports',
  detail: `This process is writing ${atOnce} exports already. Try again when one of them is done.`,
}
const noSeal: OwnMeaning = {
  status: 404,
  code: 'audit.seal_not_found',
  detail: 'There is no such seal: leave out `after`, or name the last seal of an export.',
}

export function registerExportRoutes(app: FastifyInstance, { exporter, guard, record }: ExportRoutes): void {
  let running = 0
  const begin = async (by: Caller, format: ExportFormat, after: number | null): Promise<Readable> => {
    const lines = await exporter.export(by.principal.organizationId, format, after)
    if (lines === null) throw new Problem(404, noSeal.code, noSeal.detail)
    // Who takes the audit away is in the audit.
    await record(by, { kind: 'audit.exported', after: { format, after_seal: after } })
    // Before the first byte: what cannot be sealed is a 503, not a file that breaks off.
    await exporter.seal(by.principal.organizationId)
    return Readable.from(lines, { objectMode: false, highWaterMark: 1_048_576 })
  }
  app.get<{ Querystring: Static<typeof query> }>(
    '/events/export',
    {
      ...guard('audit.export'),
      // HEAD would read what nobody gets.
      exposeHeadRoute: false,
      schema: {
        tags: ['audit'],
        summary: 'The whole audit as a file, streamed',
        description:
          'Oldest first, with the seals in between; docs/audit.md describes the lines. A reply that breaks off has no end ' +
          'line. With more than a few events not sealed yet, which happens in the first two seconds, the end line says how many.',
        operationId: 'exportEvents',
        security: [{ bearer: [] }, { person: [] }],
        querystring: query,
        response: {
          200: {
            description: 'The events',
            content: {
              'application/jsonl': { schema: Type.String() },
              'text/csv': { schema: Type.String() },
            },
          },
          ...problems(401, 403, noSeal, 422, tooMany),
        },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { format: asked = 'jsonl', after = null } = request.query
      const format = asked === 'csv' ? 'csv' : 'jsonl'
      if (running >= atOnce) throw new Problem(429, tooMany.code, tooMany.detail, { headers: { 'retry-after': '10' } })
      const { organizationId } = by.principal
      running += 1
      const stream = await begin(by, format, after).catch((error: unknown) => {
        running -= 1
        throw error
      })
      stream.once('close', () => {
        running -= 1
      })
      stream.once('error', (error) => request.log.warn({ err: error, request_id: request.id }, 'an export broke off'))
      return reply
        .type(types[format])
        .header('content-disposition', `attachment; filename="audit-${organizationId}.${format}"`)
        .send(stream)
    },
  )
}
