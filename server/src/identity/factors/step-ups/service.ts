import type { EventKind } from '../../../facts/kinds.ts'
import { inTransaction, type Tx } from '../../../platform/database/db.ts'
import { newId } from '../../../platform/ids.ts'
import { refusal } from '../../../platform/problem.ts'
import { withContext } from '../../../platform/with-context.ts'
import { memberships } from '../../accounts/account-link-store.ts'
import { byCaller, type Caller, type Person } from '../../principal.ts'
import { hashSecretToken, newSecretToken } from '../../secret-token.ts'
import { scopeOf } from '../dependencies.ts'
import { counterFell, factAbout } from '../fact.ts'
import { type ProofMethod, proofMethods } from '../factor.ts'
import { type Ceremony, passkeyCopied } from '../passkeys/ceremonies.ts'
import type { AssertionOptions } from '../passkeys/passkey.ts'
import { type FactorContext, type JudgedProof, type Proof, type ProofFlaw, proverOf } from '../proofs.ts'
import {
  type Act,
  type Assurance,
  digestOf,
  judge,
  repeatMinutes,
  type Situation,
  stepUpMinutes,
  stepUpRequired,
} from '../step-up.ts'
import { factorState } from '../store.ts'
import * as store from './store.ts'

/** What lets one act happen. */
export interface Permit {
  /** SHA-256 of the act, in hex: for the event's `digest`. */
  readonly digest: string
  /**
   * Uses the permit up in the transaction of the act. It throws 403 if another act took it first or this act was done
   * before; that transaction must then be rolled back. A service that repeats an earlier reply does not call it.
   */
  readonly use: (tx: Tx) => Promise<Assurance>
}

/** What a sensitive call brings with it. */
export interface Shown {
  /** From X-Step-Up. */
  readonly token: string | null
  /** The act is to add a factor or an address. */
  readonly enrols: boolean
  /** Null also for calls that do not read the header. */
  readonly idempotencyKey: string | null
}

export const methodUnavailable = refusal(
  403,
  'auth.step_up_method',
  (methods: readonly ProofMethod[]) => ({
    detail:
      methods.length === 0
        ? 'You have nothing to prove yourself with here: add a passkey or an authenticator app first.'
        : `You cannot use this method here. Use one of: ${methods.join(', ')}.`,
    extra: { methods },
  }),
  ['passkey', 'totp'],
)

/** The same for every flaw but a copied passkey, so that nobody learns that a code was right once. */
export const proofRefused = refusal(
  403,
  'auth.step_up_refused',
  (methods: readonly ProofMethod[]) => ({
    detail: 'This proof is wrong, was used before, or came too late. Try again with a new one.',
    extra: { methods },
  }),
  ['passkey', 'totp'],
)

export type StepUps = ReturnType<typeof createStepUps>

export function createStepUps(context: FactorContext) {
  return withContext(context, { demand, grant, passkeyOptions })
}

/** Whether the act may happen now. Throws 403 with the digest and the methods when a step-up must be earned first. */
async function demand(
  context: FactorContext,
  by: Caller<Person>,
  act: Omit<Act, 'organizationId' | 'userId'>,
  shown: Shown,
): Promise<Permit> {
  const { organizationId, userId } = by.principal
  const digest = digestOf({ ...act, organizationId, userId })
  const claim = claimOf(by.principal, digest)
  const { token, idempotencyKey } = shown
  const tokenHash = token === null ? null : hashSecretToken(token)
  const situation = await situationOf(context, by.principal, digest, tokenHash, shown)
  const verdict = judge(situation)
  if (verdict === 'refused') {
    // Being asked for a step-up is normal; bringing a wrong one is worth an event.
    if (situation.token !== 'none') await reportUnfit(context, by, digest, act.operation)
    throw stepUpRequired(situation, digest)
  }
  return {
    digest: digest.toString('hex'),
    use: async (tx) => {
      if (verdict === 'repeated') throw stepUpRequired(situation, digest)
      if (verdict === 'sign_in' || tokenHash === null) return recordSignIn(context, tx, claim, idempotencyKey)
      const assurance = await store.takeStepUp(tx, tokenHash, claim, idempotencyKey, context.clock.now())
      if (assurance === null) throw stepUpRequired({ ...situation, token: 'unfit' }, digest)
      return assurance
    },
  }
}

