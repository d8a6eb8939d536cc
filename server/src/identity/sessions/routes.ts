import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Cookie } from '../../http/cookies.ts'
import { idOf, idParams, problems, success, withHeaders } from '../../http/openapi.ts'
import { pageSchema, wholeListJson } from '../../http/paging.ts'
import { createSameSiteCheck, crossSite, type RequireSameSite } from '../../http/same-site.ts'
import { uuid } from '../../http/schema-parts.ts'
import type { Clock } from '../../platform/clock.ts'
import { names, valuesOf } from '../../platform/names.ts'
import { Problem } from '../../platform/problem.ts'
import { tokenExample } from '../accounts/schemas.ts'
import { userJson, userNotFound } from '../accounts/user.ts'
import { type SessionOfPerson, sessionOver } from '../authenticate.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import { organizationNotFound } from '../organizations/organization.ts'
import { isSecretToken } from '../secret-token.ts'
import type { OpenedSession, Visit } from './opening.ts'
import * as schemas from './schemas.ts'
import type { Sessions } from './service.ts'
import {
  cookieMissing,
  createSessionCookie,
  entryRefused,
  keyHasNoSession,
  noSession,
  type Session,
  sessionNotFound,
} from './session.ts'

export interface SessionRoutes {
  readonly sessions: Sessions
  readonly guard: Guard
  readonly requireSameSite: RequireSameSite
  readonly sendSession: SendSession
  readonly cookie: Cookie
}

/** Sends a session: the access token in the body, the token that renews it in a cookie that no script can read. */
export type SendSession = (reply: FastifyReply, opened: OpenedSession) => unknown

export function createSendSession(clock: Clock, cookie: Cookie): SendSession {
  return (reply, { session, user, accessToken, expiresInSeconds, refreshToken }) => {
    if (refreshToken !== null) {
      const seconds = Math.max(0, Math.floor((session.expiresAt.getTime() - clock.now().getTime()) / 1_000))
      reply.header('set-cookie', cookie.written(refreshToken, seconds))
    }
    return { access_token: accessToken, token_type: 'bearer', expires_in: expiresInSeconds, user: userJson(user) }
  }
}

export function visitOf(request: FastifyRequest, browser: boolean): Visit {
  const userAgent = request.headers['user-agent'] ?? null
  return { httpRequestId: request.id, network: request.client.address, userAgent, browser }
}

const route = guardedRoutes('auth')
const memberParams = Type.Object({ id: uuid('The person.'), session_id: uuid('The session.') })

const list = success('The sessions, newest first', Type.Ref('SessionPage'), {
  items: [schemas.sessionExample],
  next_cursor: null,
})
const ended = { 204: { description: 'Ended, everywhere within a second', type: 'null' } }

interface OneParam {
  Params: { id: string }
}

export function registerSessionRoutes(app: FastifyInstance, routes: SessionRoutes): void {
  app.addSchema(schemas.sessionSchema)
  app.addSchema(pageSchema('SessionPage', Type.Ref('Session')))
  refreshRoute(app, routes)
  logoutRoute(app, routes)
  switchRoute(app, routes)
  listRoute(app, routes)
  revokeOthersRoute(app, routes)
  revokeRoute(app, routes)
  listOfMemberRoute(app, routes)
  revokeOfMemberRoute(app, routes)
}

export function tokenOf(request: FastifyRequest, { cookie }: Pick<SessionRoutes, 'cookie'>): string | null {
  const token = cookie.read(request.headers.cookie)
  return isSecretToken(token) ? token : null
}

/** For the guard: the session of the cookie that a page of this service showed. */
export function createCookieReader(sessions: Pick<Sessions, 'liveByCookie'>, publicUrl: string) {
  const cookie = createSessionCookie(publicUrl)
  const requireSameSite = createSameSiteCheck(publicUrl)
  return async (request: FastifyRequest): Promise<SessionOfPerson | null> => {
    const token = tokenOf(request, { cookie })
    if (token === null) return null
    requireSameSite(request)
    const session = await sessions.liveByCookie(token)
    if (session === null) throw sessionOver()
    const { organizationId, userId, id: sessionId } = session
    return { organizationId, userId, sessionId }
  }
}

function clearCookie(reply: FastifyReply, { cookie }: SessionRoutes): FastifyReply {
  return reply.header('set-cookie', cookie.cleared())
}

function refreshRoute(app: FastifyInstance, routes: SessionRoutes): void {
  const { sessions, requireSameSite, sendSession } = routes
  const schema = {
    tags: ['auth'],
    summary: 'Renew the session whose cookie the browser sends; the cookie is replaced',
    operationId: 'refreshSession',
    response: {
      200: withHeaders(success('An access token', Type.Ref('AccessToken'), tokenExample), 'Set-Cookie'),
      ...problems(sessionOver, noSession, crossSite),
    },
  }
  app.post('/auth/refresh', { schema }, async (request, reply) => {
    requireSameSite(request)
    const token = tokenOf(request, routes)
    if (token === null) throw noSession()
    try {
      return sendSession(reply, await sessions.refresh(token, visitOf(request, true)))
    } catch (error) {
      // Any other error, such as a database that is down, says nothing about the session.
      if (error instanceof Problem && error.status === 401) clearCookie(reply, routes)
      throw error
    }
  })
}

