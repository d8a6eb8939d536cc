import { createHash } from 'node:crypto'
import type { Clock } from '../platform/clock.ts'
import type { Tx } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import type { Sealer } from '../platform/secrets/sealed-text.ts'
import { bodyPlace, type LetterKind, type NewLetter } from './letter.ts'
import * as store from './store.ts'

/** Mail to people. Where this installation sends none, `isOn` is false, and letters come to nothing. */
export interface Letters {
  readonly isOn: boolean
  /** A letter ready to be posted, or null. Before the transaction: the key may have to be read first. */
  seal(letter: NewLetter): Promise<store.SealedLetter | null>
  /** Puts it into the outbox in the caller's transaction: it is sent if that commits. */
  post(tx: Tx, letter: store.SealedLetter | null): Promise<void>
  /** How many letters of a kind the account has caused since then, in whatever organization. The scope has the account. */
  countOf(tx: Tx, accountId: string, kind: LetterKind, since: Date): Promise<number>
}

export function createLetters(dependencies: {
  readonly clock: Clock
  readonly sealer: Sealer
  readonly isOn: boolean
  readonly wake: () => void
}): Letters {
  const { clock, sealer, isOn, wake } = dependencies
  return {
    isOn,
    seal: async ({ to, subject, text, ...letter }) => {
      if (!isOn) return null
      const { organizationId: organization_id, about, kind, accountId: account_id, usefulUntil: useful_until } = letter
      const [id, now] = [newId(), clock.now()]
      const [subject_kind, subject_id] = about
      const recipient = createHash('sha256').update(to.toLowerCase()).digest()
      const body = await sealer.seal(JSON.stringify({ to, subject, text }), bodyPlace(organization_id, id))
      const of = { organization_id, id, kind, subject_kind, subject_id, account_id, recipient, body, useful_until }
      return { ...of, due_at: now, created_at: now, updated_at: now }
    },
    post: async (tx, letter) => {
      if (letter === null) return
      tx.onCommit(wake)
      await store.insert(tx, letter)
    },
    countOf: (tx, accountId, kind, since) => store.countOf(tx, accountId, kind, since),
  }
}
