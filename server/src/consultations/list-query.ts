import type { Static } from 'typebox'
import { toInstant } from '../http/instant.ts'
import { decodeCursor, encodeCursor } from '../platform/page.ts'
import { invalid } from '../platform/problem.ts'
import type { ListFilter } from './list-store.ts'
import type { listQuery } from './schemas.ts'

/** Where the next page of a list begins; of a differential poll, all pages show the changes up to the same time. */
export interface ListCursor {
  readonly before: string
  readonly updatedUntil: Date | null
}

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:@\d{1,15})?$/

export function encodeListCursor({ before, updatedUntil }: ListCursor, list: string): string {
  return encodeCursor(updatedUntil === null ? before : `${before}@${updatedUntil.getTime()}`, list)
}

function decodeListCursor(cursor: string, list: string): ListCursor {
  const [before = '', until] = decodeCursor(cursor, list, form).split('@')
  return { before, updatedUntil: until === undefined ? null : new Date(Number(until)) }
}

export type ListQuery = Omit<ListFilter, 'organizationId' | 'agentId'>

/** Throws 422. */
export function parseListQuery(query: Static<typeof listQuery>, list: string): ListQuery {
  const { state = null, updated_after: updatedAfter, limit = 20, offset = 0, fields } = query
  if (query.cursor !== undefined && offset > 0) throw invalid('offset', 'cannot go with cursor: send one of them')
  const cursor = query.cursor === undefined ? null : decodeListCursor(query.cursor, list)
  return {
    state,
    updatedAfter: updatedAfter === undefined ? null : toInstant('updated_after', updatedAfter),
    updatedUntil: cursor?.updatedUntil ?? null,
    before: cursor?.before ?? null,
    limit,
    offset,
    light: fields !== 'full',
  }
}
