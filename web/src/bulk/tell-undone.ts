import { announce } from '../design/announcer.tsx'
import type { ListRules } from '../live/merge.ts'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { undoMany } from './acts.ts'
import type { Many } from './many.ts'

/** Takes an act on many requests back, and tells of how many. */
export async function tellUndone(many: Many, lists: readonly ListRules[]): Promise<void> {
  const undone = await undoMany(many, lists)
  if (undone !== null) announce(say('bulk.undone', { count: undone }))
}