function logoutRoute(app: FastifyInstance, routes: SessionRoutes): void {
  const { sessions, guard, requireSameSite } = routes
  const { access } = guard('profile.read').config

  const isSameSite = (request: FastifyRequest): boolean => {
    try {
      requireSameSite(request)
      return true
    } catch {
      return false
    }
  }

  /** False when the call has no session cookie. */
  const endByCookie = async (request: FastifyRequest): Promise<boolean> => {
    const token = tokenOf(request, routes)
    if (token === null) return false
    return sessions.endByCookie(token, { httpRequestId: request.id, network: request.client.address })
  }

  /** Returns the 401 of an access token that is not valid. */
  const endByBearer = async (request: FastifyRequest, reply: FastifyReply): Promise<Problem | null> => {
    try {
      await guard('profile.read').onRequest.call(app, request, reply)
      await sessions.end(personOf(request))
      return null
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return error
      if (request.principal?.kind === 'agent' && error instanceof Problem && error.code === 'auth.forbidden') {
        throw keyHasNoSession()
      }
      throw error
    }
  }

  const schema = {
    tags: ['auth'],
    summary: 'Sign out: end the session of the access token and that of the session cookie',
    operationId: 'logout',
    security: [{}, ...access.security],
    response: {
      204: withHeaders({ description: 'Signed out', type: 'null' }, 'Set-Cookie'),
      ...problems(crossSite, keyHasNoSession),
    },
  }
  app.post('/auth/logout', { config: { access }, schema }, async (request, reply) => {
    if (request.headers.authorization === undefined) {
      requireSameSite(request)
      await endByCookie(request)
    } else {
      const refusal = await endByBearer(request, reply)
      // A browser's access token may have expired or belong to another session: its cookie must not outlive the sign-out.
      const hasEnded = isSameSite(request) && (await endByCookie(request))
      if (refusal !== null && !hasEnded) throw refusal
    }
    return clearCookie(reply, routes).status(204).send()
  })
}

function switchRoute(app: FastifyInstance, routes: SessionRoutes): void {
  const { sessions, guard, sendSession } = routes
  const options = route(guard('profile.read'), {
    summary: 'Switch to another organization that you belong to',
    operationId: 'switchOrganization',
    body: { ...schemas.switchBody, examples: [{ organization_id: schemas.sessionExample.organization_id }] },
    response: {
      200: withHeaders(
        success('An access token for that organization', Type.Ref('AccessToken'), tokenExample),
        'Set-Cookie',
      ),
      ...problems(entryRefused, cookieMissing, organizationNotFound),
    },
  })
  app.post<{ Body: Static<typeof schemas.switchBody> }>('/auth/switch', options, async (request, reply) => {
    const cookie = tokenOf(request, routes)
    const organizationId = request.body.organization_id.toLowerCase()
    const visit = visitOf(request, cookie !== null)
    return sendSession(reply, await sessions.switchTo(personOf(request), organizationId, visit, cookie))
  })
}

function listRoute(app: FastifyInstance, { sessions, guard }: SessionRoutes): void {
  const options = route(guard('profile.read'), {
    summary: 'List my sessions',
    operationId: 'listSessions',
    response: { 200: list, ...problems() },
  })
  app.get('/auth/sessions', options, async (request) => {
    const { principal } = personOf(request)
    return wholeListJson(await sessions.own(principal), (session) => sessionJson(session, principal.sessionId))
  })
}

function revokeOthersRoute(app: FastifyInstance, { sessions, guard }: SessionRoutes): void {
  const options = route(guard('profile.read'), {
    summary: 'End all of my sessions except this one',
    operationId: 'revokeOtherSessions',
    response: {
      200: success(
        'How many ended',
        Type.Object({ ended: Type.Integer({ description: 'How many.' }) }, { title: 'EndedSessions' }),
        { ended: 2 },
      ),
      ...problems(),
    },
  })
  app.post('/auth/sessions/revoke-others', options, async (request) => ({
    ended: await sessions.endOthers(personOf(request)),
  }))
}

function revokeRoute(app: FastifyInstance, { sessions, guard }: SessionRoutes): void {
  const options = route(guard('profile.read'), {
    summary: 'End one of my sessions',
    operationId: 'revokeSession',
    params: idParams,
    response: { ...ended, ...problems(sessionNotFound) },
  })
  app.post<OneParam>('/auth/sessions/:id/revoke', options, async (request, reply) => {
    await sessions.endOwn(personOf(request), idOf(request))
    return reply.status(204).send()
  })
}

function listOfMemberRoute(app: FastifyInstance, { sessions, guard }: SessionRoutes): void {
  const options = route(guard('user.manage'), {
    tags: ['people'],
    summary: "List a member's sessions in this organization",
    operationId: 'listUserSessions',
    params: idParams,
    response: { 200: list, ...problems(userNotFound) },
  })
  app.get<OneParam>('/users/:id/sessions', options, async (request) => {
    const { principal } = personOf(request)
    const found = await sessions.ofMember(principal, idOf(request))
    return wholeListJson(found, (session) => sessionJson(session, principal.sessionId))
  })
}

function revokeOfMemberRoute(app: FastifyInstance, { sessions, guard }: SessionRoutes): void {
  const options = route(guard('user.manage'), {
    tags: ['people'],
    summary: "End one of a member's sessions in this organization",
    operationId: 'revokeUserSession',
    params: memberParams,
    response: { ...ended, ...problems(sessionNotFound) },
  })
  app.post<{ Params: { id: string; session_id: string } }>(
    '/users/:id/sessions/:session_id/revoke',
    options,
    async (request, reply) => {
      const { id, session_id: sessionId } = request.params
      await sessions.endOfMember(personOf(request), id.toLowerCase(), sessionId.toLowerCase())
      return reply.status(204).send()
    },
  )
}

const sessionNames = names(
  'id, organization_id, user_id, kind, signed_in_with, signed_in_at, network, user_agent, last_used_at, expires_at',
)

function sessionJson(session: Session, current: string | undefined) {
  return { ...valuesOf(session, sessionNames), is_current: session.id === current }
}
