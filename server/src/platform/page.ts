import { createHash } from 'node:crypto'
import { invalid } from './problem.ts'

const idForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * The opaque `next_cursor` of a list: where its page ended, such as the last id, and a mark of the list. In a list with another
 * filter the place would mean something else, and rows would be skipped without a word.
 */
export function encodeCursor(place: string, list: string): string {
  return written(place, createHash('sha256').update(list).digest('base64url').slice(0, 8))
}

const written = (place: string, mark: string): string => Buffer.from(`${place}/${mark}`).toString('base64url')

/** The place that a cursor of this list stands for. Throws 422 for anything that `encodeCursor` did not make for it. */
export function decodeCursor(cursor: string, list: string, form = idForm): string {
  const [place = '', mark = ''] = Buffer.from(cursor, 'base64url').toString().split('/')
  if (!form.test(place) || written(place, mark) !== cursor) {
    throw invalid('cursor', 'is not a cursor of this service: send next_cursor back unchanged')
  }
  if (encodeCursor(place, list) !== cursor) {
    throw invalid('cursor', 'belongs to a list with other parameters: repeat those of the first page')
  }
  return place
}

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly hasMore: boolean
}

/** `rows`: up to `limit` of them, and one more where there are more. */
export function pageOf<Item>(rows: readonly Item[], limit: number): Page<Item> {
  return { items: rows.slice(0, limit), hasMore: rows.length > limit }
}
