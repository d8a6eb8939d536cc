import { invalid } from './problem.ts'

const cursorPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The opaque `next_cursor` of a list that is ordered by id: the last id of the page, base64url. */
export function encodeCursor(lastId: string): string {
  return Buffer.from(lastId, 'utf8').toString('base64url')
}

/** The id a cursor stands for. Throws 422 for anything `encodeCursor` did not make. */
export function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8')
  if (!cursorPattern.test(id) || encodeCursor(id) !== cursor) {
    throw invalid('cursor', 'is not a cursor of this service: send next_cursor back unchanged')
  }
  return id
}

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly hasMore: boolean
}

/** `rows`: up to `limit` of them, and one more where there are more. */
export function pageOf<Item>(rows: readonly Item[], limit: number): Page<Item> {
  return { items: rows.slice(0, limit), hasMore: rows.length > limit }
}
