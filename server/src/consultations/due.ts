import { type Change, type Consultation, expire, isHeld, nextActionOf } from './consultation.ts'
import { release } from './hold.ts'

/**
 * What the service does by itself when `nextActionAt` has come: a decision that is held back is released, any other request
 * times out. Null when nothing is due: it is too early, or another sweeper was first.
 */
export function actWhenDue(before: Consultation, now: Date): Change | null {
  const dueAt = nextActionOf(before)
  if (dueAt === null || dueAt > now) return null
  return isHeld(before) ? release(before, now) : expire(before, now)
}
