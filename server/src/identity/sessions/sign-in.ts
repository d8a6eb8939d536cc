import { setTimeout as delay } from 'node:timers/promises'
import { factBy } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { installationId, newId } from '../../platform/ids.ts'
import type { Problem } from '../../platform/problem.ts'
import { withContext } from '../../platform/with-context.ts'
import type { Passwords } from '../accounts/passwords.ts'
import * as people from '../accounts/store.ts'
import { emailKey, type User } from '../accounts/user.ts'
import type { IdentityContext } from '../context.ts'
import type { Factors } from '../factors/service.ts'
import { noMembership, secondFactorRequired } from '../factors/sign-in/service.ts'
import { byNobody } from '../principal.ts'
import type { Attempts } from '../throttle/attempts.ts'
import type { OpenedSession, Visit } from './opening.ts'
import type { Sessions } from './service.ts'
import { wrongCredentials } from './session.ts'

export interface SignInContext extends IdentityContext {
  readonly passwords: Passwords
  readonly attempts: Attempts
  readonly factors: Factors
  readonly sessions: Sessions
  /** Why the organization does not accept these methods from this member; null when it does. */
  readonly refusalOf: (user: User, methods: readonly string[]) => Promise<Problem | null>
}

export type SignIn = ReturnType<typeof createSignIn>

/** From proof of who somebody is, such as address and password, to a session. */
export function createSignIn(context: SignInContext) {
  return withContext(context, { withPassword, complete })
}

/** Throws 401 in the same words, after the same work, for a wrong password and an unknown address. */
async function withPassword(
  context: SignInContext,
  email: string,
  password: string,
  visit: Visit,
): Promise<OpenedSession> {
  const { db, clock, passwords, attempts, factors, sessions } = context
  const beganAt = performance.now()
  const provenAt = clock.now()
  const key = emailKey(email)
  const attempter = { kind: 'password', subject: key, network: visit.network } as const
  // Before the queue for hashing, so that a caller that has to wait takes no place in it. The rows are read alongside slower
  // work: a row that exists takes some 10 microseconds more than one that does not, which then does not show.
  const [{ known }, account] = await Promise.all([
    attempts.look(attempter),
    people.accountByEmail(db.within({ lookUp: key }), key),
  ])
  const accountId = account?.id ?? newId()
  const turn = { share: visit.network ?? '', known }
  const [matches, memberships] = await Promise.all([
    passwords.verify(password, account?.passwordHash ?? null, turn, (work) => attempts.prove(attempter, work)),
    membershipsOf(context, accountId),
  ])
  const user = matches ? await firstThatAccepts(context, memberships, ['password']) : null
  if (user === null) {
    await reportFailure(context, accountId, memberships[0] ?? null, email, visit)
    await untilNextTick(beganAt)
    throw wrongCredentials()
  }
  if (!(await factors.signIn.secondFactorNeeded(accountId))) return sessions.begin(user, ['password'], visit, provenAt)
  const { organizationId, id: userId } = user
  throw secondFactorRequired(
    await factors.signIn.beginChallenge({ accountId, organizationId, userId, methods: ['password'], provenAt }),
  )
}

/** After the last factor. A null `organizationId` leads where the last sign-in led. */
async function complete(
  context: SignInContext,
  proved: {
    readonly accountId: string
    readonly organizationId: string | null
    readonly methods: readonly string[]
    readonly provenAt: Date
  },
  visit: Visit,
): Promise<OpenedSession> {
  const memberships = await membershipsOf(context, proved.accountId, proved.organizationId)
  const user = await firstThatAccepts(context, memberships, proved.methods)
  if (user === null) throw noMembership()
  return context.sessions.begin(user, proved.methods, visit, proved.provenAt)
}

/** Where a sign-in of the account may lead: `preferred` first, then where the last one led, then the oldest. */
async function membershipsOf(
  { db }: SignInContext,
  accountId: string,
  preferred: string | null = null,
): Promise<readonly User[]> {
  const found = await people.enterableMemberships(db.within({ accountId }), accountId)
  const first = found.filter((user) => user.organizationId === preferred)
  return first.length === 0 ? found : [...first, ...found.filter((user) => user.organizationId !== preferred)]
}

/** Throws the first one's refusal when none accepts these methods: it may require single sign-on. */
async function firstThatAccepts(
  { refusalOf }: SignInContext,
  memberships: readonly User[],
  methods: readonly string[],
): Promise<User | null> {
  let refusal: Problem | null = null
  for (const user of memberships) {
    const refused = await refusalOf(user, methods)
    if (refused === null) return user
    refusal ??= refused
  }
  if (refusal !== null) throw refusal
  return null
}

/**
 * An event, whether or not the address belongs to an account. An unknown account runs the same statements; having no
 * organization, its failures are the installation's.
 */
async function reportFailure(
  { db, clock, report }: SignInContext,
  accountId: string,
  user: User | null,
  email: string,
  visit: Visit,
): Promise<void> {
  const organizationId = user?.organizationId ?? installationId
  const fact = factBy(byNobody(organizationId, visit), 'sign_in.failed', ['user', user?.id ?? accountId], {
    before: null,
    after: { method: 'password' },
    // Not for an unknown account: the text may be a password, typed into the wrong field.
    erasable: { email: user === null ? null : email },
    occurredAt: clock.now(),
  })
  await inTransaction(db, { organizationId }, (tx) => report(tx, [fact]))
}

/**
 * Refusals are sent at multiples of this after the call came in. It hides what is left of the difference between known and
 * unknown accounts (measured: 70 microseconds, for rows and events of a real organization).
 */
const refusalTickMs = 10

async function untilNextTick(beganAt: number): Promise<void> {
  const gone = performance.now() - beganAt
  await delay(Math.ceil(gone / refusalTickMs) * refusalTickMs - gone)
}
