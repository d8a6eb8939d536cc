import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems, success } from '../../http/openapi.ts'
import { throttled } from '../throttle/attempts.ts'
import { keyFormat } from './api-key.ts'
import type { LeakedKeys } from './leaked-keys.ts'
import * as schemas from './schemas.ts'

const path = '/api-keys/revoke-leaked'

/** No sign-in: holding the key is enough to revoke it, and nothing else can be done here. */
export function registerLeakedKeyRoute(app: FastifyInstance, leakedKeys: LeakedKeys): void {
  app.addSchema(schemas.leakedKeySchema)
  app.post<{ Body: Static<typeof schemas.leakedKeyBody> }>(
    path,
    {
      schema: {
        tags: ['api-keys'],
        summary: 'Revoke a leaked API key; needs nothing but the key',
        description:
          'For secret scanners and finders. The reply is the same whether or not there is such a key; if there is, it is ' +
          'revoked everywhere within a second, for good. The pattern of keys is at `/.well-known/hitl-api-key.json`.',
        operationId: 'revokeLeakedApiKey',
        body: { ...schemas.leakedKeyBody, examples: [{ key: `hitl_${'0'.repeat(71)}` }] },
        response: {
          202: success('Thank you', Type.Ref('LeakedKeyReceipt'), { status: 'accepted' }),
          ...problems(throttled),
        },
      },
    },
    async (request, reply) => {
      const { client, id: httpRequestId, body } = request
      await leakedKeys.revoke(body.key, client.network, { httpRequestId, network: client.address })
      return reply.status(202).send({ status: 'accepted' })
    },
  )
}

/** At the well-known place of RFC 8615: what a secret scanner looks for, and where it reports what it found. */
export function registerKeyFormat(app: FastifyInstance, publicUrl: string): void {
  app.addSchema(schemas.keyFormatSchema)
  const document = {
    ...keyFormat,
    revocation: { method: 'POST', url: `${publicUrl}/api/v1${path}`, body: '{"key":"…"}' },
  }
  app.get(
    '/.well-known/hitl-api-key.json',
    {
      schema: {
        tags: ['api-keys'],
        summary: 'Get the pattern of API keys, for secret scanners',
        operationId: 'getApiKeyFormat',
        response: {
          200: success('The pattern, its checksum and the call that revokes', Type.Ref('ApiKeyFormat'), document),
          ...problems(),
        },
      },
    },
    async (_request, reply) =>
      reply.header('cache-control', 'public, max-age=86400').header('access-control-allow-origin', '*').send(document),
  )
}
