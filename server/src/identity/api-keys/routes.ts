import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../http/idempotency.ts'
import { toInstant } from '../../http/instant.ts'
import { idOf, idParams, problems, success, withHeaders } from '../../http/openapi.ts'
import type { Clock } from '../../platform/clock.ts'
import { names, valuesOf } from '../../platform/names.ts'
import { stepUpRequired } from '../factors/step-up.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import {
  type ApiKey,
  alreadyRotated,
  apiKeyNotFound,
  defaultOverlapMinutes,
  expiresSoon,
  keyLeaked,
  keyRevoked,
} from './api-key-terms.ts'
import * as schemas from './schemas.ts'
import type { ApiKeys, MadeKey } from './service.ts'

export interface ApiKeyRoutes {
  readonly apiKeys: ApiKeys
  readonly guard: Guard
  readonly clock: Clock
}

interface OneKey {
  Params: { id: string }
}

const route = guardedRoutes('api-keys')
const exampleNewKey = { ...schemas.exampleApiKey, key: `hitl_${'0'.repeat(71)}` }
const oneKey = success('The key', Type.Ref('ApiKey'), schemas.exampleApiKey)

export function registerApiKeyRoutes(app: FastifyInstance, routes: ApiKeyRoutes): void {
  app.addSchema(schemas.apiKeySchema)
  app.addSchema(schemas.newApiKeySchema)
  createRoute(app, routes)
  rotateRoute(app, routes)
  listRoute(app, routes)
  readRoute(app, routes)
  changeRoute(app, routes)
}

function sendMade(reply: FastifyReply, { key, raw, replayed }: MadeKey, now: Date): FastifyReply {
  if (replayed) reply.header('idempotency-replayed', 'true')
  return reply.createdAt(`/api/v1/api-keys/${key.id}`).send({ ...apiKeyJson(key, now), key: raw })
}

function createRoute(app: FastifyInstance, { apiKeys, guard, clock }: ApiKeyRoutes): void {
  const options = route(guard('api-key.manage'), {
    summary: 'Make an API key; the raw key is shown only once',
    operationId: 'createApiKey',
    headers: idempotencyHeaders,
    body: {
      ...schemas.createApiKeyBody,
      examples: [
        { name: 'deploy-bot', description: 'Asks before it touches production.' },
        {
          name: 'deploy-bot, second data centre',
          agent_id: schemas.exampleApiKey.agent_id,
          scopes: ['requests:create', 'requests:read'],
          expires_at: '2026-07-31T00:00:00Z',
          allowed_networks: ['192.0.2.0/24'],
        },
      ],
    },
    response: {
      201: withHeaders(
        success('The key, with its raw text this once', Type.Ref('CreatedApiKey'), exampleNewKey),
        'Location',
      ),
      ...problems(stepUpRequired),
    },
  })
  app.post<{ Body: Static<typeof schemas.createApiKeyBody> }>('/api-keys', options, async (request, reply) => {
    const { name, description, agent_id, scopes, expires_at, allowed_networks } = request.body
    const input = {
      name,
      description,
      agentId: agent_id?.toLowerCase(),
      scopes: scopes ?? undefined,
      expiresAt: expires_at === undefined ? undefined : toInstant('expires_at', expires_at),
      allowedNetworks: allowed_networks ?? undefined,
    }
    const by = personOf(request)
    const made = await apiKeys.createApiKey(by, input, idempotencyOf(request), request.permit)
    return sendMade(reply, made, clock.now())
  })
}

