import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { registerFormBodies } from '../http/form-bodies.ts'
import { idempotencyHeaders, idempotencyOf } from '../http/idempotency.ts'
import { idParams, problems, success } from '../http/openapi.ts'
import { invalid } from '../platform/problem.ts'
import type { ApiKey } from './api-key.ts'
import { type Guard, personOf } from './guard.ts'
import * as schemas from './schemas.ts'
import type { Identity } from './service.ts'
import type { User } from './user.ts'

const bearer = [{ bearer: [] }, { person: [] }]

export function registerIdentityRoutes(
  app: FastifyInstance,
  { identity, guard, publicUrl }: { readonly identity: Identity; readonly guard: Guard; readonly publicUrl: string },
): void {
  for (const schema of [
    schemas.userSchema,
    schemas.tokenSchema,
    schemas.apiKeySchema,
    schemas.newApiKeySchema,
    schemas.invitationSchema,
  ]) {
    app.addSchema(schema)
  }

  app.post<{ Body: Static<typeof schemas.registerBody> }>(
    '/auth/register',
    {
      schema: {
        tags: ['auth'],
        summary: 'Make an account, by invitation or as the registration mode allows',
        operationId: 'register',
        body: { ...schemas.registerBody, examples: [schemas.registerExample] },
        response: {
          201: success('The account', Type.Ref('User'), schemas.exampleUser),
          ...problems(
            {
              status: 403,
              code: 'auth.registration_closed',
              detail: 'Registration needs an invitation. Ask an administrator for a link.',
            },
            { status: 409, code: 'auth.email_taken', detail: 'Email already registered' },
            413,
            415,
            422,
          ),
        },
      },
    },
    async (request, reply) => reply.status(201).send(userJson(await identity.register(request.body, request.id))),
  )

  app.register(async (scope) => {
    // A scope of its own: only signing in takes forms.
    await registerFormBodies(scope)
    scope.post<{ Body: Static<typeof schemas.loginBody> }>(
      '/auth/login',
      {
        schema: {
          tags: ['auth'],
          summary: 'Sign in with email and password',
          operationId: 'login',
          consumes: ['application/x-www-form-urlencoded', 'multipart/form-data', 'application/json'],
          body: { ...schemas.loginBody, examples: [schemas.loginExample] },
          response: {
            200: success('An access token', Type.Ref('AccessToken'), schemas.tokenExample),
            ...problems(
              { status: 401, code: 'auth.wrong_credentials', detail: 'Incorrect email or password' },
              413,
              415,
              422,
            ),
          },
        },
      },
      async (request) => {
        const { token, expiresInSeconds, user } = await identity.login(request.body.username, request.body.password)
        return { access_token: token, token_type: 'bearer', expires_in: expiresInSeconds, user: userJson(user) }
      },
    )
  })

  app.get(
    '/auth/me',
    {
      ...guard('profile.read'),
      schema: {
        tags: ['auth'],
        summary: 'Who am I?',
        operationId: 'me',
        security: bearer,
        response: {
          200: success('The signed-in person', Type.Ref('User'), schemas.exampleUser),
          ...problems(401, 403),
        },
      },
    },
    async (request) => userJson(await identity.me(personOf(request).principal)),
  )

  app.post<{ Body: Static<typeof schemas.inviteBody> }>(
    '/invitations',
    {
      ...guard('invitation.create'),
      schema: {
        tags: ['auth'],
        summary: 'Make a one-time link that lets one person in',
        operationId: 'invite',
        security: bearer,
        headers: idempotencyHeaders,
        body: { ...schemas.inviteBody, examples: [{ role: 'reviewer', email: 'reviewer@example.com' }] },
        response: {
          201: success('The invitation', Type.Ref('Invitation'), {
            id: schemas.exampleUser.id,
            role: 'reviewer',
            email: 'reviewer@example.com',
            expires_at: '2026-02-07T09:00:00.000Z',
            token: 'b2theS1yYW5kb20tdG9rZW4',
            url: 'https://hitl.example.com/setup#b2theS1yYW5kb20tdG9rZW4',
          }),
          ...problems(400, 401, 403, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { role = 'reviewer', email } = request.body
      const by = personOf(request)
      const { invitation, token, replayed } = await identity.invite(by, { role, email }, idempotencyOf(request))
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.status(201).send({
        id: invitation.id,
        role: invitation.role,
        email: invitation.email,
        expires_at: invitation.expiresAt,
        token,
        url: `${publicUrl}/setup#${token}`,
      })
    },
  )

  registerApiKeyRoutes(app, identity, guard)
}

const keyNotFound = { status: 404, code: 'api_key.not_found', detail: 'API key not found' }

function registerApiKeyRoutes(app: FastifyInstance, identity: Identity, guard: Guard): void {
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
      const { key, raw, replayed } = await identity.createApiKey(
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
    async (request) => (await identity.apiKeys(personOf(request).principal)).map(apiKeyJson),
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
    async (request) => apiKeyJson(await identity.apiKey(personOf(request).principal, request.params.id)),
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
      return apiKeyJson(await identity.changeApiKey(personOf(request), request.params.id, request.body))
    },
  )
}

function userJson(user: User) {
  return {
    id: user.id,
    email: user.email,
    name: user.name,
    role: user.role,
    is_active: user.isActive,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  }
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
