import { system } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { resetEmail } from '../accounts/account-emails.ts'
import { attemptNetwork, reportEverywhere, type Visitor } from '../accounts/account-facts.ts'
import { isPlaceholder, linkMinutes } from '../accounts/account-link.ts'
import * as store from '../accounts/account-link-store.ts'
import { emailKey } from '../accounts/user.ts'
import { requireMail, send } from './account-mail.ts'
import type { RecoveryContext } from './context.ts'
import { turnOf } from './current-password.ts'
import { removeUnprovenFactors } from './factor-removal.ts'
import { findLink, makeLink, takeLink } from './links.ts'
import { mailPasswordChanged, setPassword } from './set-password.ts'

/** Mails a link if the address has an account, some moments after the reply. Throws 429, whether it has one or not. */
export async function forgot(context: RecoveryContext, email: string, visitor: Visitor): Promise<void> {
  requireMail(context)
  // Never settled as right, so each one counts: a flood of emails slows down as wrong passwords do.
  const subject = `forgot ${emailKey(email)}`
  await context.attempts.before({ kind: 'token', subject, network: attemptNetwork(visitor.network) })
  context.deferred.add(() =>
    mailLink(context, email, visitor).catch((err: unknown) =>
      context.log.error({ err }, 'a link to choose a new password was not made'),
    ),
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
  const { email, removed } = await inTransaction(db, { accountId }, async (tx) => {
    const { link, account: locked } = await takeLink(tx, found, now)
    const isMailed = link.email !== null
    const isFirstProof = isMailed && locked?.emailVerifiedAt === null
    if (isFirstProof) await store.saveVerified(tx, accountId, now)
    const removed = isFirstProof && (await removeUnprovenFactors(tx, accountId, report, visitor, now))
    const after = { link: isMailed ? 'mailed' : 'printed' }
    await setPassword(context, tx, accountId, passwordHash, visitor, 'password.reset', after)
    return { email: locked?.email ?? '', removed }
  })
  mailPasswordChanged(context, email, removed)
}

/** For the operator, who hands it over: nobody within an organization may take an account over. Null without an account. */
export async function resetLinkFor(
  context: RecoveryContext,
  email: string,
  httpRequestId: string | null = null,
): Promise<string | null> {
  const account = await accountOf(context, email)
  return account === null ? null : resetLink(context, account.id, null, { httpRequestId, network: null })
}

async function mailLink(context: RecoveryContext, asked: string, visitor: Visitor): Promise<void> {
  const account = await accountOf(context, asked)
  if (account === null || isPlaceholder(account.email)) return
  // To the address of the account, because one that is equal only in lower case may be another person's mailbox.
  const { id, email } = account
  const link = await resetLink(context, id, email, visitor)
  if (link !== null) send(context, resetEmail(email, link, linkMinutes.password_reset))
}

function accountOf({ db }: RecoveryContext, email: string): Promise<store.AccountSecrets | null> {
  const key = emailKey(email)
  return store.accountByKey(db.within({ lookUp: key }), key)
}

/** Null when the account has been mailed enough of them. `email` null: it is not mailed. */
function resetLink(
  { db, clock, publicUrl, report }: RecoveryContext,
  accountId: string,
  email: string | null,
  visitor: Visitor,
): Promise<string | null> {
  return inTransaction(db, { accountId }, async (tx) => {
    await store.lockAccount(tx, accountId)
    const now = clock.now()
    const made = await makeLink(tx, { accountId, purpose: 'password_reset', email }, now)
    if (made === null) return null
    const actor = email === null ? system : ({ kind: 'anonymous', id: null } as const)
    const after = { mailed: email !== null, expires_at: made.expiresAt }
    const change = { after, occurredAt: now }
    await reportEverywhere(tx, accountId, report, { ...visitor, actor }, 'password.reset_requested', change)
    return `${publicUrl}/password/reset#${made.token}`
  })
}
