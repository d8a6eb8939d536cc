import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { problems } from '../http/openapi.ts'
import { headersNamed } from '../http/openapi-headers.ts'
import { stepUpRequired } from '../identity/factors/step-up.ts'
import { permitOf } from '../identity/factors/step-ups/demand-step-ups.ts'
import { type Guard, personOf } from '../identity/guard.ts'
import { refusal } from '../platform/problem.ts'
import { type ArchiveContext, type ArchiveSubject, take } from './service.ts'

export interface ArchiveRoutes {
  readonly context: ArchiveContext
  readonly guard: Guard
  /** A reader that takes nothing for this long is disconnected. */
  readonly stalledAfterMs: number
}

/** Each holds a page in memory: a few do no harm, many would. */
const atOnce = 4

const tooManyArchives = refusal(429, 'archive.too_many', {
  detail: `A process writes at most one archive of an organization at a time, and ${atOnce} in all. Try again when one of them is done.`,
  headers: { 'retry-after': '10' },
})

export function registerArchiveRoutes(app: FastifyInstance, { context, guard, stalledAfterMs }: ArchiveRoutes): void {
  const taken = new Set<string>()
  const send = (subject: ArchiveSubject) => async (request: FastifyRequest, reply: FastifyReply) => {
    const by = personOf(request)
    const { organizationId, userId } = by.principal
    if (taken.size >= atOnce || taken.has(organizationId)) throw tooManyArchives()
    taken.add(organizationId)
    const leave = () => void taken.delete(organizationId)
    const stream = await take(context, by, subject, permitOf(request)).catch((error: unknown) => {
      leave()
      throw error
    })
    stream.once('close', leave)
    stream.once('error', (error) => request.log.warn({ err: error }, 'an archive broke off'))
    reply.endStalled(stalledAfterMs)
    const name = subject === 'person' ? `person-${userId}` : `organization-${organizationId}`
    return reply
      .type('application/gzip')
      .header('content-disposition', `attachment; filename="${name}.tar.gz"`)
      .send(stream)
  }
  const response = {
    200: {
      description: 'The archive',
      headers: headersNamed('Content-Disposition'),
      content: { 'application/gzip': { schema: Type.String({ format: 'binary' }) } },
    },
    ...problems(stepUpRequired, tooManyArchives),
  }
  const form =
    'A gzipped tar of files of JSON Lines, one row of the database to a line, streamed. `manifest.json`, its last file, has the name, the rows, the bytes and the ' +
    'SHA-256 of each, and says what is left out: an archive without it broke off. No password, key, secret or hash of one is in it. '

  app.post(
    '/auth/me/archive',
    {
      ...guard('profile.read'),
      schema: {
        tags: ['auth'],
        summary: 'Everything that is kept about the signed-in person in this organization, as one archive',
        description: `${form}It holds the account, the membership, sessions and factors, answers, drafts, views, and the events that the person caused or is the subject of.`,
        operationId: 'takePersonArchive',
        response,
      },
    },
    send('person'),
  )

  app.post(
    '/organization/archive',
    {
      ...guard('organization.archive'),
      schema: {
        tags: ['organization'],
        summary: 'Everything that is kept of the organization, as one archive',
        description: `${form}What people keep to themselves (drafts, views, requests put aside) and the contents of attached files are not in it.`,
        operationId: 'takeOrganizationArchive',
        response,
      },
    },
    send('organization'),
  )
}
