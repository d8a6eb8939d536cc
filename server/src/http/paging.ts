import type { FastifyRequest } from 'fastify'
import { type Static, type TSchema, Type } from 'typebox'
import { decodeCursor, encodeCursor, type Page } from '../platform/page.ts'
import { nullable } from './schema-parts.ts'

/** For the schema of a route that lists. */
export const pageQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'How many at most.' })),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      description: '`next_cursor` of the page before, with the same other parameters.',
    }),
  ),
})

/** The form of every list. (Those of requests and API keys are older: clients rely on theirs.) */
export function pageSchema($id: string, item: TSchema, last = 'null on the last page.') {
  return Type.Object(
    {
      items: Type.Array(item, { description: 'What was found, in the order that the operation says.' }),
      next_cursor: nullable(Type.String({ description: `For \`cursor\`; ${last}` })),
    },
    { $id, title: $id },
  )
}

/** The list that a call asks for, whatever the page: its path, and the parameters that decide what is in it. */
export function listOf({ url, query }: Pick<FastifyRequest, 'url' | 'query'>): string {
  const { cursor: _cursor, limit: _limit, offset: _offset, ...others } = query as Readonly<Record<string, string>>
  const [path = ''] = url.split('?', 1)
  const sorted = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${path.replace(/\/$/, '').toLowerCase()}?${new URLSearchParams(sorted)}`
}

/** How much to read, and behind which id; null: from the beginning. */
export function readPageQuery(request: FastifyRequest) {
  const { limit = 50, cursor } = request.query as Static<typeof pageQuery>
  return { limit, after: cursor === undefined ? null : decodeCursor(cursor, listOf(request)) }
}

export function pageJson<Item, Json>(
  request: FastifyRequest,
  { items, hasMore }: Page<Item>,
  json: (item: Item) => Json,
  idOf: (item: Item) => string,
) {
  const last = items.at(-1)
  const next = hasMore && last !== undefined ? encodeCursor(idOf(last), listOf(request)) : null
  return { items: items.map(json), next_cursor: next }
}

/** A list that is always sent whole, because few of its kind can exist. */
export function wholeListJson<Item, Json>(items: readonly Item[], json: (item: Item) => Json) {
  return { items: items.map(json), next_cursor: null }
}
