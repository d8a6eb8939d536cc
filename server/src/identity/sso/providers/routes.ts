import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../../http/idempotency.ts'
import { idParams, problems, success, withHeaders } from '../../../http/openapi.ts'
import { pageSchema, wholeListJson } from '../../../http/paging.ts'
import { names, valuesOf } from '../../../platform/names.ts'
import { stepUpRequired } from '../../factors/step-up.ts'
import { permitOf } from '../../factors/step-ups/demand-step-ups.ts'
import { type Guard, guardedRoutes, personOf } from '../../guard.ts'
import {
  type IdentityProvider,
  providerChanged,
  providerExists,
  providerNotFound,
  providerNotProven,
} from '../provider.ts'
import { auditedFields } from './provider-settings.ts'
import * as schemas from './schemas.ts'
import type { IdentityProviders } from './service.ts'

export interface ProviderRoutes {
  readonly providers: IdentityProviders
  readonly guard: Guard
  readonly publicUrl: string
}

interface OneProvider {
  Params: { id: string }
}

const route = guardedRoutes('sso')
const oneProvider = success('The provider', Type.Ref('IdentityProvider'), schemas.exampleProvider)

/** The providers that an organization trusts to say who its people are. */
export function registerProviderRoutes(app: FastifyInstance, routes: ProviderRoutes): void {
  app.addSchema(schemas.providerSchema)
  app.addSchema(pageSchema('IdentityProviderPage', Type.Ref('IdentityProvider')))
  listRoute(app, routes)
  readRoute(app, routes)
  createRoute(app, routes)
  changeRoute(app, routes)
  deleteRoute(app, routes)
}

function listRoute(app: FastifyInstance, { providers, guard, publicUrl }: ProviderRoutes): void {
  const options = route(guard('sso.manage'), {
    summary: 'All identity providers of the organization, newest first',
    operationId: 'listIdentityProviders',
    response: {
      200: success('The providers', Type.Ref('IdentityProviderPage'), {
        items: [schemas.exampleProvider],
        next_cursor: null,
      }),
      ...problems(),
    },
  })
  app.get('/identity-providers', options, async (request) => {
    const found = await providers.list(personOf(request).principal)
    return wholeListJson(found, (provider) => providerJson(provider, publicUrl))
  })
}

function readRoute(app: FastifyInstance, { providers, guard, publicUrl }: ProviderRoutes): void {
  const options = route(guard('sso.manage'), {
    summary: 'One identity provider; its secret is never shown',
    operationId: 'getIdentityProvider',
    params: idParams,
    response: { 200: oneProvider, ...problems(providerNotFound) },
  })
  app.get<OneProvider>('/identity-providers/:id', options, async (request) => {
    return providerJson(await providers.get(personOf(request).principal, request.params.id), publicUrl)
  })
}

function createRoute(app: FastifyInstance, { providers, guard, publicUrl }: ProviderRoutes): void {
  const options = route(guard('sso.manage'), {
    summary: 'Trust an OpenID provider; its discovery document is fetched at once',
    operationId: 'createIdentityProvider',
    headers: idempotencyHeaders,
    body: { ...schemas.createProviderBody, examples: [schemas.createProviderExample] },
    response: {
      201: withHeaders(oneProvider, 'Location'),
      ...problems(stepUpRequired, providerExists, providerNotProven),
    },
  })
  app.post<{ Body: Static<typeof schemas.createProviderBody> }>(
    '/identity-providers',
    options,
    async (request, reply) => {
      const by = personOf(request)
      const idempotency = idempotencyOf(request)
      const { made, replayed } = await providers.create(by, request.body, idempotency, permitOf(request))
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.createdAt(`/api/v1/identity-providers/${made.id}`).send(providerJson(made, publicUrl))
    },
  )
}

function changeRoute(app: FastifyInstance, { providers, guard, publicUrl }: ProviderRoutes): void {
  const refusals = [stepUpRequired, providerNotFound, providerChanged, providerExists, providerNotProven] as const
  const options = route(guard('sso.manage'), {
    summary: 'Change an identity provider, enforce it, or switch it off',
    operationId: 'changeIdentityProvider',
    params: idParams,
    body: { ...schemas.changeProviderBody, examples: [{ is_enforced: true }] },
    response: { 200: oneProvider, ...problems(...refusals) },
  })
  app.patch<OneProvider & { Body: Static<typeof schemas.changeProviderBody> }>(
    '/identity-providers/:id',
    options,
    async (request) => {
      const by = personOf(request)
      return providerJson(await providers.change(by, request.params.id, request.body, permitOf(request)), publicUrl)
    },
  )
}

function deleteRoute(app: FastifyInstance, { providers, guard }: ProviderRoutes): void {
  const options = route(guard('sso.manage'), {
    summary: 'Trust an identity provider no longer',
    operationId: 'deleteIdentityProvider',
    params: idParams,
    response: {
      204: { description: 'It is gone', type: 'null' },
      ...problems(stepUpRequired, providerNotFound),
    },
  })
  app.delete<OneProvider>('/identity-providers/:id', options, async (request, reply) => {
    await providers.remove(personOf(request), request.params.id, permitOf(request))
    return reply.status(204).send()
  })
}

const providerNames = names('id, proven_at, created_at, updated_at')

function providerJson(provider: IdentityProvider, publicUrl: string) {
  const at = `${publicUrl}/api/v1/auth/sso/${provider.id}`
  const { has_secret: has_client_secret, ...settings } = auditedFields(provider)
  return {
    ...settings,
    ...valuesOf(provider, providerNames),
    has_client_secret,
    redirect_uri: `${at}/callback`,
    start_url: `${at}/start`,
  }
}
