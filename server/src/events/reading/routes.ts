import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { toInstant } from '../../http/instant.ts'
import { idParams, problems, success } from '../../http/openapi.ts'
import { listOf } from '../../http/paging.ts'
import { type Guard, personOf } from '../../identity/guard.ts'
import type { Caller, Person, Principal } from '../../identity/principal.ts'
import { createBoundedMap } from '../../platform/bounded-map.ts'
import type { Db } from '../../platform/database/db.ts'
import { type AnyRefusal, invalid } from '../../platform/problem.ts'
import type { RecordAct } from '../act.ts'
import { decodeTimeCursor, eventPageJson } from './item.ts'
import * as schemas from './schemas.ts'
import { list } from './store.ts'

export interface ReadingRoutes {
  readonly db: Db
  readonly guard: Guard
  readonly record: RecordAct
  /** Throws 404 when the principal may not see the request. */
  readonly requireVisible: (principal: Principal, requestId: string) => Promise<unknown>
  /** What `requireVisible` throws, for the documents. */
  readonly requestNotFound: AnyRefusal
}

const nothing = { since: null, until: null, actorKind: null, actorId: null, kind: null }
const json = 'application/json; charset=utf-8'

/** The audit as pages: of the whole organization, newest first, and of one request, oldest first. */
export function registerReadingRoutes(
  app: FastifyInstance,
  { db, guard, record, requireVisible, requestNotFound }: ReadingRoutes,
): void {
  app.addSchema(schemas.eventSchema)
  app.addSchema(schemas.eventPageSchema)
  const page = { items: [schemas.eventExample], next_cursor: null }
  const noteRead = createReadingNotes(record)
  const common = { tags: ['audit'] }

  app.get<{ Querystring: Static<typeof schemas.listQuery> }>(
    '/events',
    {
      ...guard('audit.read'),
      schema: {
        ...common,
        summary: 'The audit: events, newest first',
        operationId: 'listEvents',
        querystring: schemas.listQuery,
        response: { 200: success('A page of events', Type.Ref('EventPage'), page), ...problems() },
      },
    },
    async (request, reply) => {
      const { since, until, actor_kind, actor_id, kind, subject_id, request_id, limit = 50, cursor } = request.query
      if (subject_id !== undefined && request_id !== undefined) {
        throw invalid('request_id', 'means the same as subject_id: send one of them')
      }
      const by = personOf(request)
      const { organizationId } = by.principal
      const found = await list(db.within({ organizationId }), {
        organizationId,
        since: since === undefined ? null : toInstant('since', since),
        until: until === undefined ? null : toInstant('until', until),
        actorKind: actor_kind ?? null,
        actorId: actor_id ?? null,
        kind: kind ?? null,
        subjectId: subject_id ?? request_id ?? null,
        after: cursor === undefined ? null : decodeTimeCursor(cursor, listOf(request)),
        oldestFirst: false,
        limit,
      })
      await noteRead(by, found.items.length)
      return reply.type(json).send(eventPageJson(found, listOf(request)))
    },
  )

  app.get<{ Params: { id: string }; Querystring: Static<typeof schemas.timelineQuery> }>(
    '/requests/:id/events',
    {
      ...guard('audit.read'),
      schema: {
        ...common,
        summary: "A request's own timeline, oldest first",
        operationId: 'listRequestEvents',
        params: idParams,
        querystring: schemas.timelineQuery,
        response: {
          200: success('A page of events', Type.Ref('EventPage'), page),
          ...problems(requestNotFound),
        },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { principal } = by
      const { organizationId } = principal
      const { limit = 50, cursor } = request.query
      await requireVisible(principal, request.params.id)
      const after = cursor === undefined ? null : decodeTimeCursor(cursor, listOf(request))
      const filter = { ...nothing, organizationId, subjectId: request.params.id, after, oldestFirst: true, limit }
      const found = await list(db.within({ organizationId }), filter)
      await noteRead(by, found.items.length)
      return reply.type(json).send(eventPageJson(found, listOf(request)))
    },
  )
}

/** An event for so many events read: a person who looks at a page or two leaves none, and one who takes away the whole audit does. */
const notedEvery = 1_000
/** People whose reading is counted at a time: 100 bytes each. */
const maxReaders = 10_000

/** Counts what each person reads in lists of this process. */
function createReadingNotes(record: RecordAct): (by: Caller<Person>, events: number) => Promise<void> {
  const read = createBoundedMap<string, number>(maxReaders)
  return async (by, events) => {
    const { organizationId, userId } = by.principal
    const reader = `${organizationId}/${userId}`
    const total = (read.get(reader) ?? 0) + events
    read.set(reader, total % notedEvery)
    if (total >= notedEvery) await record(by, { kind: 'audit.read', after: { events: notedEvery } })
  }
}
