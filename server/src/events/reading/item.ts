import { invalid } from '../../platform/problem.ts'
import type { EventPage, StoredEvent, TimeKey } from './store.ts'

/** An event on the wire: its record, and what is not part of the record. */
export function eventJson({ record, erasable, isErased, isAltered, seal }: StoredEvent): string {
  return `${record.slice(0, -1)},"erasable":${erasable},"erased":${isErased},"altered":${isAltered},"seal":${seal}}`
}

export function eventPageJson({ items, next }: EventPage, limit: number): string {
  const cursor = next === null ? 'null' : `"${encodeTimeCursor(next)}"`
  return `{"items":[${items.map(eventJson).join(',')}],"limit":${limit},"next_cursor":${cursor}}`
}

const pattern = /^(\d{1,15})\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/

export function encodeTimeCursor({ occurredAt, id }: TimeKey): string {
  return Buffer.from(`${occurredAt.getTime()}.${id}`).toString('base64url')
}

/** Throws 422 for anything that `encodeTimeCursor` did not make. */
export function decodeTimeCursor(cursor: string): TimeKey {
  const [, time, id] = pattern.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  const key = id === undefined ? null : { occurredAt: new Date(Number(time)), id }
  if (key === null || Number.isNaN(key.occurredAt.getTime()) || encodeTimeCursor(key) !== cursor) {
    throw invalid('cursor', 'is not a cursor of this service: send next_cursor back unchanged')
  }
  return key
}
