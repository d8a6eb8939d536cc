import { setTimeout as delay } from 'node:timers/promises'
import type { Report } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import { installationId, newId } from '../../platform/ids.ts'
import type { Problem } from '../../platform/problem.ts'
import type { Passwords } from '../accounts/passwords.ts'
import * as people from '../accounts/store.ts'
import { emailKey, type User } from '../accounts/user.ts'
import type { Factors } from '../factors/service.ts'
import { noMembership, secondFactorRequired } from '../factors/sign-in/service.ts'
import type { Attempts } from '../throttle/attempts.ts'
import type { OpenedSession, Sessions, Visit } from './service.ts'
import { wrongCredentials } from './session.ts'

export interface SignInDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly passwords: Passwords
  readonly attempts: Attempts
  readonly factors: Factors
  readonly sessions: Sessions
  readonly report: Report
  /** Why the organization does not let this member in by these methods; null when it does. */
  readonly refusalOf: (user: User, methods: readonly string[]) => Promise<Problem | null>
}

export type SignIn = ReturnType<typeof createSignIn>

/**
 * Refusals leave at multiples of this after they came in. What is left of a difference between known and unknown accounts
 * (measured: 70 microseconds, for rows and events of a real organization) does not show then.
 */
const refusalTickMs = 10

async function untilNextTick(beganAt: number): Promise<void> {
  const gone = performance.now() - beganAt
  await delay(Math.ceil(gone / refusalTickMs) * refusalTickMs - gone)
}

/** From an address and a password, or from what else proves a person, to a session. */
export function createSignIn(dependencies: SignInDependencies) {
  const { db, clock, passwords, attempts, factors, sessions, report } = dependencies

  /**
   * An event, whoever the address belongs to. The same statements for an unknown account, which has no organization: its
   * failures are the installation's.
   */
  const reportFailure = async (accountId: string, user: User | null, email: string, visit: Visit): Promise<void> => {
    const organizationId = user?.organizationId ?? installationId
    await inTransaction(db, { organizationId }, (tx) =>
      report(tx, [
        {
          organizationId,
          kind: 'sign_in.failed',
          subjectKind: 'user',
          subjectId: user?.id ?? accountId,
          actor: { kind: 'anonymous', id: null },
          httpRequestId: visit.httpRequestId,
          network: visit.network,
          before: null,
          after: { method: 'password' },
          // Not of nobody's account: what stands there may be a password, typed into the wrong field.
          erasable: { email: user === null ? null : email },
          occurredAt: clock.now(),
        },
      ]),
    )
  }

  /** Where a sign-in of the account may lead, the likeliest first: `preferred`, where the last one led, the oldest one. */
  const entrancesOf = async (accountId: string, preferred: string | null = null): Promise<readonly User[]> => {
    const found = await people.entrances(db.within({ accountId }), accountId)
    const first = found.filter((user) => user.organizationId === preferred)
    return first.length === 0 ? found : [...first, ...found.filter((user) => user.organizationId !== preferred)]
  }

  /** The first that lets these methods in. Throws the first one's refusal when none does: one may demand single sign-on. */
  const firstOpen = async (entrances: readonly User[], methods: readonly string[]): Promise<User | null> => {
    let refusal: Problem | null = null
    for (const user of entrances) {
      const refused = await dependencies.refusalOf(user, methods)
      if (refused === null) return user
      refusal ??= refused
    }
    if (refusal !== null) throw refusal
    return null
  }

  /** Where a sign-in of the account leads; null when nowhere. */
  const membershipOf = async (accountId: string): Promise<User | null> => (await entrancesOf(accountId))[0] ?? null

  return {
    membershipOf,

    /** Throws 401 in the same words, after the same work, for a wrong password and an unknown address. */
    withPassword: async (email: string, password: string, visit: Visit): Promise<OpenedSession> => {
      const beganAt = performance.now()
      const provenAt = clock.now()
      const key = emailKey(email)
      const attempter = { kind: 'password', subject: key, network: visit.network } as const
      // Before the queue for hashing: who has to wait anyway does not take a place in it. The rows are read beside what takes
      // longer: one that is found takes some 10 microseconds more than one that is not, and so nobody sees them.
      const [{ known }, account] = await Promise.all([
        attempts.look(attempter),
        people.accountByEmail(db.within({ lookUp: key }), key),
      ])
      const accountId = account?.id ?? newId()
      const turn = { share: visit.network ?? '', known }
      const [matches, entrances] = await Promise.all([
        passwords.verify(password, account?.passwordHash ?? null, turn, (work) => attempts.prove(attempter, work)),
        entrancesOf(accountId),
      ])
      const user = matches ? await firstOpen(entrances, ['password']) : null
      if (user === null) {
        await reportFailure(accountId, entrances[0] ?? null, email, visit)
        await untilNextTick(beganAt)
        throw wrongCredentials()
      }
      if (!(await factors.signIn.secondFactorNeeded(accountId)))
        return sessions.begin(user, ['password'], visit, provenAt)
      const { organizationId, id: userId } = user
      throw secondFactorRequired(
        await factors.signIn.beginChallenge({ accountId, organizationId, userId, methods: ['password'], provenAt }),
      )
    },

    /** After the last factor. `organizationId` null: where the last sign-in led. */
    complete: async (
      proved: {
        readonly accountId: string
        readonly organizationId: string | null
        readonly methods: readonly string[]
        readonly provenAt: Date
      },
      visit: Visit,
    ): Promise<OpenedSession> => {
      const entrances = await entrancesOf(proved.accountId, proved.organizationId)
      const user = await firstOpen(entrances, proved.methods)
      if (user === null) throw noMembership()
      return sessions.begin(user, proved.methods, visit, proved.provenAt)
    },
  }
}
