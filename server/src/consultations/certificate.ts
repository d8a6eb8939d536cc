import { hash } from 'node:crypto'
import { assuranceBy, type SignInAssurance } from '../identity/assurance.ts'
import type { Person } from '../identity/principal.ts'
import type { SigningKeys } from '../identity/signing-keys/service.ts'
import { createBoundedMap } from '../platform/bounded-map.ts'
import { newId } from '../platform/ids.ts'
import { refusal } from '../platform/problem.ts'
import { answerDigests, type Certify, type Consultation, type State } from './consultation.ts'

/** The `typ` of a certificate's header: nothing else that this service signs has it. */
export const certificateType = 'hitl-decision+jwt'

export const notDecided = refusal(
  409,
  'consultation.not_decided',
  (state: State) => ({
    detail:
      state === 'pending'
        ? 'There is no decision yet, so there is no certificate. Wait for the decision.'
        : `The request ended without a decision (${state}), so it will never have a certificate. Ask again.`,
    extra: { state },
  }),
  'pending',
)

export const assuranceOf = ({ signIn }: Person): SignInAssurance => assuranceBy(signIn?.methods ?? [])

export interface CertificateTerms {
  /** The issuer; the keys are at its `/.well-known/jwks.json`. */
  readonly issuer: string
  readonly id: string
  readonly assurance: SignInAssurance
  readonly expiresAt: Date
}

/** The claims of a certificate (RFC 7519). Who decided is not among them: it is personal, and the executor need not know. */
export function certificateClaims(decided: Consultation, { issuer, id, assurance, expiresAt }: CertificateTerms) {
  const { response } = decided
  if (response === null) throw new Error('only a decision can be certified')
  return {
    iss: issuer,
    jti: id,
    iat: Math.floor(response.respondedAt.getTime() / 1000),
    exp: expiresAt.getTime() / 1000,
    request_id: decided.id,
    organization_id: decided.organizationId,
    revision: decided.revision,
    digest: decided.digest,
    decision: response.decision,
    decided_by: decided.decidedBy,
    assurance,
    decided_at: response.respondedAt,
    ...(response.choices === null ? {} : { choices: response.choices }),
    ...answerDigests(decided),
  }
}

/** What it says of the answer beside its decision; null when nothing of that can be compared any more. */
export function answeredBy(decided: Consultation): Readonly<Record<string, unknown>> | null {
  const { response, erasedAt } = decided
  if (response === null || erasedAt !== null || response.erasedAt !== null) return null
  return { ...(response.choices === null ? {} : { choices: response.choices }), ...answerDigests(decided) }
}

/** Claims about what may be erased: then nothing is left to compare them with. */
const erasableClaims = ['choices', 'data_digest', 'args_digest', 'attachments_digest']

export interface CertifierOptions {
  readonly signingKeys: SigningKeys
  readonly issuer: string
  readonly hours: number
}

/** Prepares to certify this person's decisions: called before the act, which then signs without waiting. */
export type Certifier = (by: Person) => Promise<Certify>

export function createCertifier({ signingKeys, issuer, hours }: CertifierOptions): Certifier {
  return async (by) => {
    const signer = await signingKeys.signer('certificate')
    const assurance = assuranceOf(by)
    return (decided) => {
      const decidedAt = decided.response?.respondedAt.getTime() ?? 0
      // Whole seconds, as in the certificate, so that both expire at the same moment.
      const certificateExpiresAt = new Date(Math.floor(decidedAt / 1000 + hours * 3_600) * 1000)
      const terms = { issuer, id: newId(), assurance, expiresAt: certificateExpiresAt }
      const certificate = signer.sign(certificateClaims(decided, terms), { typ: certificateType })
      return { certificate, certificateExpiresAt }
    }
  }
}

/** A certificate whose signature was checked. */
export interface OpenedCertificate {
  readonly certificate: string
  /** Null when no key of this service has signed it. */
  readonly claims: Readonly<Record<string, unknown>> | null
  readonly isRevoked: boolean
}

export type OpenCertificate = (certificate: string) => Promise<OpenedCertificate>

/**
 * Every read of a decided request opens its certificate, so a signature that held is remembered by its key; whether the key has
 * leaked since is looked up each time.
 */
export function createCertificateOpener(signingKeys: SigningKeys): OpenCertificate {
  const held = createBoundedMap<string, { readonly kid: string; readonly claims: Readonly<Record<string, unknown>> }>(
    5_000,
  )
  return async (certificate) => {
    const name = hash('sha256', certificate, 'base64')
    const known = held.get(name)
    const key = known === undefined ? null : await signingKeys.find('certificate', known.kid)
    if (known !== undefined && key !== null) return { certificate, claims: known.claims, isRevoked: key.isRevoked }
    const signed = await signingKeys.verify('certificate', certificate, { typ: certificateType })
    if (signed === null) return { certificate, claims: null, isRevoked: false }
    const claims = JSON.parse(Buffer.from(signed.payload, 'base64url').toString('utf8'))
    held.set(name, { kid: signed.key.kid, claims })
    return { certificate, claims, isRevoked: signed.key.isRevoked }
  }
}

export const certificateContradicts = refusal(
  409,
  'consultation.certificate_contradicts',
  (state: State, differs: readonly string[]) => ({
    detail:
      'The stored decision and its certificate do not agree: one of them was changed outside this service. ' +
      'Do not act on it. Tell the operator, and ask again.',
    extra: { state, differs },
  }),
  'callback_sent',
  ['decision'],
)

/** Throws 409 unless the certificate of a decided request says what its row says; `opened` was read before the row was locked. */
export function requireProven(decided: Consultation, opened: OpenedCertificate | null): void {
  const differs = differences(decided, opened)
  if (differs.length > 0) throw certificateContradicts(decided.state, differs)
}

/** The names of the claims that the row contradicts; `certificate` when there is none that this service has signed. */
function differences(decided: Consultation, opened: OpenedCertificate | null): readonly string[] {
  const { response, certificate, certificateExpiresAt } = decided
  if (response === null && certificate === null) return []
  const claims = opened?.certificate === certificate ? (opened?.claims ?? null) : null
  if (response === null || certificateExpiresAt === null || claims === null) return ['certificate']
  // What only the certificate says is taken from it.
  const own = { issuer: String(claims.iss), id: String(claims.jti), assurance: claims.assurance as SignInAssurance }
  const expected = certificateClaims(decided, { ...own, expiresAt: certificateExpiresAt })
  const isErased = decided.erasedAt !== null || response.erasedAt !== null
  const names = new Set([...Object.keys(expected), ...erasableClaims])
  const said = expected as Readonly<Record<string, unknown>>
  return [...names].filter(
    (name) =>
      JSON.stringify(claims[name]) !== JSON.stringify(said[name]) && !(isErased && erasableClaims.includes(name)),
  )
}
