import { createHash, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'

/** Loaded when a passkey is first used: its 300 modules take 120 ms of every start. */
const library = () => import('@simplewebauthn/server')

export type { AuthenticationResponseJSON, RegistrationResponseJSON }
export type RegistrationOptions = PublicKeyCredentialCreationOptionsJSON
export type AssertionOptions = PublicKeyCredentialRequestOptionsJSON

export interface Passkey {
  readonly accountId: string
  readonly id: string
  readonly credentialId: Buffer
  readonly publicKey: Buffer
  /** How often it has signed, by its own count; synced passkeys always say 0. */
  readonly signCount: number
  readonly transports: readonly string[]
  readonly name: string
  /** Whether it is kept in a cloud account and so outlives its device. */
  readonly isBackedUp: boolean
  readonly lastUsedAt: Date | null
  readonly createdAt: Date
}

/** The site that passkeys are bound to. */
export interface RelyingParty {
  readonly id: string
  readonly origin: string
  readonly name: string
}

/** What a ceremony is for: an answer for one purpose does not count for another. */
export type CeremonyPurpose = 'registration' | 'sign_in' | 'second_factor' | 'step_up'

export const ceremonyMinutes = 5
const timeout = ceremonyMinutes * 60_000

/** COSE numbers of Ed25519, ECDSA on P-256 and RSA: what authenticators make (WebAuthn, 5.4, names the last two). */
const algorithms = [-8, -7, -257]

/** Null where PUBLIC_URL names an address: a relying party's id is a domain (WebAuthn, 4), so there can be no passkeys. */
export function relyingPartyOf(publicUrl: string, name: string): RelyingParty | null {
  const { hostname, origin } = new URL(publicUrl)
  return isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? { id: hostname, origin, name } : null
}

/** Random, followed by the digest of the act if there is one, so that the authenticator's signature covers the act too. */
export function newCeremonyChallenge(digest: Buffer | null): Buffer {
  return digest === null ? randomBytes(32) : Buffer.concat([randomBytes(32), digest])
}

export function hashCeremonyChallenge(challenge: Buffer): Buffer {
  return createHash('sha256').update(challenge).digest()
}

/** The hash under which the challenge that an answer was made for is stored; null when it names none. */
export function answeredChallenge(response: { readonly response: { readonly clientDataJSON: string } }): Buffer | null {
  const { challenge } = clientDataOf(response)
  return typeof challenge === 'string' ? hashCeremonyChallenge(Buffer.from(challenge, 'base64url')) : null
}

/** The account's id as the authenticator keeps it: random, and nobody's address (WebAuthn, 14.6.1). */
function userHandle(accountId: string): Buffer {
  return Buffer.from(accountId.replaceAll('-', ''), 'hex')
}

export async function registrationOptions(
  party: RelyingParty,
  person: { readonly accountId: string; readonly email: string },
  known: readonly Passkey[],
  challenge: Buffer,
): Promise<RegistrationOptions> {
  return (await library()).generateRegistrationOptions({
    rpID: party.id,
    rpName: party.name,
    userID: new Uint8Array(userHandle(person.accountId)),
    userName: person.email,
    userDisplayName: person.email,
    challenge: new Uint8Array(challenge),
    timeout,
    attestationType: 'none',
    supportedAlgorithmIDs: algorithms,
    excludeCredentials: known.map(descriptorOf),
    // Discoverable and with the person verified: then it signs in alone, without an address.
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  })
}

/** Without `allowed` any passkey of the site will do: the person picks one, and with it says who they are. */
export async function assertionOptions(
  party: RelyingParty,
  challenge: Buffer,
  allowed: readonly Passkey[],
): Promise<AssertionOptions> {
  return (await library()).generateAuthenticationOptions({
    rpID: party.id,
    challenge: new Uint8Array(challenge),
    timeout,
    userVerification: 'required',
    ...(allowed.length === 0 ? {} : { allowCredentials: allowed.map(descriptorOf) }),
  })
}

/** The new passkey's own data; null when the answer does not hold, whatever the reason. */
export async function verifyRegistration(
  party: RelyingParty,
  response: RegistrationResponseJSON,
): Promise<Pick<Passkey, 'credentialId' | 'publicKey' | 'signCount' | 'transports' | 'isBackedUp'> | null> {
  try {
    const { challenge, crossOrigin } = clientDataOf(response)
    if (typeof challenge !== 'string' || crossOrigin === true) return null
    const { registrationInfo } = await (await library()).verifyRegistrationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: algorithms,
    })
    if (registrationInfo === undefined) return null
    const { credential, credentialBackedUp } = registrationInfo
    return {
      credentialId: Buffer.from(credential.id, 'base64url'),
      publicKey: Buffer.from(credential.publicKey),
      signCount: credential.counter,
      transports: response.response.transports ?? [],
      isBackedUp: credentialBackedUp,
    }
  } catch {
    // The library throws for every flaw, including a malformed reply.
    return null
  }
}

/**
 * What the passkey says of itself, when its signature holds for our site, the challenge and the person; else null. The
 * caller has seen to it that the challenge was ours. The counter is not judged here: a lower one means a copy only where
 * the signature is good, and it is compared where it is stored (store.ts).
 */
export async function verifyAssertion(
  party: RelyingParty,
  response: AuthenticationResponseJSON,
  passkey: Passkey,
): Promise<Pick<Passkey, 'signCount' | 'isBackedUp'> | null> {
  try {
    const { challenge, crossOrigin } = clientDataOf(response)
    if (typeof challenge !== 'string' || crossOrigin === true) return null
    if (!isHandleOf(passkey.accountId, response.response.userHandle)) return null
    const { verified, authenticationInfo } = await (await library()).verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
      credential: {
        id: passkey.credentialId.toString('base64url'),
        publicKey: new Uint8Array(passkey.publicKey),
        counter: 0,
      },
    })
    if (!verified) return null
    return { signCount: authenticationInfo.newCounter, isBackedUp: authenticationInfo.credentialBackedUp }
  } catch {
    return null
  }
}

/** WebAuthn 7.2, step 6: an authenticator may leave out the handle if it was given the passkey to use. */
function isHandleOf(accountId: string, handle: string | undefined): boolean {
  return handle === undefined || handle === '' || Buffer.from(handle, 'base64url').equals(userHandle(accountId))
}

function descriptorOf(passkey: Passkey): { id: string; transports?: string[] } {
  return { id: passkey.credentialId.toString('base64url'), transports: [...passkey.transports] }
}

function clientDataOf(response: { readonly response: { readonly clientDataJSON: string } }): {
  readonly challenge?: unknown
  readonly crossOrigin?: unknown
} {
  try {
    const data: unknown = JSON.parse(Buffer.from(response.response.clientDataJSON, 'base64url').toString('utf8'))
    return typeof data === 'object' && data !== null ? data : {}
  } catch {
    return {}
  }
}
