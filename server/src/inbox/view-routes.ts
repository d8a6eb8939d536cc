import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idOf, idParams, problems, success, withHeaders } from '../http/openapi.ts'
import { wholeListJson } from '../http/paging.ts'
import { type Guard, personOf } from '../identity/guard.ts'
import { mostViews, noView, tooManyViews, type View } from './view.ts'
import * as schemas from './view-schemas.ts'
import type { Views } from './views.ts'

export interface ViewRoutes {
  readonly views: Views
  readonly guard: Guard
}

interface OneView {
  Params: { id: string }
}
interface ViewBody {
  Body: Static<typeof schemas.viewBody>
}

const common = { tags: ['requests'] }
const body = { ...schemas.viewBody, examples: [schemas.viewBodyExample] }
const one = (description: string) => success(description, Type.Ref('SavedView'), schemas.viewExample)

const viewJson = ({ id, name, query, createdAt, updatedAt }: View) => ({
  id,
  name,
  query,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})

/** Lists of the inbox that a person has named. */
export function registerViewRoutes(app: FastifyInstance, { views, guard }: ViewRoutes): void {
  for (const schema of [schemas.viewSchema, schemas.viewsSchema, schemas.viewCountSchema]) app.addSchema(schema)
  app.get(
    '/views',
    {
      ...guard('queue.read'),
      schema: {
        ...common,
        summary: "The caller's saved views, oldest first",
        operationId: 'listViews',
        response: {
          200: success('All of them', Type.Ref('SavedViews'), { items: [schemas.viewExample], next_cursor: null }),
          ...problems(),
        },
      },
    },
    async (request) => wholeListJson(await views.list(personOf(request)), viewJson),
  )
  app.post<ViewBody>(
    '/views',
    {
      ...guard('queue.read'),
      schema: {
        ...common,
        summary: 'Save a view: a list of the inbox, with its filters and its order, under a name',
        description: `It is the caller's own, and nobody else sees it. A person has up to ${mostViews}.`,
        operationId: 'saveView',
        body,
        response: { 201: withHeaders(one('The view'), 'Location'), ...problems(tooManyViews) },
      },
    },
    async (request, reply) => {
      const view = await views.save(personOf(request), request.body)
      return reply.createdAt(`/api/v1/views/${view.id}`).send(viewJson(view))
    },
  )
  app.put<OneView & ViewBody>(
    '/views/:id',
    {
      ...guard('queue.read'),
      schema: {
        ...common,
        summary: 'Give a saved view another name or another query',
        operationId: 'changeView',
        params: idParams,
        body,
        response: { 200: one('The view as it is now'), ...problems(noView) },
      },
    },
    async (request) => viewJson(await views.change(personOf(request), idOf(request), request.body)),
  )
  app.delete<OneView>(
    '/views/:id',
    {
      ...guard('queue.read'),
      schema: {
        ...common,
        summary: 'Delete a saved view',
        operationId: 'deleteView',
        params: idParams,
        response: { 204: { description: 'It is gone', type: 'null' }, ...problems(noView) },
      },
    },
    async (request, reply) => {
      await views.remove(personOf(request), idOf(request))
      return reply.status(204).send()
    },
  )
  app.get<OneView>(
    '/views/:id/count',
    {
      ...guard('queue.read'),
      schema: {
        ...common,
        summary: 'How many requests a saved view has, as far as one page of them looks',
        operationId: 'countView',
        params: idParams,
        response: {
          200: success('The number', Type.Ref('ViewCount'), { count: 12, is_more: false }),
          ...problems(noView),
        },
      },
    },
    async (request) => {
      const { count, isMore } = await views.count(personOf(request), idOf(request))
      return { count, is_more: isMore }
    },
  )
}
