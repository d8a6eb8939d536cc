import type { SubjectKind } from '../facts/kinds.ts'
import type { Email } from '../platform/mail.ts'
import type { Place } from '../platform/secrets/sealed-text.ts'

/**
 * What letters are for, and how many of each kind one address gets within a day; together they are the most that an address
 * gets at all. A kind has a share of its own, so that none can be used up by the letters of another: strangers who ask for
 * new passwords, or who invite, leave its owner theirs.
 */
export const dailyShares = {
  password_reset: 10,
  /** Asked for from a network that the owner has signed in from. */
  known_password_reset: 10,
  email_verification: 5,
  email_change: 3,
  /** Something was changed: security depends on it, and each takes an act of the owner, or of a thief. */
  notice: 20,
  invitation: 5,
  /** To somebody who was invited and has an account. */
  invited_account: 3,
} as const

export type LetterKind = keyof typeof dailyShares

export interface NewLetter extends Email {
  readonly kind: LetterKind
  /** `installationId` for letters about accounts: they go first. */
  readonly organizationId: string
  readonly about: readonly [SubjectKind, string]
  /** The account that caused it; null: nobody who is signed in. */
  readonly accountId: string | null
  /** Later it is of no use. */
  readonly usefulUntil: Date
}

/** A letter that this process has leased and sends now. */
export interface Letter {
  readonly organizationId: string
  readonly id: string
  readonly kind: LetterKind
  readonly subjectKind: SubjectKind
  readonly subjectId: string
  readonly recipient: Buffer
  readonly body: Buffer
  /** With this one. */
  readonly attempts: number
  readonly usefulUntil: Date
  readonly leaseToken: string
}

/** Longer than an attempt, so that it needs no renewal. A dead worker's letters are sent by others after it. */
export const leaseMs = 40_000

const retrySeconds = [2, 15, 60, 300, 1_800, 7_200, 21_600] as const

/** Why a letter was not sent, as its event has it. */
export type Reason = 'address' | 'refused' | 'unreachable' | 'too_late' | 'too_many' | 'unreadable'

export type Outcome =
  | { readonly status: 'sent' }
  | { readonly status: 'pending'; readonly dueAt: Date }
  | { readonly status: 'failed'; readonly reason: Reason }

/** What follows on a failure that may pass. */
export function afterFailure({ attempts, usefulUntil }: Letter, now: Date): Outcome {
  const waitSeconds = retrySeconds[attempts - 1]
  if (waitSeconds === undefined) return { status: 'failed', reason: 'unreachable' }
  const dueAt = new Date(now.getTime() + waitSeconds * 1_000)
  return dueAt > usefulUntil ? { status: 'failed', reason: 'unreachable' } : { status: 'pending', dueAt }
}

/** Where a body belongs, for its encryption. */
export function bodyPlace(organizationId: string, id: string): Place {
  return { organizationId, table: 'letters', column: 'body', row: id }
}
