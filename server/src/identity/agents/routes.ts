import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { idParams, problems, success } from '../../http/openapi.ts'
import { invalid } from '../../platform/problem.ts'
import { type Guard, personOf } from '../guard.ts'
import type { ApiKey } from './api-key.ts'
import * as schemas from './schemas.ts'
import type { ApiKeys } from './service.ts'

const bearer = [{ bearer: [] }, { person: [] }]
const keyNotFound = { status: 404, code: 'api_key.not_found', detail: 'API key not found' }

export function registerApiKeyRoutes(
  app: FastifyInstance,
  { apiKeys, guard }: { readonly apiKeys: ApiKeys; readonly guard: Guard },
): void {
  app.addSchema(schemas.apiKeySchema)
  app.addSchema(schemas.newApiKeySchema)
  const common = { tags: ['api-keys'], security: bearer }
  const manage = guard('api-key.manage')

  app.post<{ Body: Static<typeof schemas.createApiKeyBody> }>(
    '/api-keys',
    {
      ...manage,
      schema: {
        ...common,
        summary: 'Make an API key; the raw key is shown this once',
        operationId: 'createApiKey',
        headers: idempotencyHeaders,
        body: {
          ...schemas.createApiKeyBody,
          examples: [{ name: 'deploy-bot', description: 'Asks before it touches production.' }],
        },
        response: {
          201: success('The key, raw for this once', Type.Ref('NewApiKey'), {
            ...schemas.exampleApiKey,
            key: `hitl_${'0'.repeat(71)}`,
          }),
          ...problems(400, 401, 403, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { key, raw, replayed } = await apiKeys.createApiKey(
        personOf(request),
        request.body,
        idempotencyOf(request),
      )
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply
        .status(201)
        .header('location', `/api/v1/api-keys/${key.id}`)
        .send({ ...apiKeyJson(key), key: raw })
    },
  )

  app.get(
    '/api-keys',
    {
      ...manage,
      schema: {
        ...common,
        summary: 'All API keys, newest first',
        operationId: 'listApiKeys',
        response: {
          200: success('The keys', Type.Array(Type.Ref('ApiKey')), [schemas.exampleApiKey]),
          ...problems(401, 403),
        },
      },
    },
    async (request) => (await apiKeys.apiKeys(personOf(request).principal)).map(apiKeyJson),
  )

  app.get<{ Params: { id: string } }>(
    '/api-keys/:id',
    {
      ...manage,
      schema: {
        ...common,
        summary: 'One API key',
        operationId: 'getApiKey',
        params: idParams,
        response: {
          200: success('The key', Type.Ref('ApiKey'), schemas.exampleApiKey),
          ...problems(401, 403, keyNotFound, 422),
        },
      },
    },
    async (request) => apiKeyJson(await apiKeys.apiKey(personOf(request).principal, request.params.id)),
  )

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.changeApiKeyBody> }>(
    '/api-keys/:id',
    {
      ...manage,
      schema: {
        ...common,
        summary: 'Rename, describe, revoke or restore an API key',
        operationId: 'changeApiKey',
        params: idParams,
        body: { ...schemas.changeApiKeyBody, examples: [{ is_active: false }] },
        response: {
          200: success('The key', Type.Ref('ApiKey'), schemas.exampleApiKey),
          ...problems(401, 403, keyNotFound, 413, 415, 422),
        },
      },
    },
    async (request) => {
      const { name, description, is_active } = request.body
      // Unknown fields are ignored, but a call of nothing else wants something that would not happen (contract).
      if (
        Object.keys(request.body).length > 0 &&
        name === undefined &&
        description === undefined &&
        is_active === undefined
      ) {
        throw invalid(
          '',
          'names nothing that can be changed: send name, description or is_active (false revokes the key)',
        )
      }
      return apiKeyJson(await apiKeys.changeApiKey(personOf(request), request.params.id, request.body))
    },
  )
}

function apiKeyJson(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    description: key.description,
    is_active: key.isActive,
    last_used_at: key.lastUsedAt,
    created_at: key.createdAt,
    updated_at: key.updatedAt,
  }
}
