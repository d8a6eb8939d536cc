import { type Actor, type Report, system } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import type { Logger } from '../../platform/log.ts'
import type { Letter, Mail } from '../../platform/mail.ts'
import { invalid, Problem } from '../../platform/problem.ts'
import {
  type AccountFact,
  attemptNetwork,
  everywhere,
  memberActor,
  reportEverywhere,
  type Visitor,
  visitorOf,
} from '../accounts/account-facts.ts'
import { passwordChangedLetter, resetLetter } from '../accounts/account-letters.ts'
import { hashLinkToken, isPlaceholder, linkMinutes, newLinkToken, useLink } from '../accounts/account-link.ts'
import * as store from '../accounts/account-link-store.ts'
import { createDeferredWork } from '../accounts/deferred-work.ts'
import type { NewPasswordCheck } from '../accounts/new-password.ts'
import type { Passwords } from '../accounts/passwords.ts'
import { emailKey } from '../accounts/user.ts'
import type { Caller, Person } from '../principal.ts'
import { dropLinkFlows } from '../sso/flows/store.ts'
import type { Attempts } from '../throttle/attempts.ts'
import { removeUnprovenFactors } from './factor-removal.ts'

export interface SessionsOfAccount {
  readonly accountId: string
  readonly organizationId: string
  /** Null: none is excepted. */
  readonly exceptSessionId: string | null
  /** Left out: their password was changed. */
  readonly because?: 'password_changed' | 'revoked'
}

export interface AccountDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly passwords: Passwords
  readonly checkNewPassword: NewPasswordCheck
  /** Null: this installation sends no mail. */
  readonly mail: Mail | null
  readonly publicUrl: string
  readonly attempts: Attempts
  /** Ends the account's sessions in one organization, the given one excepted; the scope is both. */
  readonly endSessions: (
    tx: Tx,
    of: SessionsOfAccount,
    by: { readonly actor: Actor; readonly httpRequestId: string | null },
  ) => Promise<void>
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
}

export type PasswordChanges = ReturnType<typeof createPasswordChanges>

/** To one account within an hour: more would be somebody's way to fill a mailbox. */
const lettersPerHour = 5