async function situationOf(
  { db, clock, stepUpFreshMinutes }: FactorContext,
  person: Person,
  digest: Buffer,
  tokenHash: Buffer | null,
  { enrols, idempotencyKey }: Shown,
): Promise<Situation> {
  const now = clock.now()
  const claim = claimOf(person, digest)
  const since = new Date(now.getTime() - repeatMinutes * 60_000)
  const [factors, belongsTo, organizationRequires, tokenMethod, repeats] = await inTransaction(
    db,
    scopeOf(person),
    (tx) =>
      Promise.all([
        factorState(tx, person.accountId),
        memberships(tx, person.accountId),
        store.stepUpIsRequired(tx, person.organizationId),
        tokenHash === null ? null : store.findStepUp(tx, tokenHash, claim, now),
        idempotencyKey === null ? false : store.wasUsedFor(tx, tokenHash, claim, idempotencyKey, since),
      ]),
  )
  const freshMs = stepUpFreshMinutes * 60_000
  const signedInFreshly = person.signIn !== undefined && now.getTime() - person.signIn.at.getTime() < freshMs
  // An organization's identity provider speaks for its member, not for the owner of an account that other organizations
  // share: its operator must not be able to add a passkey to that account.
  const isOthersWord =
    enrols && person.signIn?.methods.includes('oidc') === true && (factors.hasPassword || belongsTo.length > 1)
  const token = tokenHash === null ? 'none' : tokenMethod === null ? 'unfit' : 'fits'
  return { token, tokenMethod, factors, organizationRequires, signedInFreshly, enrols, isOthersWord, repeats }
}

/** Records the sign-in of a moment ago as the step-up that it counts as. */
async function recordSignIn(
  { clock }: FactorContext,
  tx: Tx,
  claim: store.Claim,
  idempotencyKey: string | null,
): Promise<Assurance> {
  const now = clock.now()
  const assurance = { stepUpId: newId(), method: 'sign_in' } as const
  const { stepUpId: id, method } = assurance
  const times = { usedAt: now, expiresAt: now, createdAt: now }
  await store.insertStepUp(tx, { ...claim, id, method, tokenHash: null, idempotencyKey, ...times })
  return assurance
}

function reportUnfit(
  { db, clock, report }: FactorContext,
  by: Caller<Person>,
  digest: Buffer,
  operation: string,
): Promise<void> {
  return inTransaction(db, scopeOf(by.principal), (tx) => {
    const fact = factAbout(by, 'step_up.refused', { after: { operation, reason: 'unfit' } }, clock.now())
    return report(tx, [{ ...fact, digest: digest.toString('hex') }])
  })
}

/** A token for one act, for a proof that was made for it. */
async function grant(
  context: FactorContext,
  by: Caller<Person>,
  digest: Buffer,
  proof: Proof,
): Promise<{ readonly token: string; readonly expiresAt: Date }> {
  const { db, clock, proofs } = context
  const { accountId } = by.principal
  const methods = proofMethods(await factorState(db.within({ accountId }), accountId))
  if (!methods.includes(proof.method)) throw methodUnavailable(methods)
  const token = newSecretToken()
  const hash = hashSecretToken(token)
  const expiresAt = new Date(clock.now().getTime() + stepUpMinutes * 60_000)
  const flaw = await proofs.attempt(proverOf(by), async () =>
    earn(
      context,
      by,
      digest,
      await proofs.judge(proverOf(by), proof, ceremonyOf(by.principal, digest)),
      hash,
      expiresAt,
    ),
  )
  if (flaw === 'copied') throw passkeyCopied()
  if (flaw !== null) throw proofRefused(methods)
  return { token, expiresAt }
}

/** Uses up the proof and records the step-up that it earned, or that it was refused. */
function earn(
  { db, clock, report }: FactorContext,
  by: Caller<Person>,
  digest: Buffer,
  { method, spend }: JudgedProof,
  tokenHash: Buffer,
  expiresAt: Date,
): Promise<ProofFlaw | null> {
  return inTransaction(db, scopeOf(by.principal), async (tx) => {
    const spent = await spend(tx)
    const flaw = spent === 'counter_fell' ? null : spent
    const now = clock.now()
    if (spent === 'counter_fell') await report(tx, [counterFell(byCaller(by), by.principal.userId, now)])
    const about = (kind: EventKind, after: Readonly<Record<string, unknown>>) => ({
      ...factAbout(by, kind, { after }, now),
      digest: digest.toString('hex'),
    })
    if (flaw !== null) {
      await report(tx, [about('step_up.refused', { method, reason: flaw })])
      return flaw
    }
    const id = newId()
    const claim = claimOf(by.principal, digest)
    const unused = { idempotencyKey: null, usedAt: null }
    await store.insertStepUp(tx, { ...claim, ...unused, id, method, tokenHash, expiresAt, createdAt: now })
    await report(tx, [about('step_up.granted', { step_up_id: id, method, expires_at: expiresAt })])
    return null
  })
}

function claimOf({ organizationId, userId, sessionId }: Person, digest: Buffer): store.Claim {
  return { organizationId, userId, sessionId: sessionId ?? null, digest }
}

/** What the browser needs to have a passkey sign for the act. */
function passkeyOptions({ ceremonies }: FactorContext, person: Person, digest: Buffer): Promise<AssertionOptions> {
  return ceremonies.options(ceremonyOf(person, digest))
}

function ceremonyOf({ accountId, sessionId }: Person, digest: Buffer): Ceremony {
  return { purpose: 'step_up', accountId, boundTo: digest, sessionId: sessionId ?? null }
}
