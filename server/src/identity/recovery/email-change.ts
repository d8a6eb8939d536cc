import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { sqlState } from '../../platform/database/errors.ts'
import type { Email } from '../../platform/mail.ts'
import { invalid, refusal } from '../../platform/problem.ts'
import { isMailable } from '../../platform/smtp-settings.ts'
import {
  addressChangedEmail,
  addressChangeRequestedEmail,
  newAddressEmail,
  verificationEmail,
} from '../accounts/account-emails.ts'
import { bySession, everywhere, reportEverywhere, type Visitor } from '../accounts/account-facts.ts'
import { type AccountLink, isPlaceholder, linkMinutes } from '../accounts/account-link.ts'
import * as store from '../accounts/account-link-store.ts'
import { emailTaken } from '../accounts/user.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { usePermit } from '../factors/step-ups/use-permit.ts'
import type { Caller, Person } from '../principal.ts'
import { newSecretToken } from '../secret-token.ts'
import { addressesPerDay, requireMail, sealEmail, tooManyEmails } from './account-mail.ts'
import type { RecoveryContext } from './context.ts'
import { noPassword, requirePassword, wrongPassword } from './current-password.ts'
import { findLink, makeLink, type NewLink, takeLink } from './links.ts'

export const noEmail = refusal(409, 'email.none', {
  detail: 'Add an email address first: this account has none yet.',
  extra: { how: 'Send POST /api/v1/auth/email/change.' },
})
export const alreadyVerified = refusal(
  409,
  'email.already_verified',
  'This address is confirmed already. There is nothing to do.',
)

/** Mails the person a link that proves the address they have. */
export async function requestVerification(context: RecoveryContext, by: Caller<Person>): Promise<void> {
  requireMail(context)
  const account = await accountOf(context, by)
  if (isPlaceholder(account.email)) throw noEmail()
  if (account.emailVerifiedAt !== null) throw alreadyVerified()
  await mailLink(context, by, account, { purpose: 'email_verification', email: account.email }, async () => {})
}

/** Mails a link to the new address, and a notice to the old one. Nothing changes until the link is used. */
export async function requestChange(
  context: RecoveryContext,
  by: Caller<Person>,
  email: string,
  password: string,
  demandPermit: () => Promise<Permit>,
): Promise<void> {
  const { clock, letters, report } = context
  requireMail(context)
  if (!isMailable(email)) throw invalid('email', 'must be an address that mail can be sent to')
  const account = await accountOf(context, by)
  const permit = await proveOwner(context, by, account, password, demandPermit)
  if (email === account.email) throw invalid('email', 'is your current address')
  const now = clock.now()
  const dayAgo = new Date(now.getTime() - 86_400_000)
  const notice = await sealNotice(context, account.id, addressChangeRequestedEmail(account.email, now))
  const { sessionId = null } = by.principal
  await mailLink(context, by, account, { purpose: 'email_change', email, sessionId }, async (tx) => {
    const { digest = null, ...assurance } = await usePermit(tx, permit)
    const made = await letters.countOf(tx, account.id, 'email_change', dayAgo)
    if (made >= addressesPerDay) throw tooManyEmails('tomorrow')
    await letters.post(tx, notice)
    await reportEverywhere(tx, account.id, report, bySession(by), 'email.change_requested', {
      ...(digest === null ? {} : { digest, after: assurance }),
      erasable: { email_after: email },
      occurredAt: now,
    })
  })
}

/** Uses a mailed link: the address is proven, or replaces the old one. */
export async function confirm(context: RecoveryContext, token: string, visitor: Visitor): Promise<void> {
  const { link } = await findLink(context, token, ['email_verification', 'email_change'], visitor)
  await (link.purpose === 'email_change' ? confirmNew : confirmCurrent)(context, link, visitor)
}

