import { type Fact, factBy } from '../../../facts/fact.ts'
import { bearerChallenge } from '../../../http/refusals.ts'
import { type Db, inTransaction, type Queryable } from '../../../platform/database/db.ts'
import { installationId, newId } from '../../../platform/ids.ts'
import { refusal } from '../../../platform/problem.ts'
import { withContext } from '../../../platform/with-context.ts'
import { enterableMemberships } from '../../accounts/store.ts'
import { byNobody, type Call } from '../../principal.ts'
import { hashSecretToken, newSecretToken } from '../../secret-token.ts'
import { counterFell } from '../fact.ts'
import { hasSecondFactor, type SecondFactorMethod, secondFactorMethods } from '../factor.ts'
import { type Ceremony, type JudgedAssertion, passkeyCopied } from '../passkeys/ceremonies.ts'
import type { AssertionOptions, AuthenticationResponseJSON } from '../passkeys/passkey.ts'
import { takeSignCount } from '../passkeys/store.ts'
import type { FactorContext, Proof, ProofFlaw } from '../proofs.ts'
import { factorState } from '../store.ts'
import * as store from './store.ts'

export const challengeMinutes = 5
/** For each right password five guesses, where three of a million codes are right; the throttle slows down the rest. */
export const maxTries = 5

/** A completed first factor and the membership it leads to. */
export interface FirstFactor {
  readonly accountId: string
  readonly organizationId: string
  readonly userId: string
  /** Such as ['password']. */
  readonly methods: readonly string[]
  /** The earliest time of the proof; left out: now. */
  readonly provenAt?: Date
}

/** A sign-in whose factors are complete; the caller opens the session. */
export interface SignedIn {
  readonly accountId: string
  /** Null after a passkey alone: the account decides where its sign-in leads. */
  readonly organizationId: string | null
  readonly methods: readonly string[]
  /** The earliest time of the first proof. */
  readonly provenAt: Date
}

export interface BegunChallenge {
  readonly challenge: string
  readonly methods: readonly SecondFactorMethod[]
  readonly expiresAt: Date
}

export type SecondFactorProof = Exclude<Proof, { method: 'password' }>

/** Asks for the second factor. Clients that know only passwords show its `detail`. */
export const secondFactorRequired = refusal(
  401,
  'auth.second_factor_required',
  ({ challenge, methods, expiresAt }: BegunChallenge) => ({
    detail: 'Use your second factor to sign in: a passkey, a code from your app, or a recovery code.',
    headers: bearerChallenge,
    extra: {
      how: 'Send POST /api/v1/auth/login/second-factor with the challenge and one of the methods.',
      challenge,
      methods,
      expires_at: expiresAt,
    },
  }),
  {
    challenge: '3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    methods: ['passkey', 'totp'],
    expiresAt: new Date('2026-01-31T09:05:00Z'),
  },
)

export const wrongSecondFactor = refusal(
  401,
  'auth.second_factor_wrong',
  (triesLeft: number) => ({
    detail:
      triesLeft > 0
        ? 'This second factor is wrong, was used before, or came too late. Try again.'
        : 'This second factor is wrong, and it was the last try. Sign in again.',
    headers: bearerChallenge,
    extra: { tries_left: triesLeft },
  }),
  4,
)

export const challengeOver = refusal(401, 'auth.challenge_over', {
  detail: 'This sign-in was completed, or took too long. Sign in again.',
  headers: bearerChallenge,
})

export const noMembership = refusal(
  403,
  'auth.no_membership',
  'This account belongs to no organization now. Ask an administrator.',
)

export const passkeyNotAccepted = refusal(401, 'auth.passkey_refused', {
  detail: 'This passkey is not known here, or its answer came too late. Try again, or sign in with your password.',
  headers: bearerChallenge,
})

export type SecondFactorSignIn = ReturnType<typeof createSecondFactorSignIn>

export function createSecondFactorSignIn(context: FactorContext) {
  return withContext(context, {
    secondFactorNeeded,
    beginChallenge,
    completeChallenge,
    passkeyOptions,
    signInWithPasskey,
  })
}

async function secondFactorNeeded({ db }: FactorContext, accountId: string): Promise<boolean> {
  return hasSecondFactor(await factorState(db.within({ accountId }), accountId))
}

/** For a sign-in whose first factor was right. Throw it as `secondFactorRequired`. */
async function beginChallenge(
  { db, clock }: FactorContext,
  { provenAt = clock.now(), ...first }: FirstFactor,
): Promise<BegunChallenge> {
  const token = newSecretToken()
  const hash = hashSecretToken(token)
  const expiresAt = new Date(clock.now().getTime() + challengeMinutes * 60_000)
  const own = db.within({ accountId: first.accountId })
  const methods = secondFactorMethods(await factorState(own, first.accountId))
  const row = { ...first, tokenHash: hash, tries: 0, expiresAt, createdAt: provenAt }
  await store.insertSignInChallenge(own, row)
  return { challenge: token, methods, expiresAt }
}

/** The second factor for an open challenge. Throws 401; every call is a try. */
async function completeChallenge(
  context: FactorContext,
  challenge: string,
  proof: SecondFactorProof,
  visitor: Call,
): Promise<SignedIn> {
  const { db, clock, proofs } = context
  const open = await openChallenge(context, challenge)
  const { accountId, organizationId, methods, tokenHash } = open
  let triesLeft = 0
  const flaw = await proofs.attempt({ accountId, network: visitor.network ?? null }, async () => {
    const counted = await store.countTry(lookUp(db, tokenHash), tokenHash, clock.now(), maxTries)
    if (counted === null) throw challengeOver()
    triesLeft = maxTries - counted.tries
    return complete(context, counted, proof, visitor)
  })
  if (flaw === 'copied') throw passkeyCopied()
  if (flaw !== null) throw wrongSecondFactor(triesLeft)
  return { accountId, organizationId, methods: [...methods, proof.method], provenAt: open.createdAt }
}

