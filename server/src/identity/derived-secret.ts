import { hkdfSync } from 'node:crypto'

/**
 * 256 bits for something whose secret only this service makes up. Derived, so that a call repeated under its
 * Idempotency-Key can be answered with the same secret although only its hash is stored. As unguessable as SECRET_KEY,
 * which could sign tokens anyway. `purpose` keeps the secrets of different kinds of thing apart.
 */
export function deriveSecret(secretKey: string, purpose: 'api key' | 'invitation', seed: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, '', `hitl ${purpose} v1 ${seed}`, 32))
}