async function confirmCurrent(
  { db, clock, report }: RecoveryContext,
  link: AccountLink,
  visitor: Visitor,
): Promise<void> {
  const { accountId } = link
  const now = clock.now()
  await inTransaction(db, { accountId }, async (tx) => {
    const { account } = await takeLink(tx, link, now)
    if (account?.emailVerifiedAt !== null) return
    await store.saveVerified(tx, accountId, now)
    await reportEverywhere(tx, accountId, report, visitor, 'email.verified', { occurredAt: now })
  })
}

async function confirmNew(context: RecoveryContext, found: AccountLink, visitor: Visitor): Promise<void> {
  const { accountId } = found
  const now = context.clock.now()
  const known = await store.accountById(context.db.within({ accountId }), accountId)
  const notice = known && (await sealNotice(context, accountId, addressChangedEmail(known.email, now)))
  await inTransaction(context.db, { accountId }, async (tx) => {
    const { link, account } = await takeLink(tx, found, now)
    const [before, email] = [account?.email ?? '', link.email ?? '']
    await store.saveEmail(tx, accountId, email, now)
    // The holder of the old mailbox must not get in through a link that still lies there.
    await store.dropOpenLinks(tx, accountId)
    const erasable = { email_before: before, email_after: email }
    await reportEverywhere(tx, accountId, context.report, visitor, 'email.changed', { erasable, occurredAt: now })
    await context.letters.post(tx, notice)
    await everywhere(tx, accountId, (membership) => store.saveMemberEmail(tx, membership, email))
  }).catch((error: unknown) => {
    throw sqlState(error) === '23505' ? emailTaken() : error
  })
}

const emails = { email_verification: verificationEmail, email_change: newAddressEmail } as const

function sealNotice(context: RecoveryContext, accountId: string, email: Email) {
  return sealEmail(context, { kind: 'notice', accountId, email })
}

async function accountOf({ db }: RecoveryContext, by: Caller<Person>): Promise<store.AccountSecrets> {
  const { accountId } = by.principal
  const account = await store.accountById(db.within({ accountId }), accountId)
  if (account === null) throw new Error('a signed-in person has no account')
  return account
}

/**
 * Asks for the password itself, not a step-up: an organization's identity provider can open a session, and must not be able
 * to take along an account that belongs to other organizations too. An account without address and password is asked for a
 * step-up, which the provider's word alone does not earn once the account belongs to other organizations or has a factor.
 */
async function proveOwner(
  context: RecoveryContext,
  by: Caller<Person>,
  { email, passwordHash }: store.AccountSecrets,
  given: string,
  demandPermit: () => Promise<Permit>,
): Promise<Permit | null> {
  if (passwordHash === null) {
    if (isPlaceholder(email)) return demandPermit()
    throw noPassword()
  }
  await requirePassword(context, by, { email, passwordHash }, given)
  return null
}

/** Throws 429 when the account has been mailed enough of them, 403 when its password changed meanwhile. */
async function mailLink(
  context: RecoveryContext,
  by: Caller<Person>,
  { id: accountId, passwordHash }: store.AccountSecrets,
  link: Omit<NewLink, 'accountId'> & { readonly purpose: keyof typeof emails; readonly email: string },
  alsoDo: (tx: Tx) => Promise<void>,
): Promise<void> {
  const { db, clock, letters, publicUrl } = context
  const { purpose: kind, email: to } = link
  const token = newSecretToken()
  const email = emails[kind](to, `${publicUrl}/email/confirm#${token}`)
  const minutes = linkMinutes[kind]
  const letter = await sealEmail(context, { kind, accountId, email, minutes, isAskedFor: true })
  await inTransaction(db, { accountId, organizationId: by.principal.organizationId }, async (tx) => {
    const locked = await store.lockAccount(tx, accountId)
    // A new password cancels the open links: none may be made for the old one afterwards.
    if (locked?.passwordHash !== passwordHash) throw wrongPassword()
    if ((await makeLink(tx, { accountId, ...link }, token, clock.now())) === null) throw tooManyEmails('in an hour')
    await alsoDo(tx)
    await letters.post(tx, letter)
  })
}
