import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idempotencyHeaders, idempotencyOf } from '../../../http/idempotency.ts'
import { idParams, problems, success } from '../../../http/openapi.ts'
import { invalid } from '../../../platform/problem.ts'
import { stepUpRequired } from '../../factors/step-up.ts'
import { permitOf, type RequireStepUp, stepUpHeaders } from '../../factors/step-ups/require-step-up.ts'
import { type Guard, personOf } from '../../guard.ts'
import {
  type IdentityProvider,
  providerChanged,
  providerExists,
  providerNotFound,
  providerNotProven,
} from '../provider.ts'
import * as schemas from './schemas.ts'
import type { IdentityProviders } from './service.ts'

export interface ProviderRoutes {
  readonly providers: IdentityProviders
  readonly guard: Guard
  readonly requireStepUp: RequireStepUp
  readonly publicUrl: string
}

/** Whom an organization trusts to say who its people are. */
export function registerProviderRoutes(app: FastifyInstance, routes: ProviderRoutes): void {
  const { providers, guard, requireStepUp, publicUrl } = routes
  const common = { tags: ['sso'], security: [{ bearer: [] }, { person: [] }] }
  const manage = guard('sso.manage')
  const wire = (provider: IdentityProvider) => providerJson(provider, publicUrl)
  app.addSchema(schemas.providerSchema)

  app.get(
    '/identity-providers',
    {
      ...manage,
      schema: {
        ...common,
        summary: 'All identity providers of the organization, newest first',
        operationId: 'listIdentityProviders',
        response: {
          200: success('The providers', Type.Array(Type.Ref('IdentityProvider')), [schemas.exampleProvider]),
          ...problems(401, 403),
        },
      },
    },
    async (request) => (await providers.list(personOf(request).principal)).map(wire),
  )

  app.get<{ Params: { id: string } }>(
    '/identity-providers/:id',
    {
      ...manage,
      schema: {
        ...common,
        summary: 'One identity provider; its secret is never shown',
        operationId: 'getIdentityProvider',
        params: idParams,
        response: {
          200: success('The provider', Type.Ref('IdentityProvider'), schemas.exampleProvider),
          ...problems(401, 403, providerNotFound, 422),
        },
      },
    },
    async (request) => wire(await providers.get(personOf(request).principal, request.params.id)),
  )

  app.post<{ Body: Static<typeof schemas.createProviderBody> }>(
    '/identity-providers',
    {
      ...manage,
      ...requireStepUp({ repeats: true }),
      schema: {
        ...common,
        summary: 'Trust an OpenID provider; its discovery document is fetched at once',
        operationId: 'createIdentityProvider',
        headers: Type.Object({ ...idempotencyHeaders.properties, ...stepUpHeaders.properties }),
        body: { ...schemas.createProviderBody, examples: [schemas.createProviderExample] },
        response: {
          201: success('The provider', Type.Ref('IdentityProvider'), schemas.exampleProvider),
          ...problems(401, stepUpRequired, providerExists, providerNotProven, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const by = personOf(request)
      const { made: provider, replayed } = await providers.create(
        by,
        request.body,
        idempotencyOf(request),
        permitOf(request),
      )
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.status(201).header('location', `/api/v1/identity-providers/${provider.id}`).send(wire(provider))
    },
  )

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.changeProviderBody> }>(
    '/identity-providers/:id',
    {
      ...manage,
      ...requireStepUp(),
      schema: {
        ...common,
        summary: 'Change an identity provider, enforce it, or switch it off',
        operationId: 'changeIdentityProvider',
        params: idParams,
        headers: stepUpHeaders,
        body: { ...schemas.changeProviderBody, examples: [{ is_enforced: true }] },
        response: {
          200: success('The provider', Type.Ref('IdentityProvider'), schemas.exampleProvider),
          ...problems(
            401,
            stepUpRequired,
            providerNotFound,
            providerChanged,
            providerExists,
            providerNotProven,
            413,
            415,
            422,
          ),
        },
      },
    },
    async (request) => {
      const known = Object.keys(schemas.changeProviderBody.properties)
      // Unknown fields are ignored, but a call of nothing else wants something that would not happen (contract).
      if (Object.keys(request.body).length > 0 && !Object.keys(request.body).some((name) => known.includes(name))) {
        throw invalid('', `names nothing that can be changed: send one of ${known.join(', ')}`)
      }
      return wire(await providers.change(personOf(request), request.params.id, request.body, permitOf(request)))
    },
  )

  app.delete<{ Params: { id: string } }>(
    '/identity-providers/:id',
    {
      ...manage,
      ...requireStepUp(),
      schema: {
        ...common,
        summary: 'Trust an identity provider no longer',
        operationId: 'deleteIdentityProvider',
        params: idParams,
        headers: stepUpHeaders,
        response: {
          204: { description: 'It is gone', type: 'null' },
          ...problems(401, stepUpRequired, providerNotFound, 422),
        },
      },
    },
    async (request, reply) => {
      await providers.remove(personOf(request), request.params.id, permitOf(request))
      return reply.status(204).send()
    },
  )
}

function providerJson(provider: IdentityProvider, publicUrl: string) {
  const at = `${publicUrl}/api/v1/auth/sso/${provider.id}`
  return {
    id: provider.id,
    name: provider.name,
    issuer: provider.issuer,
    client_id: provider.clientId,
    has_client_secret: provider.hasSecret,
    scopes: provider.scopes,
    role_claim: provider.roleClaim,
    role_map: provider.roleMap,
    default_role: provider.defaultRole,
    team_claim: provider.teamClaim,
    team_map: provider.teamMap,
    creates_members: provider.createsMembers,
    email_domains: provider.emailDomains,
    is_enforced: provider.isEnforced,
    is_active: provider.isActive,
    redirect_uri: `${at}/callback`,
    start_url: `${at}/start`,
    proven_at: provider.provenAt,
    created_at: provider.createdAt,
    updated_at: provider.updatedAt,
  }
}
