import type { Clock } from '../../../platform/clock.ts'
import type { Db, Queryable } from '../../../platform/database/db.ts'
import { refusal } from '../../../platform/problem.ts'
import type { Assurance } from '../step-up.ts'
import {
  type AssertionOptions,
  type AuthenticationResponseJSON,
  answeredChallenge,
  assertionOptions,
  type CeremonyPurpose,
  ceremonyMinutes,
  hashCeremonyChallenge,
  newCeremonyChallenge,
  type Passkey,
  type RegistrationResponseJSON,
  type RelyingParty,
  verifyAssertion,
} from './passkey.ts'
import * as store from './store.ts'

/** What a challenge is made for; its answer counts for this and for nothing else. */
export interface Ceremony {
  readonly purpose: CeremonyPurpose
  readonly accountId: string | null
  readonly boundTo: Buffer | null
  /** The session that registers or steps up; null for a sign-in. */
  readonly sessionId: string | null
}

/** A signature that holds. It counts once its counter is taken (`store.takeSignCount`). */
export interface Assertion {
  readonly passkey: Passkey
  readonly said: Pick<Passkey, 'signCount' | 'isBackedUp'>
}

export type JudgedAssertion =
  | Assertion
  | { readonly refused: 'challenge' | 'unknown'; readonly passkey: null }
  | { readonly refused: 'wrong'; readonly passkey: Passkey }

export const passkeysUnavailable = refusal(
  409,
  'passkey.unavailable',
  'Passkeys need a domain name, but PUBLIC_URL has an IP address. The operator of this service can change it.',
)

export const passkeyCopied = refusal(
  403,
  'passkey.copied',
  'This passkey belongs to one device, but its counter went back, so there may be a copy of it. Use another factor, then remove this passkey.',
)

export type Ceremonies = ReturnType<typeof createCeremonies>

/** The challenges of passkeys: each is stored for at most five minutes, and the first answer takes it out. */
export function createCeremonies(options: {
  readonly db: Db
  readonly clock: Clock
  readonly party: RelyingParty | null
}) {
  const { db, clock } = options

  const party = (): RelyingParty => {
    if (options.party === null) throw passkeysUnavailable()
    return options.party
  }

  /** A challenge that is not stored yet, and how to store it: the statement must run within a look-up of its hash. */
  const prepare = (ceremony: Ceremony, assurance: Assurance | null = null) => {
    const challenge = newCeremonyChallenge(ceremony.purpose === 'step_up' ? ceremony.boundTo : null)
    const hash = hashCeremonyChallenge(challenge)
    const now = clock.now()
    const expiresAt = new Date(now.getTime() + ceremonyMinutes * 60_000)
    const row = { ...ceremony, hash, assurance, expiresAt, createdAt: now }
    return {
      challenge,
      lookUp: hash.toString('hex'),
      store: (on: Queryable, proof = assurance) => store.insertCeremonyChallenge(on, { ...row, assurance: proof }),
    }
  }

  /** Takes out the challenge that an answer was made for. Null when it is not of this ceremony, was answered, or is late. */
  const take = async (
    response: RegistrationResponseJSON | AuthenticationResponseJSON,
    ceremony: Ceremony,
  ): Promise<store.CeremonyChallenge | null> => {
    const hash = answeredChallenge(response)
    if (hash === null) return null
    const taken = await store.takeCeremonyChallenge(db.within({ lookUp: hash.toString('hex') }), hash)
    const fits =
      taken !== null &&
      taken.purpose === ceremony.purpose &&
      taken.accountId === ceremony.accountId &&
      taken.sessionId === ceremony.sessionId &&
      (taken.boundTo ?? Buffer.alloc(0)).equals(ceremony.boundTo ?? Buffer.alloc(0)) &&
      taken.expiresAt > clock.now()
    return fits ? taken : null
  }

  return {
    party,
    prepare,
    take,

    /** What the browser needs to ask an authenticator: for one of the account's passkeys, or for any. */
    options: async (ceremony: Ceremony): Promise<AssertionOptions> => {
      const site = party()
      const { accountId } = ceremony
      const allowed = accountId === null ? [] : await store.passkeys(db.within({ accountId }), accountId)
      const { challenge, lookUp, store: keep } = prepare(ceremony)
      await keep(db.within({ lookUp }))
      return assertionOptions(site, challenge, allowed)
    },

    /** The passkey that signed, or why the answer does not count. */
    judge: async (response: AuthenticationResponseJSON, ceremony: Ceremony): Promise<JudgedAssertion> => {
      const site = party()
      if ((await take(response, ceremony)) === null) return { refused: 'challenge', passkey: null }
      const credentialId = Buffer.from(response.id, 'base64url')
      const passkey = await store.passkeyByCredential(db.within({ lookUp: credentialId.toString('hex') }), credentialId)
      if (passkey === null || (ceremony.accountId !== null && passkey.accountId !== ceremony.accountId)) {
        return { refused: 'unknown', passkey: null }
      }
      // WebAuthn 7.2, step 6: where no account is known yet, the authenticator must name it too.
      const named = ceremony.accountId !== null || (response.response.userHandle ?? '') !== ''
      const said = named ? await verifyAssertion(site, response, passkey) : null
      return said === null ? { refused: 'wrong', passkey } : { passkey, said }
    },
  }
}
