import { createHash, createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Idempotency } from '../platform/idempotency.ts'
import { says } from '../platform/validation.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The current key first. */
    readonly idempotencyKeys: readonly KeyObject[]
  }
}

/** For the schema of a route that reads `idempotencyOf`. */
export const idempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: says('^[\\x21-\\x7e]+$', 'must be letters, digits and signs of ASCII, without blanks'),
      description: 'The same key and body give the same reply; the same key and another body give 422.',
    }),
  ),
})

/** `secretKeys`: SECRET_KEY and SECRET_KEY_PREVIOUS. */
export function registerIdempotency(app: FastifyInstance, secretKeys: readonly string[]): void {
  app.decorate(
    'idempotencyKeys',
    secretKeys.map((key) => createSecretKey(Buffer.from(hkdfSync('sha256', key, '', 'hitl idempotency v1', 32)))),
  )
}

/**
 * The call's Idempotency-Key with a keyed hash of its body; null when the caller sent no key. `subject` distinguishes calls
 * whose bodies look alike. The hash is keyed because bodies hold secrets that people made up, and the row beside it holds
 * everything else: a plain hash could be reversed by guessing.
 */
export function idempotencyOf(request: FastifyRequest, subject = ''): Idempotency | null {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string') return null
  const body = createHash('sha256')
    .update(request.rawBody ?? Buffer.alloc(0))
    .digest()
  const plain = subject === '' ? body : createHash('sha256').update(subject).update(body).digest()
  const hashes = request.server.idempotencyKeys.map((by) => createHmac('sha256', by).update(plain).digest())
  const [hash] = hashes
  if (hash === undefined) throw new Error('no key to hash bodies with')
  return { key, hash, isOf: (stored) => stored !== null && hashes.some((known) => known.equals(stored)) }
}
