import type { Static } from 'typebox'
import { toInstant } from '../http/instant.ts'
import { invalid } from '../platform/problem.ts'
import type { ListFilter } from './list-store.ts'
import type { listQuery } from './schemas.ts'

/** Where the next page of a list begins; of a differential poll, all pages show the changes up to the same time. */
export interface ListCursor {
  readonly before: string
  readonly updatedUntil: Date | null
}

const cursorPattern = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:@(\d{1,15}))?$/

export function encodeListCursor({ before, updatedUntil }: ListCursor): string {
  return Buffer.from(`${before}${updatedUntil === null ? '' : `@${updatedUntil.getTime()}`}`, 'utf8').toString(
    'base64url',
  )
}

function decodeListCursor(cursor: string): ListCursor {
  const found = cursorPattern.exec(Buffer.from(cursor, 'base64url').toString('utf8'))
  const [, before, until] = found ?? []
  const decoded =
    before === undefined ? null : { before, updatedUntil: until === undefined ? null : new Date(Number(until)) }
  if (decoded === null || encodeListCursor(decoded) !== cursor) {
    throw invalid('cursor', 'is not a cursor of this service: send next_cursor back unchanged')
  }
  return decoded
}

export type ListQuery = Omit<ListFilter, 'organizationId' | 'agentId'>

/** Throws 422. */
export function parseListQuery(query: Static<typeof listQuery>): ListQuery {
  const { state = null, updated_after: updatedAfter, limit = 20, offset = 0, fields } = query
  if (query.cursor !== undefined && offset > 0) throw invalid('offset', 'cannot go with cursor: send one of them')
  const cursor = query.cursor === undefined ? null : decodeListCursor(query.cursor)
  const isPoll = updatedAfter !== undefined
  if (cursor !== null && isPoll !== (cursor.updatedUntil !== null)) {
    throw invalid('cursor', 'belongs to a list with other parameters: repeat those of the first page')
  }
  return {
    state,
    updatedAfter: isPoll ? toInstant('updated_after', updatedAfter) : null,
    updatedUntil: cursor?.updatedUntil ?? null,
    before: cursor?.before ?? null,
    limit,
    offset,
    light: fields !== 'full',
  }
}
