import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { refusal } from '../../platform/problem.ts'
import { type FactorState, hasSecondFactor, type ProofMethod, proofMethods } from './factor.ts'

/** How long a granted step-up waits for its act. */
export const stepUpMinutes = 5

/** How long after an act its proof still covers a repetition: a client whose reply was lost asks again soon. */
export const repeatMinutes = 60

/** What a step-up is for. It covers exactly this person, organization, call and body. */
export interface Act {
  readonly organizationId: string
  readonly userId: string
  /** The operation's id in openapi.json. */
  readonly operation: string
  readonly method: string
  /** With its query, as the call spells it. */
  readonly path: string
  /** The parsed body; undefined when there is none. */
  readonly body: unknown
}

/**
 * SHA-256 over RFC 8785 JSON, so that a client can compute it too: the values of the body count, not its spelling. The body is
 * included as a digest of its own, so that an act can be logged or shown without it.
 */
export function digestOf(act: Act): Buffer {
  return sha256({
    v: 1,
    organization_id: act.organizationId,
    user_id: act.userId,
    operation: act.operation,
    method: act.method,
    path: act.path,
    body_sha256: act.body === undefined ? null : sha256(act.body).toString('hex'),
  })
}

function sha256(value: unknown): Buffer {
  return createHash('sha256')
    .update(canonicalize(value) ?? '')
    .digest()
}

/** The proof behind an act, as its event keeps it. `sign_in`: the person had just signed in, and has no second factor. */
export interface Assurance {
  readonly stepUpId: string
  readonly method: ProofMethod | 'sign_in'
}

/** As in an event's `after`. */
export function assuranceJson(assurance: Assurance): { readonly step_up_id: string; readonly method: string } {
  return { step_up_id: assurance.stepUpId, method: assurance.method }
}

export interface Situation {
  /** `fits`: it is this person's, for this act, unused and in time. */
  readonly token: 'none' | 'fits' | 'unfit'
  /** How the token was earned; null without one. */
  readonly tokenMethod: ProofMethod | null
  readonly factors: FactorState
  /** The organization wants an explicit step-up from everybody. */
  readonly organizationRequires: boolean
  /** The person signed in within STEP_UP_FRESH_MINUTES. */
  readonly signedInFreshly: boolean
  /** The act is to add a factor, or an address: something to sign in with. */
  readonly enrols: boolean
  /** It would add one to an account that the caller's identity provider does not speak for alone. */
  readonly isOthersWord: boolean
  /** The act was done with this very proof, under the Idempotency-Key of this call, within `repeatMinutes`. */
  readonly repeats: boolean
}

/** `repeated`: the act was done already, and only its reply is sent again. */
export type StepUpVerdict = 'repeated' | 'token' | 'sign_in' | 'refused'

interface Facts {
  readonly token: Situation['token']
  readonly earnedByPassword: boolean
  readonly secondFactor: boolean
  readonly organizationRequires: boolean
  readonly signedInFreshly: boolean
  /** There is a method with which a step-up could be earned. */
  readonly canProve: boolean
  readonly enrols: boolean
  readonly isOthersWord: boolean
  readonly repeats: boolean
}

/** The first line that fits decides; a fact that a line does not name may be either way. */
const rules: readonly (readonly [when: Partial<Facts>, verdict: StepUpVerdict])[] = [
  [{ repeats: true }, 'repeated'],
  // A token that was sent but does not fit is refused, even if the call would have needed none.
  [{ token: 'unfit' }, 'refused'],
  // A second factor was added since the token was earned, so the password no longer counts.
  [{ token: 'fits', earnedByPassword: true, secondFactor: true }, 'refused'],
  [{ token: 'fits' }, 'token'],
  [{ secondFactor: true }, 'refused'],
  [{ signedInFreshly: false }, 'refused'],
  [{ isOthersWord: true }, 'refused'],
  // People who have only single sign-on have nothing to prove themselves with, but must be able to add a first factor.
  [{ organizationRequires: true, canProve: false, enrols: true }, 'sign_in'],
  [{ organizationRequires: true }, 'refused'],
  [{}, 'sign_in'],
]

/** What allows the act: a step-up that was earned for it, a sign-in a moment ago, or nothing. */
export function judge(situation: Situation): StepUpVerdict {
  const facts: Facts = {
    ...situation,
    earnedByPassword: situation.tokenMethod === 'password',
    secondFactor: hasSecondFactor(situation.factors),
    canProve: proofMethods(situation.factors).length > 0,
  }
  const names = Object.keys(facts) as (keyof Facts)[]
  const fitting = rules.find(([when]) => names.every((name) => when[name] === undefined || when[name] === facts[name]))
  return fitting?.[1] ?? 'refused'
}

/** 403 with what the client needs to earn a step-up for the act. */
export const stepUpRequired = refusal(
  403,
  'auth.step_up_required',
  ({ token, factors, signedInFreshly, isOthersWord }: Situation, digest: Buffer) => {
    const methods = proofMethods(factors)
    const next =
      methods.length > 0
        ? 'To do this, confirm again that it is you.'
        : isOthersWord
          ? 'Sign in another way to do this: your identity provider speaks for its own organization alone.'
          : signedInFreshly
            ? 'Add a passkey or an authenticator app to do this: your organization asks for more than a sign-in.'
            : 'Sign in again to do this.'
    const why = token === 'none' ? '' : ' The proof that was sent is not for this, was used, or has expired.'
    const how =
      methods.length > 0
        ? 'Send POST /api/v1/auth/step-up with this digest and one of the methods, then repeat the call with its step_up in X-Step-Up.'
        : 'Once that is done, repeat the call.'
    return { detail: `${next}${why}`, extra: { how, digest: digest.toString('hex'), methods } }
  },
  {
    token: 'none',
    tokenMethod: null,
    factors: { hasPassword: true, hasTotp: true, passkeys: 1, recoveryCodes: 0 },
    organizationRequires: false,
    signedInFreshly: false,
    enrols: false,
    isOthersWord: false,
    repeats: false,
  },
  Buffer.alloc(32, 0x2c),
)
