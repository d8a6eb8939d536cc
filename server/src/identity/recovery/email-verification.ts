import { inTransaction } from '../../platform/database/db.ts'
import { sqlState } from '../../platform/database/errors.ts'
import { newId } from '../../platform/ids.ts'
import type { Letter } from '../../platform/mail.ts'
import { invalid, Problem } from '../../platform/problem.ts'
import { isMailable } from '../../platform/smtp-settings.ts'
import { everywhere, reportEverywhere, type Visitor, visitorOf } from '../accounts/account-facts.ts'
import {
  addressChangeAskedLetter,
  addressChangedLetter,
  newAddressLetter,
  verificationLetter,
} from '../accounts/account-letters.ts'
import {
  type AccountLink,
  hashLinkToken,
  isPlaceholder,
  type LinkPurpose,
  linkMinutes,
  newLinkToken,
  useLink,
} from '../accounts/account-link.ts'
import * as store from '../accounts/account-link-store.ts'
import type { Caller, Person } from '../principal.ts'
import { type AccountDependencies, countGuess, noMail, provesPassword, wrongPassword } from './password-reset.ts'

export type EmailChanges = ReturnType<typeof createEmailChanges>

const lettersPerHour = 5

/** Addresses are proven by a letter before anything relies on them; a new one replaces the old one only then. */
export function createEmailChanges(dependencies: AccountDependencies) {
  const { db, clock, mail, publicUrl, attempts, report } = dependencies

  const send = async (letter: Letter): Promise<void> => {
    await mail?.send(letter).catch(() => {})
  }

  /** Throws 429 when the account has had enough letters, 403 when its password is another one by now. */
  const makeLink = async (
    { id: accountId, passwordHash }: store.AccountSecrets,
    purpose: LinkPurpose,
    email: string,
  ): Promise<string> => {
    const now = clock.now()
    const { token, hash } = newLinkToken()
    const expiresAt = new Date(now.getTime() + linkMinutes[purpose] * 60_000)
    await inTransaction(db, { accountId }, async (tx) => {
      const locked = await store.lockAccount(tx, accountId)
      // A new password voids the links that there are: none may come after it for the old one.
      if (locked?.passwordHash !== passwordHash) throw wrongPassword()
      const hourAgo = new Date(now.getTime() - 3_600_000)
      if ((await store.countLinksSince(tx, accountId, purpose, hourAgo)) >= lettersPerHour) throw tooManyLetters()
      await store.dropExpiredLinks(tx, accountId, hourAgo)
      await store.insertLink(
        tx,
        { id: newId(), accountId, purpose, email, expiresAt, usedAt: null, createdAt: now },
        hash,
      )
    })
    return `${publicUrl}/email/confirm#${token}`
  }

  const ownAccount = async (by: Caller<Person>): Promise<store.AccountSecrets> => {
    const { accountId } = by.principal
    const account = await store.accountById(db.within({ accountId }), accountId)
    if (account === null) throw new Error('a signed-in person has no account')
    return account
  }

  /**
   * The password itself, not a step-up: a session that an organization's identity provider opened must not be enough to
   * take an account along that belongs to other organizations, too. Who has no password has nothing else to take.
   */
  const provePassword = async (by: Caller<Person>, account: store.AccountSecrets, given: string): Promise<void> => {
    const { passwordHash } = account
    if (passwordHash === null && isPlaceholder(account.email)) return
    if (passwordHash === null) {
      const detail = 'This account has no password yet. Choose one with POST /api/v1/auth/password/forgot first.'
      throw new Problem(409, 'password.none', detail)
    }
    if (!(await provesPassword(dependencies, by, { email: account.email, passwordHash }, given))) throw wrongPassword()
  }

  const confirmOwn = async (link: AccountLink, visitor: Visitor): Promise<void> => {
    const { accountId } = link
    const now = clock.now()
    await inTransaction(db, { accountId }, async (tx) => {
      const account = await store.lockAccount(tx, accountId)
      const locked = useLink(await store.lockLink(tx, accountId, link.id), ['email_verification'], account, now)
      await store.markLinkUsed(tx, locked, now)
      if (account?.emailVerifiedAt !== null) return
      await store.saveVerified(tx, accountId, now)
      const fact = { kind: 'email.verified', before: null, after: null, occurredAt: now, visitor } as const
      await reportEverywhere(tx, accountId, report, fact)
    })
  }

  const confirmNew = async (link: AccountLink, visitor: Visitor): Promise<void> => {
    const { accountId } = link
    const now = clock.now()
    const old = await inTransaction(db, { accountId }, async (tx) => {
      const account = await store.lockAccount(tx, accountId)
      const locked = useLink(await store.lockLink(tx, accountId, link.id), ['email_change'], account, now)
      const [before, email] = [account?.email ?? '', locked.email ?? '']
      await store.markLinkUsed(tx, locked, now)
      await store.saveEmail(tx, accountId, email, now)
      // Whoever holds the old mailbox must not come in by a link that still lies there.
      await store.dropOpenLinks(tx, accountId)
      const erasable = { email_before: before, email_after: email }
      const fact = { kind: 'email.changed', before: null, after: null, erasable, occurredAt: now, visitor } as const
      await reportEverywhere(tx, accountId, report, fact)
      await everywhere(tx, accountId, (membership) => store.saveMemberEmail(tx, membership, email))
      return before
    }).catch((error: unknown) => {
      throw sqlState(error) === '23505' ? taken() : error
    })
    if (!isPlaceholder(old)) void send(addressChangedLetter(old, now))
  }

  return {
    /** Mails the person a link that proves the address they have. */
    requestVerification: async (by: Caller<Person>): Promise<void> => {
      if (mail === null) throw noMail()
      const account = await ownAccount(by)
      if (isPlaceholder(account.email)) {
        throw new Problem(
          409,
          'email.none',
          'This account has no address yet. Name one with POST /api/v1/auth/email/change.',
        )
      }
      if (account.emailVerifiedAt !== null) {
        throw new Problem(409, 'email.already_verified', 'This address is confirmed already. There is nothing to do.')
      }
      void send(verificationLetter(account.email, await makeLink(account, 'email_verification', account.email)))
    },

    /** Mails a link to the new address, and a notice to the old one. Nothing changes yet. */
    requestChange: async (by: Caller<Person>, email: string, password: string): Promise<void> => {
      if (mail === null) throw noMail()
      if (!isMailable(email)) throw invalid('email', 'must be an address that mail can be sent to')
      const account = await ownAccount(by)
      await provePassword(by, account, password)
      if (email === account.email) throw invalid('email', 'is the address you have')
      const link = await makeLink(account, 'email_change', email)
      const now = clock.now()
      await inTransaction(db, { accountId: account.id }, (tx) =>
        reportEverywhere(tx, account.id, report, {
          kind: 'email.change_requested',
          before: null,
          after: null,
          erasable: { email_after: email },
          occurredAt: now,
          visitor: visitorOf(by),
          by,
        }),
      )
      void send(newAddressLetter(email, link))
      if (!isPlaceholder(account.email)) void send(addressChangeAskedLetter(account.email, now))
    },

    /** What a mailed link asks for: the address is proven, or takes the place of the old one. */
    confirm: async (token: string, visitor: Visitor): Promise<void> => {
      const hash = hashLinkToken(token)
      const found = await store.linkByToken(db.within({ lookUp: hash.toString('hex') }), hash)
      if (found === null) await countGuess(attempts, visitor)
      const account = found && (await store.accountById(db.within({ accountId: found.accountId }), found.accountId))
      const link = useLink(found, ['email_verification', 'email_change'], account, clock.now())
      await (link.purpose === 'email_change' ? confirmNew(link, visitor) : confirmOwn(link, visitor))
    },
  }
}

function taken(): Problem {
  return new Problem(409, 'auth.email_taken', 'Email already registered')
}

function tooManyLetters(): Problem {
  const detail = 'Enough letters were sent for now. Look into your mailbox, also for spam, or try again in an hour.'
  return new Problem(429, 'mail.too_many', detail, { headers: { 'retry-after': '3600' } })
}
