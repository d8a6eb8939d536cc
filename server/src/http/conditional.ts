import { hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'

/** For the schema of a route that calls `isUnchanged`. */
export const conditionalHeaders = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({
      maxLength: 16_384,
      description: 'The `ETag` of an earlier reply: 304 without a body when the reply would be the same.',
    }),
  ),
})

/** The `response` entry of such a route. */
export const unchanged = { description: 'The same as before', type: 'null' }

/** An entity tag of everything that decides what a reply looks like. */
export function tagOf(text: string): string {
  return `"${hash('sha256', text, 'base64url').slice(0, 22)}"`
}

/** Adds the tag of the reply; whether the client has it already, so that 304 does (RFC 9110, 13.1.2: a weak comparison). */
export function isUnchanged(request: FastifyRequest, reply: FastifyReply, etag: string): boolean {
  reply.header('etag', etag)
  const known = request.headers['if-none-match']?.split(',').map((each) => each.trim().replace(/^W\//, '')) ?? []
  return known.includes('*') || known.includes(etag)
}
