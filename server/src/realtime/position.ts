/** How far a stream has come in the changes of its organization: the time of a change, and the id of its request. */
export interface Position {
  readonly ms: number
  readonly id: string
}

const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
const form = /^(\d{1,15})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/** After everything that changed up to this time. */
export function afterAll(time: Date): Position {
  return { ms: time.getTime(), id: lastId }
}

/** The id of a message: the same in every process, and after every restart. */
export function idOf({ ms, id }: Position): string {
  return `${ms}-${id}`
}

/** Null for what is no id of ours. */
export function positionOf(eventId: string): Position | null {
  const [, ms, id] = form.exec(eventId) ?? []
  return ms === undefined || id === undefined ? null : { ms: Number(ms), id }
}

export function isBefore(one: Position, other: Position): boolean {
  return one.ms < other.ms || (one.ms === other.ms && one.id < other.id)
}
