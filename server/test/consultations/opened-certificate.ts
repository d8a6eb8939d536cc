import { certificateClaims, type OpenedCertificate } from '../../src/consultations/certificate.ts'
import type { Consultation } from '../../src/consultations/consultation.ts'

/** The certificate of a decided request, opened, for tests of rules that sign nothing. */
export function openedCertificate(decided: Consultation): OpenedCertificate {
  const { certificate, certificateExpiresAt: expiresAt } = decided
  if (certificate === null || expiresAt === null) throw new Error('the request is not decided')
  const terms = { issuer: 'https://hitl.example.com', id: decided.id, assurance: 'single_factor', expiresAt } as const
  return { certificate, claims: certificateClaims(decided, terms), isRevoked: false }
}
