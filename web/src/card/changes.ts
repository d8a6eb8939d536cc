import type { Word } from '../words/say.ts'
import type { Asked } from './asked.ts'

export interface Change {
  readonly label: Word
  readonly before: unknown
  readonly after: unknown
}

/** In the order of the card. */
const parts: readonly (readonly [Word, (asked: Asked) => unknown])[] = [
  ['revisions.title', ({ title }) => title],
  ['revisions.risk', ({ risk }) => risk],
  ['card.why', ({ justification }) => justification],
  ['card.description', ({ description }) => description],
  ['revisions.action', ({ action }) => action?.name ?? null],
  ['revisions.args', ({ action }) => action?.args ?? null],
  ['card.consequences', ({ presentation }) => presentation?.consequences ?? null],
  ['card.context', ({ context }) => context],
  ['revisions.answer', ({ answer }) => answer],
  ['revisions.presentation', ({ presentation }) => ({ ...presentation, consequences: null })],
  ['files.title', ({ attachments }) => attachments.map(({ name, size, sha256 }) => ({ name, size, sha256 }))],
]

/** What asks something else than before, part by part. */
export const changesBetween = (before: Asked, after: Asked): readonly Change[] =>
  parts
    .map(([label, part]) => ({ label, before: part(before), after: part(after) }))
    .filter((change) => !isSame(change.before, change.after))

/** As JSON is the same: members of a record have no order. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name as never], other[name as never]))
  )
}