/** How a person gets another password: knowing the old one, or by a link that proves their mailbox. */
export function createPasswordChanges(dependencies: AccountDependencies) {
  const { db, clock, log, passwords, mail, publicUrl, attempts, endSessions, report } = dependencies
  const deferred = createDeferredWork()

  const linkTo = (token: string): string => `${publicUrl}/password/reset#${token}`

  /** A link; null when the account has had enough of them. `email` null: it is not mailed. */
  const makeLink = async (accountId: string, email: string | null, visitor: Visitor): Promise<string | null> => {
    const now = clock.now()
    const { token, hash } = newLinkToken()
    const expiresAt = new Date(now.getTime() + linkMinutes.password_reset * 60_000)
    return inTransaction(db, { accountId }, async (tx) => {
      await store.lockAccount(tx, accountId)
      const hourAgo = new Date(now.getTime() - 3_600_000)
      if (email !== null && (await store.countLinksSince(tx, accountId, 'password_reset', hourAgo)) >= lettersPerHour) {
        return null
      }
      // An hour longer than they last: they are counted.
      await store.dropExpiredLinks(tx, accountId, hourAgo)
      const link = {
        id: newId(),
        accountId,
        purpose: 'password_reset',
        email,
        expiresAt,
        usedAt: null,
        createdAt: now,
      } as const
      await store.insertLink(tx, link, hash)
      const actor = email === null ? system : ({ kind: 'anonymous', id: null } as const)
      const after = { mailed: email !== null, expires_at: expiresAt }
      const fact = { kind: 'password.reset_requested', before: null, after, occurredAt: now, visitor, actor } as const
      await reportEverywhere(tx, accountId, report, fact)
      return linkTo(token)
    })
  }

  const send = async (letter: Letter): Promise<void> => {
    // Its own log line says why. Nobody is told: whether there was a letter is nobody's business.
    await mail?.send(letter).catch(() => {})
  }

  const mailLink = async (email: string, visitor: Visitor): Promise<void> => {
    const key = emailKey(email)
    const account = await store.accountByKey(db.within({ lookUp: key }), key)
    if (account === null || isPlaceholder(account.email)) return
    // To the address as the account has it: one that is merely equal in lower case may be somebody else's mailbox.
    const link = await makeLink(account.id, account.email, visitor)
    if (link !== null) void send(resetLetter(account.email, link, linkMinutes.password_reset))
  }

  /** What is the same however the new password came about. `by`: in which session, which goes on. */
  const setPassword = async (
    tx: Tx,
    accountId: string,
    passwordHash: string,
    fact: Pick<AccountFact, 'kind' | 'after' | 'visitor' | 'by'>,
  ): Promise<void> => {
    const now = clock.now()
    await store.savePassword(tx, accountId, passwordHash, now)
    // Those that change the address too: whoever knew the old password may have asked for one.
    await store.dropOpenLinks(tx, accountId)
    await reportEverywhere(tx, accountId, report, { ...fact, before: null, occurredAt: now })
    const { by, visitor } = fact
    await everywhere(tx, accountId, async ({ organizationId, userId }) => {
      await dropLinkFlows(tx, organizationId, userId)
      const of = { accountId, organizationId, exceptSessionId: by?.principal.sessionId ?? null }
      await endSessions(tx, of, { actor: memberActor(userId, by), httpRequestId: visitor.httpRequestId })
    })
  }

  const notice = (email: string, factorsRemoved = false): void => {
    const forgotLink = `${publicUrl}/password/forgot`
    if (!isPlaceholder(email)) void send(passwordChangedLetter(email, clock.now(), forgotLink, factorsRemoved))
  }

  return {
    /** Another password for who knows the one they have. The person's other sessions end. */
    change: async (by: Caller<Person>, current: string, next: string): Promise<void> => {
      const { accountId } = by.principal
      const account = await store.accountById(db.within({ accountId }), accountId)
      if (account?.passwordHash == null) throw noPassword()
      const { passwordHash: before, email } = account
      if (!(await provesPassword(dependencies, by, { email, passwordHash: before }, current))) throw wrongPassword()
      dependencies.checkNewPassword(next, email, 'new_password')
      if (next === current) throw invalid('new_password', 'must be another one than the current password')
      const passwordHash = await passwords.hash(next, turnOf(by.network))
      await inTransaction(db, { accountId }, async (tx) => {
        const locked = await store.lockAccount(tx, accountId)
        // Somebody was first: what was proven is not the password any more.
        if (locked?.passwordHash !== before) throw wrongPassword()
        const fact = { kind: 'password.changed', after: null, visitor: visitorOf(by), by } as const
        await setPassword(tx, accountId, passwordHash, fact)
      })
      notice(email)
    },

    /** Mails a link if the address has an account, some moments after the reply. Throws 429, whether it has one or not. */
    forgot: async (email: string, visitor: Visitor): Promise<void> => {
      if (mail === null) throw noMail()
      // Never settled as right: each one counts, so a flood of letters slows down as wrong passwords do.
      const subject = `forgot ${emailKey(email)}`
      await attempts.before({ kind: 'token', subject, network: attemptNetwork(visitor.network) })
      deferred.add(() =>
        mailLink(email, visitor).catch((err: unknown) => log.error({ err }, 'a password link was not made')),
      )
    },

    /**
     * A new password for who holds a link. Every session ends. Second factors stay, unless this is the first proof that the
     * mailbox is theirs.
     */
    reset: async (token: string, password: string, visitor: Visitor): Promise<void> => {
      const hash = hashLinkToken(token)
      const found = await store.linkByToken(db.within({ lookUp: hash.toString('hex') }), hash)
      const account = found && (await store.accountById(db.within({ accountId: found.accountId }), found.accountId))
      const now = clock.now()
      if (found === null) await countGuess(attempts, visitor)
      const { id, accountId } = useLink(found, ['password_reset'], account, now)
      dependencies.checkNewPassword(password, account?.email ?? '')
      const passwordHash = await passwords.hash(password, turnOf(visitor.network))
      const { email, removed } = await inTransaction(db, { accountId }, async (tx) => {
        const locked = await store.lockAccount(tx, accountId)
        const link = useLink(await store.lockLink(tx, accountId, id), ['password_reset'], locked, now)
        await store.markLinkUsed(tx, link, now)
        // The link came by that mailbox.
        const isFirstProof = link.email !== null && locked?.emailVerifiedAt === null
        if (isFirstProof) await store.saveVerified(tx, accountId, now)
        const removed =
          isFirstProof && (await removeUnprovenFactors(tx, accountId, report, { visitor, occurredAt: now }))
        const after = { link: link.email === null ? 'printed' : 'mailed' }
        await setPassword(tx, accountId, passwordHash, { kind: 'password.reset', after, visitor })
        return { email: locked?.email ?? '', removed }
      })
      notice(email, removed)
    },

    /** For the operator's command, who hands it over: nobody within an organization may take an account over. */
    resetLinkFor: async (email: string, httpRequestId: string | null = null): Promise<string | null> => {
      const key = emailKey(email)
      const account = await store.accountByKey(db.within({ lookUp: key }), key)
      return account === null ? null : makeLink(account.id, null, { httpRequestId, network: null })
    },

    /** Does what is put off; for tests and the stop. */
    drain: deferred.drain,
  }
}

/**
 * Throws 429 for a network that tries many tokens. Only those that nobody made count: 256 bits are guessed by nobody, and a
 * right link must work however much its network has tried.
 */
export async function countGuess(attempts: Attempts, visitor: Visitor): Promise<void> {
  await attempts.before({ kind: 'token', subject: null, network: attemptNetwork(visitor.network) })
}

/** Counted as a failed sign-in is: whoever has stolen a session must not find the password out with it. */
export function provesPassword(
  { passwords, attempts }: Pick<AccountDependencies, 'passwords' | 'attempts'>,
  by: Caller<Person>,
  account: { readonly email: string; readonly passwordHash: string },
  given: string,
): Promise<boolean> {
  const turn = turnOf(by.network)
  const attempter = { kind: 'password', subject: emailKey(account.email), network: turn.share } as const
  return passwords.verify(given, account.passwordHash, turn, (work) => attempts.prove(attempter, work))
}

function turnOf(address: string | null | undefined) {
  return { share: attemptNetwork(address), known: false }
}

export function noMail(): Problem {
  const detail = 'This installation sends no mail. Ask whoever runs it for a link.'
  return new Problem(409, 'mail.not_configured', detail)
}

/** Not 401: the session is fine. */
export function wrongPassword(): Problem {
  return new Problem(403, 'password.wrong', 'The current password is not right. Nothing was changed.')
}

function noPassword(): Problem {
  const detail = 'This account has no password. Ask for a link with POST /api/v1/auth/password/forgot to choose one.'
  return new Problem(409, 'password.none', detail)
}
