import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Idempotency } from '../platform/idempotency.ts'

/** For the schema of a route that reads `idempotencyOf`. */
export const idempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^[\\x21-\\x7e]+$',
      description: 'The same key and body give the same reply; the same key and another body give 422.',
    }),
  ),
})

/** The call's Idempotency-Key with the digest of its body; null when the caller sent no key. */
export function idempotencyOf(request: FastifyRequest): Idempotency | null {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string') return null
  const body = request.rawBody ?? Buffer.alloc(0)
  return { key, hash: createHash('sha256').update(body).digest() }
}
