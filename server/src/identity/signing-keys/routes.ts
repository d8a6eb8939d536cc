import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { problems, success } from '../../http/openapi.ts'
import * as schemas from './schemas.ts'
import type { SigningKeys } from './service.ts'

/** How long a reader may keep the key set: a third of the overlap of a rotation. */
const maxAgeSeconds = 300

/** At the root, where RFC 8615 has such things. */
export function registerKeySet(app: FastifyInstance, signingKeys: SigningKeys): void {
  app.addSchema(schemas.keySetSchema)
  app.get(
    '/.well-known/jwks.json',
    {
      schema: {
        tags: ['service'],
        summary: 'The public keys of what this installation signs',
        description:
          'Decision certificates, heads of the audit and, where so configured, access tokens are signed with Ed25519. ' +
          'Retired keys stay in the set, with their periods, so that what they signed can still be checked; so do leaked ones of the ' +
          'audit, with `revoked_at`. ' +
          'A verifier takes keys of its own purpose only.',
        operationId: 'getKeySet',
        response: {
          200: success('A JSON Web Key Set (RFC 7517, RFC 8037)', Type.Ref('KeySet'), schemas.keySetExample),
          ...problems(),
        },
      },
    },
    async (_request, reply) => {
      const keys = await signingKeys.keySet()
      return reply
        .header('cache-control', `public, max-age=${maxAgeSeconds}`)
        .header('access-control-allow-origin', '*')
        .send({ keys })
    },
  )
}
