import { system } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import { resetEmail } from '../accounts/account-emails.ts'
import { attemptNetwork, reportEverywhere, type Visitor } from '../accounts/account-facts.ts'
import { isPlaceholder, linkMinutes } from '../accounts/account-link.ts'
import * as store from '../accounts/account-link-store.ts'
import { emailKey } from '../accounts/user.ts'
import { newSecretToken } from '../secret-token.ts'
import { requireMail, sealEmail } from './account-mail.ts'
import type { RecoveryContext } from './context.ts'
import { turnOf } from './current-password.ts'
import { removeUnprovenFactors } from './factor-removal.ts'
import { findLink, makeLink, takeLink } from './links.ts'
import { passwordChangedLetter, setPassword } from './set-password.ts'

/** Mails a link if the address has an account: once this resolves, the letter is written. Throws 429, whether it has one or not. */
export async function forgot(context: RecoveryContext, email: string, visitor: Visitor): Promise<void> {
  requireMail(context)
  const key = emailKey(email)
  const network = attemptNetwork(visitor.network)
  const known = await isKnown(context, key, network)
  // Never settled as right, so each one counts: a flood of emails slows down as wrong passwords do. Not the owner at home.
  await context.attempts.before({ kind: 'token', subject: known ? `forgot at home ${key}` : `forgot ${key}`, network })
  await context.defer(() => mailLink(context, email, known, visitor))
}

/** Whether the account has signed in from this network. Looked up for every address, whether it has an account or not. */
function isKnown({ attempts }: RecoveryContext, subject: string, network: string): Promise<boolean> {
  const looked = attempts.look({ kind: 'password', subject, network })
  // 429: where passwords may not be tried just now, it counts as a stranger.
  return looked.then(
    ({ known }) => known,
    () => false,
  )
}

/**
 * A new password for the holder of a link. Every session ends. Second factors stay, unless this is the first proof that the
 * mailbox is theirs.
 */
export async function reset(
  context: RecoveryContext,
  token: string,
  password: string,
  visitor: Visitor,
): Promise<void> {
  const { db, clock, passwords, report } = context
  const { link: found, account } = await findLink(context, token, ['password_reset'], visitor)
  const { accountId } = found
  context.checkNewPassword(password, account?.email ?? '')
  const passwordHash = await passwords.hash(password, turnOf(visitor.network))
  const now = clock.now()
  const owner = { id: accountId, email: account?.email ?? '' }
  const plain = await passwordChangedLetter(context, owner)
  const withRemoval = await passwordChangedLetter(context, owner, true)
  await inTransaction(db, { accountId }, async (tx) => {
    const { link, account: locked } = await takeLink(tx, found, now)
    const isMailed = link.email !== null
    const isFirstProof = isMailed && locked?.emailVerifiedAt === null
    if (isFirstProof) await store.saveVerified(tx, accountId, now)
    const removed = isFirstProof && (await removeUnprovenFactors(tx, accountId, report, visitor, now))
    const after = { link: isMailed ? 'mailed' : 'printed' }
    await setPassword(context, tx, accountId, passwordHash, visitor, 'password.reset', after)
    await context.letters.post(tx, removed ? withRemoval : plain)
  })
}

/** For the operator, who hands it over: nobody within an organization may take an account over. Null without an account. */
export async function resetLinkFor(
  context: RecoveryContext,
  email: string,
  httpRequestId: string | null = null,
): Promise<string | null> {
  const account = await accountOf(context, email)
  return account === null ? null : resetLink(context, account.id, null, false, { httpRequestId, network: null })
}

async function mailLink(context: RecoveryContext, asked: string, known: boolean, visitor: Visitor): Promise<void> {
  const account = await accountOf(context, asked)
  if (account === null || isPlaceholder(account.email)) {
    // Thrown away: where nothing can be sealed just now, the 503 must not depend on the account.
    await sealReset(context, newId(), asked, context.publicUrl, known)
    return
  }
  // To the address of the account, because one that is equal only in lower case may be another person's mailbox.
  await resetLink(context, account.id, account.email, known, visitor)
}

function accountOf({ db }: RecoveryContext, email: string): Promise<store.AccountSecrets | null> {
  const key = emailKey(email)
  return store.accountByKey(db.within({ lookUp: key }), key)
}

/** Null when the account has been mailed enough of them. `email` null: it is not mailed. */
async function resetLink(
  context: RecoveryContext,
  accountId: string,
  email: string | null,
  fromKnownNetwork: boolean,
  visitor: Visitor,
): Promise<string | null> {
  const { db, clock, letters, log, publicUrl, report } = context
  const token = newSecretToken()
  const link = `${publicUrl}/password/reset#${token}`
  const letter = email === null ? null : await sealReset(context, accountId, email, link, fromKnownNetwork)
  return inTransaction(db, { accountId }, async (tx) => {
    await store.lockAccount(tx, accountId)
    const now = clock.now()
    const asked = { accountId, purpose: 'password_reset', email, fromKnownNetwork } as const
    const expiresAt = await makeLink(tx, asked, token, now)
    const actor = email === null ? system : ({ kind: 'anonymous', id: null } as const)
    if (expiresAt === null) {
      const after = { letter: resetKind(fromKnownNetwork), reason: 'too_many', attempts: 0 }
      log.warn({ account_id: accountId, ...after }, 'a letter was not sent')
      const change = { after, occurredAt: now }
      await reportEverywhere(tx, accountId, report, { ...visitor, actor }, 'letter.not_sent', change)
      return null
    }
    const after = { mailed: email !== null, expires_at: expiresAt }
    const change = { after, occurredAt: now }
    await reportEverywhere(tx, accountId, report, { ...visitor, actor }, 'password.reset_requested', change)
    await letters.post(tx, letter)
    return link
  })
}

const resetKind = (known: boolean) => (known ? 'known_password_reset' : 'password_reset')

function sealReset(context: RecoveryContext, accountId: string, to: string, link: string, known: boolean) {
  const minutes = linkMinutes.password_reset
  return sealEmail(context, { kind: resetKind(known), accountId, email: resetEmail(to, link, minutes), minutes })
}
