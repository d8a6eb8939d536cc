import type { Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import { attemptNetwork, type Visitor } from '../accounts/account-facts.ts'
import { type AccountLink, type LinkPurpose, linkMinutes, linkNotValid, useLink } from '../accounts/account-link.ts'
import * as store from '../accounts/account-link-store.ts'
import { mayFinish } from '../accounts/open-flows.ts'
import { hashSecretToken } from '../secret-token.ts'
import { emailsPerHour } from './account-mail.ts'
import type { RecoveryContext } from './context.ts'

export interface NewLink extends Pick<AccountLink, 'accountId' | 'purpose' | 'email'> {
  readonly sessionId?: string | null
  readonly fromKnownNetwork?: boolean
}

/**
 * Makes a link with this token, and returns when it expires; null when the account has been mailed enough of them. `email` null:
 * it is not mailed, and not counted.
 */
export async function makeLink(
  tx: Tx,
  { accountId, purpose, email, sessionId = null, fromKnownNetwork = false }: NewLink,
  token: string,
  now: Date,
): Promise<Date | null> {
  const asked = { accountId, purpose, email, sessionId, fromKnownNetwork }
  const hourAgo = new Date(now.getTime() - 3_600_000)
  if (email !== null && (await store.countLinksSince(tx, asked, hourAgo)) >= emailsPerHour) return null
  // Kept for an hour after they expire, because they are counted.
  await store.dropExpiredLinks(tx, accountId, hourAgo)
  const hash = hashSecretToken(token)
  const expiresAt = new Date(now.getTime() + linkMinutes[purpose] * 60_000)
  await store.insertLink(tx, { ...asked, id: newId(), expiresAt, usedAt: null, createdAt: now }, hash)
  return expiresAt
}

/**
 * The link of a token, and its account. Throws 403 unless it can be used now, and 429 for a network that tries many tokens:
 * only tokens that were never made count, because nobody guesses 256 bits and a right link must always work.
 */
export async function findLink(
  { db, clock, attempts }: RecoveryContext,
  token: string,
  purposes: readonly LinkPurpose[],
  visitor: Visitor,
): Promise<{ readonly link: AccountLink; readonly account: store.AccountSecrets | null }> {
  const hash = hashSecretToken(token)
  const found = await store.linkByToken(db.within({ lookUp: hash.toString('hex') }), hash)
  if (found === null) {
    await attempts.before({ kind: 'token', subject: null, network: attemptNetwork(visitor.network) })
  }
  const account = found && (await store.accountById(db.within({ accountId: found.accountId }), found.accountId))
  return { link: useLink(found, purposes, account, clock.now()), account }
}

/** Uses the link up, with its account locked. Throws 403 when another call was first, or its session has ended. */
export async function takeLink(tx: Tx, { accountId, id, purpose }: AccountLink, now: Date) {
  const account = await store.lockAccount(tx, accountId)
  const link = useLink(await store.lockLink(tx, accountId, id), [purpose], account, now)
  if (link.purpose === 'email_change' && !(await mayFinish(tx, link, now))) throw linkNotValid()
  await store.markLinkUsed(tx, link, now)
  return { link, account }
}
