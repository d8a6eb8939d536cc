import { type Static, type TSchema, Type } from 'typebox'
import { decodeCursor, encodeCursor, type Page } from '../platform/page.ts'
import { nullable } from './schema-parts.ts'

/** For the schema of a route that lists by id. */
export const pageQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50, description: 'How many at most.' })),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 100, description: '`next_cursor` of the page before.' }),
  ),
})

export function pageSchema($id: string, item: TSchema) {
  return Type.Object(
    {
      items: Type.Array(item, { description: 'By id, oldest first.' }),
      next_cursor: nullable(Type.String({ description: 'For `cursor`; null on the last page.' })),
    },
    { $id, title: $id },
  )
}

/** How much to read, and behind which id; null: from the beginning. */
export function readPageQuery({ limit = 50, cursor }: Static<typeof pageQuery>) {
  return { limit, after: cursor === undefined ? null : decodeCursor(cursor) }
}

export function pageJson<Item, Json>(
  { items, hasMore }: Page<Item>,
  json: (item: Item) => Json,
  idOf: (item: Item) => string,
) {
  const last = items.at(-1)
  return { items: items.map(json), next_cursor: hasMore && last !== undefined ? encodeCursor(idOf(last)) : null }
}
