import type { Person } from '../identity/principal.ts'
import type { SigningKeys } from '../identity/signing-keys/service.ts'
import { newId } from '../platform/ids.ts'
import { refusal } from '../platform/problem.ts'
import type { Certify, Consultation, State } from './consultation.ts'

/** The `typ` of a certificate's header: nothing else that this service signs has it. */
export const certificateType = 'hitl-decision+jwt'

/** How strongly the decider was authenticated. */
export const assurances = ['unknown', 'single_factor', 'federated', 'multi_factor', 'phishing_resistant'] as const
export type Assurance = (typeof assurances)[number]

export const notDecided = refusal(
  409,
  'consultation.not_decided',
  (state: State) => ({
    detail: 'There is no decision yet, so there is no certificate. Wait for the decision.',
    extra: { state },
  }),
  'pending',
)

/** Derived from how the person signed in; `federated` relies on another sign-in service. */
export function assuranceOf(person: Person): Assurance {
  const methods = new Set(person.signIn?.methods ?? [])
  if (methods.has('passkey')) return 'phishing_resistant'
  if (methods.size > 1) return 'multi_factor'
  if (methods.size === 0) return 'unknown'
  return methods.has('password') ? 'single_factor' : 'federated'
}

export interface CertificateTerms {
  /** The issuer; the keys are at its `/.well-known/jwks.json`. */
  readonly issuer: string
  readonly id: string
  readonly assurance: Assurance
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
  }
}

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

/** Prepares to check whether a certificate's key is revoked: called before the act, which then need not wait. */
export type RevocationCheck = () => Promise<(certificate: string) => boolean>

export function createRevocationCheck(signingKeys: SigningKeys): RevocationCheck {
  return async () => {
    const revoked = await signingKeys.revokedKids('certificate')
    return (certificate) => revoked.size > 0 && revoked.has(kidOf(certificate))
  }
}

/** Of a certificate that this service has issued. */
function kidOf(certificate: string): string {
  const header = Buffer.from(certificate.split('.')[0] ?? '', 'base64url').toString('utf8')
  return String((JSON.parse(header) as { readonly kid?: unknown }).kid)
}
