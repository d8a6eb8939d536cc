import { invalid, refusal } from '../platform/problem.ts'

/** The rules of what one person puts aside and begins to answer: pure. */

export const longestSnoozeDays = 90
/** Lists and counts look each of them up. */
export const mostSnoozed = 1_000
export const mostDrafts = 200
export const draftBytes = 65_536

export const tooManySnoozed = refusal(
  409,
  'inbox.too_many_snoozed',
  `You have ${mostSnoozed} requests put aside, and that is as many as you may. Bring some of them back first.`,
)

export const noDraft = refusal(
  404,
  'inbox.no_draft',
  'You have not begun to answer this request, or it was closed since.',
)

/** Throws 422. */
export function requireLater(until: Date, now: Date): void {
  if (until <= now) throw invalid('until', 'must be later than now')
  if (until.getTime() > now.getTime() + longestSnoozeDays * 86_400_000) {
    throw invalid('until', `must be within ${longestSnoozeDays} days`)
  }
}

/** Throws 422. */
export function requireSmall(answer: string): void {
  if (Buffer.byteLength(answer) > draftBytes) throw invalid('answer', `must have at most ${draftBytes / 1024} KiB`)
}
