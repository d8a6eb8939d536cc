import { decodeCursor, encodeCursor } from '../../platform/page.ts'
import type { EventPage, StoredEvent, TimeKey } from './store.ts'

/** An event on the wire: its record, and what is not part of the record. */
export function eventJson({ record, erasable, isErased, isAltered, seal }: StoredEvent): string {
  return `${record.slice(0, -1)},"erasable":${erasable},"erased":${isErased},"altered":${isAltered},"seal":${seal}}`
}

export function eventPageJson({ items, next }: EventPage, list: string): string {
  const cursor = next === null ? 'null' : `"${encodeTimeCursor(next, list)}"`
  return `{"items":[${items.map(eventJson).join(',')}],"next_cursor":${cursor}}`
}

const form = /^(?:0|[1-9]\d{0,14})\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function encodeTimeCursor({ occurredAt, id }: TimeKey, list: string): string {
  return encodeCursor(`${occurredAt.getTime()}.${id}`, list)
}

/** Throws 422 for anything that `encodeTimeCursor` did not make for this list. */
export function decodeTimeCursor(cursor: string, list: string): TimeKey {
  const [time = '', id = ''] = decodeCursor(cursor, list, form).split('.')
  return { occurredAt: new Date(Number(time)), id }
}
