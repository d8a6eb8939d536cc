import type { Scope } from '../platform/database/db.ts'

/** The primary key of a consultation's row. */
export interface Key {
  readonly organizationId: string
  readonly id: string
}

export function keyOf({ organizationId, id }: Key): string {
  return `${organizationId}/${id}`
}

export function byKey<K extends Key>(rows: readonly K[]): Map<string, K> {
  return new Map(rows.map((row) => [keyOf(row), row]))
}

export function distinct(keys: readonly Key[]): readonly Key[] {
  return [...byKey(keys).values()]
}

/** The keys of a batch, all of one organization. */
export function scopeOf(first: { readonly organizationId: string } | undefined): Scope {
  return first === undefined ? {} : { organizationId: first.organizationId }
}
