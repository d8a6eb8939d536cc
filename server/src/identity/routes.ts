import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createSameSiteCheck } from '../http/same-site.ts'
import type { Clock } from '../platform/clock.ts'
import { registerAgentRoutes } from './agents/routes.ts'
import { registerLeakedKeyRoute } from './api-keys/leaked-key-routes.ts'
import { registerApiKeyRoutes } from './api-keys/routes.ts'
import { registerFactorRoutes } from './factors/routes.ts'
import type { Guard } from './guard.ts'
import { registerInvitationRoutes } from './invitations/routes.ts'
import { registerMemberRoutes } from './members/routes.ts'
import { registerOrganizationRoutes } from './organizations/routes.ts'
import { registerEmailRoutes } from './recovery/email-routes.ts'
import { registerPasswordRoutes } from './recovery/password-routes.ts'
import { registerPeopleRoutes } from './registration/routes.ts'
import type { Identity } from './service.ts'
import { createSendSession, registerSessionRoutes, tokenOf, visitOf } from './sessions/routes.ts'
import { createSessionCookie } from './sessions/session.ts'
import { registerProviderRoutes } from './sso/providers/routes.ts'
import { registerSsoRoutes } from './sso/routes.ts'
import { registerTeamRoutes } from './teams/routes.ts'

export interface IdentityRoutes {
  readonly identity: Identity
  readonly guard: Guard
  readonly clock: Clock
  readonly publicUrl: string
}

/** The routes of all parts of the module, below `/api/v1`. */
export function registerIdentityRoutes(
  api: FastifyInstance,
  { identity, guard, clock, publicUrl }: IdentityRoutes,
): void {
  const cookie = createSessionCookie(publicUrl)
  const requireSameSite = createSameSiteCheck(publicUrl)
  const sendSession = createSendSession(clock, cookie)

  registerPeopleRoutes(api, {
    people: identity.people,
    guard,
    signIn: async (email, password, browser, request, reply) => {
      if (browser) requireSameSite(request)
      return sendSession(reply, await identity.signIn.withPassword(email, password, visitOf(request, browser)))
    },
  })
  registerMemberRoutes(api, { members: identity.members, guard })
  registerInvitationRoutes(api, { invitations: identity.invitations, guard })
  registerOrganizationRoutes(api, {
    organizations: identity.organizations,
    deletion: identity.organizationDeletion,
    guard,
  })
  registerTeamRoutes(api, { teams: identity.teams, guard })
  registerSessionRoutes(api, { sessions: identity.sessions, guard, requireSameSite, sendSession, cookie })
  registerFactorRoutes(api, {
    factors: identity.factors,
    guard,
    openSession: async (proved, request: FastifyRequest, reply: FastifyReply) => {
      const { session_cookie = false } = (request.body ?? {}) as { readonly session_cookie?: boolean }
      if (session_cookie) requireSameSite(request)
      return sendSession(reply, await identity.signIn.complete(proved, visitOf(request, session_cookie)))
    },
  })
  registerPasswordRoutes(api, { passwords: identity.passwordChanges, guard })
  registerEmailRoutes(api, { emails: identity.emailChanges, guard })
  registerProviderRoutes(api, { providers: identity.identityProviders, guard, publicUrl })
  registerSsoRoutes(api, {
    sso: identity.ssoSignIn,
    guard,
    publicUrl,
    currentSession: async (request) => {
      const token = tokenOf(request, { cookie })
      return token === null ? null : ((await identity.sessions.liveByCookie(token))?.id ?? null)
    },
    signIn: async ({ user, methods, provenAt, ...by }, request, reply) =>
      void sendSession(reply, await identity.sessions.begin(user, methods, visitOf(request, true), provenAt, by)),
  })
  registerApiKeyRoutes(api, { apiKeys: identity.apiKeys, guard, clock })
  registerLeakedKeyRoute(api, identity.leakedKeys)
  registerAgentRoutes(api, { agents: identity.agents, switches: identity.switches, guard })
}