function rotateRoute(app: FastifyInstance, { apiKeys, guard, clock }: ApiKeyRoutes): void {
  const options = route(guard('api-key.manage'), {
    summary: 'Replace an API key; the old one works until the overlap ends',
    operationId: 'rotateApiKey',
    params: idParams,
    headers: idempotencyHeaders,
    body: { ...schemas.rotateApiKeyBody, examples: [{ overlap_minutes: 60 }] },
    response: {
      201: withHeaders(
        success('The new key, with its raw text this once', Type.Ref('CreatedApiKey'), {
          ...exampleNewKey,
          rotated_from: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a57',
        }),
        'Location',
      ),
      ...problems(stepUpRequired, apiKeyNotFound, alreadyRotated, keyRevoked),
    },
  })
  app.post<OneKey & { Body: Static<typeof schemas.rotateApiKeyBody> }>(
    '/api-keys/:id/rotate',
    options,
    async (request, reply) => {
      const { overlap_minutes: overlapMinutes = defaultOverlapMinutes, expires_at } = request.body
      const expiresAt = expires_at === undefined ? undefined : toInstant('expires_at', expires_at)
      const id = idOf(request)
      // Rotations have similar bodies, so the key that is rotated is part of what is compared.
      const idempotency = idempotencyOf(request, `rotate ${id} `)
      const asked = { overlapMinutes, expiresAt }
      const made = await apiKeys.rotate(personOf(request), id, asked, idempotency, request.permit)
      return sendMade(reply, made, clock.now())
    },
  )
}

function listRoute(app: FastifyInstance, { apiKeys, guard, clock }: ApiKeyRoutes): void {
  const options = route(guard('api-key.manage'), {
    summary: 'List all API keys, newest first',
    operationId: 'listApiKeys',
    querystring: schemas.listApiKeysQuery,
    response: {
      200: success('The keys', Type.Array(Type.Ref('ApiKey')), [schemas.exampleApiKey]),
      ...problems(),
    },
  })
  app.get<{ Querystring: Static<typeof schemas.listApiKeysQuery> }>('/api-keys', options, async (request) => {
    const agentId = request.query.agent_id?.toLowerCase() ?? null
    const found = await apiKeys.apiKeys(personOf(request).principal, agentId)
    const now = clock.now()
    return found.map((key) => apiKeyJson(key, now))
  })
}

function readRoute(app: FastifyInstance, { apiKeys, guard, clock }: ApiKeyRoutes): void {
  const options = route(guard('api-key.manage'), {
    summary: 'Get one API key',
    operationId: 'getApiKey',
    params: idParams,
    response: { 200: oneKey, ...problems(apiKeyNotFound) },
  })
  app.get<OneKey>('/api-keys/:id', options, async (request) => {
    return apiKeyJson(await apiKeys.apiKey(personOf(request).principal, request.params.id), clock.now())
  })
}

type Changes = Static<typeof schemas.changeApiKeyBody>

function changeRoute(app: FastifyInstance, { apiKeys, guard, clock }: ApiKeyRoutes): void {
  const options = route(guard('api-key.manage'), {
    summary: 'Rename, describe, revoke or restore an API key, or change what it may be used for',
    description: 'Restoring it and changing its scopes, networks or expiry need a step-up; revoking it does not.',
    operationId: 'changeApiKey',
    params: idParams,
    body: { ...schemas.changeApiKeyBody, examples: [{ is_active: false }] },
    response: { 200: oneKey, ...problems(stepUpRequired, apiKeyNotFound, keyLeaked) },
  })
  app.patch<OneKey & { Body: Changes }>('/api-keys/:id', options, async (request) => {
    const { name, description, is_active: isActive, expires_at } = request.body
    const scopes = request.body.scopes ?? undefined
    const allowedNetworks = request.body.allowed_networks ?? undefined
    const expiresAt = expires_at === undefined ? undefined : toInstant('expires_at', expires_at)
    const changes = { name, description, isActive, scopes, expiresAt, allowedNetworks }
    const key = await apiKeys.changeApiKey(personOf(request), request.params.id, changes, request.permit)
    return apiKeyJson(key, clock.now())
  })
}

const keyNames = names(
  'id, agent_id, name, description, is_active, scopes, expires_at, allowed_networks, last_used_at, last_used_address, rotated_from, revoked_at, revoked_by, leaked_at, created_at, updated_at',
)

function apiKeyJson(key: ApiKey, now: Date) {
  return { ...valuesOf(key, keyNames), expires_soon: expiresSoon(key, now) }
}