async function openChallenge({ db, clock }: FactorContext, challenge: string): Promise<store.SignInChallenge> {
  const tokenHash = hashSecretToken(challenge)
  const open = await store.openSignInChallenge(lookUp(db, tokenHash), tokenHash, clock.now(), maxTries)
  if (open === null) throw challengeOver()
  return open
}

function lookUp(db: Db, tokenHash: Buffer): Queryable {
  return db.within({ lookUp: tokenHash.toString('hex') })
}

/** Uses up the proof and the challenge, or returns what is wrong with the proof. */
async function complete(
  { db, clock, report, proofs }: FactorContext,
  challenge: store.SignInChallenge,
  proof: SecondFactorProof,
  visitor: Call,
): Promise<ProofFlaw | null> {
  const { accountId, organizationId } = challenge
  const prover = { accountId, network: visitor.network ?? null }
  const judged = await proofs.judge(prover, proof, secondFactorOf(challenge))
  return inTransaction(db, { organizationId, accountId }, async (tx) => {
    const spent = await judged.spend(tx)
    const flaw = spent === 'counter_fell' ? null : spent
    if (spent === 'counter_fell') await report(tx, [fellFact(challenge, visitor, clock.now())])
    if (flaw !== null) {
      await report(tx, [refusedFact(challenge, visitor, { method: proof.method, reason: flaw }, clock.now())])
    } else if (!(await store.useSignInChallenge(tx, challenge, clock.now()))) {
      // Throwing gives the code back: another try with the same challenge was right first.
      throw challengeOver()
    }
    return flaw
  })
}

/** What the browser needs to ask for a passkey: one of the challenge's account or, without a challenge, any. */
async function passkeyOptions(context: FactorContext, challenge: string | null): Promise<AssertionOptions> {
  const ceremony = challenge === null ? anyPasskey : secondFactorOf(await openChallenge(context, challenge))
  return context.ceremonies.options(ceremony)
}

function secondFactorOf({ accountId, tokenHash }: store.SignInChallenge): Ceremony {
  return { purpose: 'second_factor', accountId, boundTo: tokenHash, sessionId: null }
}

type MemberAtDoor = Pick<FirstFactor, 'organizationId' | 'userId'>

const anyPasskey: Ceremony = { purpose: 'sign_in', accountId: null, boundTo: null, sessionId: null }

/**
 * A passkey instead of address and password. It is two factors by itself, the device and what unlocks it, so nothing
 * else is asked.
 */
async function signInWithPasskey(
  context: FactorContext,
  assertion: AuthenticationResponseJSON,
  visitor: Call,
): Promise<SignedIn> {
  const { clock, proofs, ceremonies } = context
  let accountId: string | null = null
  const provenAt = clock.now()
  const flaw = await proofs.attempt({ accountId, network: visitor.network ?? null }, async () => {
    const judged = await ceremonies.judge(assertion, anyPasskey)
    accountId = judged.passkey?.accountId ?? null
    return spendAssertion(context, judged, visitor)
  })
  if (flaw === 'copied') throw passkeyCopied()
  if (flaw !== null || accountId === null) throw passkeyNotAccepted()
  return { accountId, organizationId: null, methods: ['passkey'], provenAt }
}

/**
 * Takes the count of a passkey that signs in alone, or returns what is wrong with it. The failure is reported in its
 * owner's organization, or in the installation's events if the owner is unknown.
 */
async function spendAssertion(
  { db, clock, report }: FactorContext,
  judged: JudgedAssertion,
  visitor: Call,
): Promise<ProofFlaw | null> {
  const accountId = judged.passkey?.accountId ?? newId()
  const [member] = judged.passkey === null ? [] : await enterableMemberships(db.within({ accountId }), accountId)
  const { organizationId, id: userId } = member ?? { organizationId: installationId, id: accountId }
  return inTransaction(db, { accountId, organizationId }, async (tx) => {
    const spent = 'said' in judged ? await takeSignCount(tx, judged.passkey, judged.said, clock.now()) : judged.refused
    const flaw = spent === 'counter_fell' ? null : spent
    if (spent === 'counter_fell') await report(tx, [fellFact({ organizationId, userId }, visitor, clock.now())])
    if (flaw !== null) {
      const after = { method: 'passkey', reason: flaw } as const
      await report(tx, [refusedFact({ organizationId, userId }, visitor, after, clock.now())])
    }
    return flaw
  })
}

function fellFact({ organizationId, userId }: MemberAtDoor, visitor: Call, occurredAt: Date): Fact {
  return counterFell(byNobody(organizationId, visitor), userId, occurredAt)
}

/** Nobody has signed in yet: the person is the subject of the fact, not its actor. */
function refusedFact(
  member: MemberAtDoor,
  visitor: Call,
  after: { readonly method: string; readonly reason: ProofFlaw },
  occurredAt: Date,
): Fact {
  const change = { before: null, after, occurredAt }
  return factBy(byNobody(member.organizationId, visitor), 'second_factor.refused', ['user', member.userId], change)
}
