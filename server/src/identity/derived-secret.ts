import { hkdfSync } from 'node:crypto'
import type { Idempotency } from '../platform/idempotency.ts'
import type { Person } from './principal.ts'

/**
 * 256 bits for something whose secret only this service makes up. Derived, so that a call repeated under its
 * Idempotency-Key can be answered with the same secret although only its hash is stored. As unguessable as SECRET_KEY,
 * which could sign tokens anyway. `purpose` keeps the secrets of different kinds of thing apart.
 */
export function deriveSecret(secretKey: string, purpose: 'api key' | 'invitation', seed: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, '', `hitl ${purpose} v1 ${seed}`, 32))
}

/** The secret of what `by` makes under an Idempotency-Key; without a key undefined, which means a random one. */
export function secretFor(
  secretKey: string,
  purpose: 'api key' | 'invitation',
  by: Person,
  idempotency: Idempotency | null,
  id: string,
): Buffer | undefined {
  if (idempotency === null) return undefined
  return deriveSecret(secretKey, purpose, `${by.organizationId} ${by.userId} ${idempotency.key} ${id}`)
}
