import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { toInstant } from '../http/instant.ts'
import { idOf, idParams, problems, success } from '../http/openapi.ts'
import { type Guard, personOf } from '../identity/guard.ts'
import * as rules from './inbox.ts'
import * as schemas from './schemas.ts'
import type { Inbox, InboxContext } from './service.ts'
import type { Draft } from './store.ts'

export interface InboxRoutes {
  readonly inbox: Inbox
  readonly guard: Guard
  readonly requests: InboxContext['requests']
}

interface OneRequest {
  Params: { id: string }
}

const common = { tags: ['requests'], params: idParams }
const json = 'application/json; charset=utf-8'

export function registerInboxRoutes(app: FastifyInstance, routes: InboxRoutes): void {
  for (const schema of [schemas.snoozedSchema, schemas.draftSchema]) app.addSchema(schema)
  snoozeRoutes(app, routes)
  draftRoutes(app, routes)
}

function snoozeRoutes(app: FastifyInstance, { inbox, guard, requests }: InboxRoutes): void {
  app.post<OneRequest & { Body: Static<typeof schemas.snoozeBody> }>(
    '/requests/:id/snooze',
    {
      ...guard('queue.read'),
      schema: {
        ...common,
        summary: "Put a request aside: out of the caller's own queues until a time",
        description:
          'It is in `queue=snoozed` of `GET /requests` until then, or until it is brought back or closed, and not in all, high_risk and ' +
          'due_soon. Nobody else notices. Repeat it with another time to change that.',
        operationId: 'snooze',
        body: { ...schemas.snoozeBody, examples: [{ until: '2026-02-01T08:00:00Z' }] },
        response: {
          200: success('Put aside', Type.Ref('SnoozedRequest'), schemas.snoozedExample),
          ...problems(requests.notFound, ...requests.closed, rules.tooManySnoozed),
        },
      },
    },
    async (request) => {
      const until = toInstant('until', request.body.until)
      await inbox.snooze(personOf(request), request.params.id, until)
      return { request_id: idOf(request), until }
    },
  )
  app.delete<OneRequest>(
    '/requests/:id/snooze',
    {
      ...guard('queue.read'),
      schema: {
        ...common,
        summary: 'Bring a request back that was put aside',
        operationId: 'unsnooze',
        response: { 204: { description: 'It is in the queues again', type: 'null' }, ...problems(requests.notFound) },
      },
    },
    async (request, reply) => {
      await inbox.unsnooze(personOf(request), request.params.id)
      return reply.status(204).send()
    },
  )
}

function draftRoutes(app: FastifyInstance, { inbox, guard, requests }: InboxRoutes): void {
  const saved = (description: string) => success(description, Type.Ref('SavedDraft'), schemas.draftExample)
  const jsonOf = ({ revision, answer, updatedAt }: Draft): string =>
    `{"revision":${revision},"answer":${answer},"updated_at":"${updatedAt.toISOString()}"}`
  app.put<OneRequest & { Body: Static<typeof schemas.draftBody> }>(
    '/requests/:id/draft',
    {
      ...guard('request.respond'),
      schema: {
        ...common,
        summary: "Keep an unfinished answer, for the caller's own eyes",
        description: `It is gone when the request closes. Of a person's drafts, the ${rules.mostDrafts} newest are kept.`,
        operationId: 'saveDraft',
        body: { ...schemas.draftBody, examples: [schemas.draftBodyExample] },
        response: { 200: saved('The draft'), ...problems(requests.notFound, ...requests.closed) },
      },
    },
    async (request, reply) => {
      const members = request.members ?? new Map()
      const draft = await inbox.saveDraft(personOf(request), request.params.id, request.body.revision, members)
      return reply.type(json).send(jsonOf(draft))
    },
  )
  app.get<OneRequest>(
    '/requests/:id/draft',
    {
      ...guard('request.respond'),
      schema: {
        ...common,
        summary: "The caller's unfinished answer",
        operationId: 'getDraft',
        response: { 200: saved('The draft'), ...problems(requests.notFound, rules.noDraft) },
      },
    },
    async (request, reply) => reply.type(json).send(jsonOf(await inbox.draft(personOf(request), request.params.id))),
  )
  app.delete<OneRequest>(
    '/requests/:id/draft',
    {
      ...guard('request.respond'),
      schema: {
        ...common,
        summary: 'Throw an unfinished answer away',
        operationId: 'deleteDraft',
        response: { 204: { description: 'There is none', type: 'null' }, ...problems(requests.notFound) },
      },
    },
    async (request, reply) => {
      await inbox.deleteDraft(personOf(request), request.params.id)
      return reply.status(204).send()
    },
  )
}
