import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { idOf, idParams, problems, success, withHeaders } from '../../http/openapi.ts'
import { pageSchema, wholeListJson } from '../../http/paging.ts'
import { stepUpRequired } from '../factors/step-up.ts'
import { permitOf } from '../factors/step-ups/demand-step-ups.ts'
import { callOf, type Guard, guardedRoutes, personOf } from '../guard.ts'
import { closing } from '../organizations/organization.ts'
import { checkReturnTo, confirmationOf, createFlowCookie, flowMinutes, markFor } from './flows/flow.ts'
import { addressTaken, linkedElsewhere, memberInactive, noRole, notAMember } from './members/memberships.ts'
import { alsoAsPages, questionPage, refuseInWords, sendAgain, sendQuestion } from './pages.ts'
import { providerNotFound } from './provider.ts'
import * as schemas from './schemas.ts'
import {
  flowNotBegunHere,
  identityNotFound,
  providerUnavailable,
  type SsoSignedIn,
  type SsoSignIn,
  ssoAnswerRefused,
  ssoDenied,
} from './sign-in.ts'

export interface SsoRoutes {
  readonly sso: SsoSignIn
  readonly guard: Guard
  readonly publicUrl: string
  /** The live session whose cookie the browser sends; null without one. */
  readonly currentSession: (request: FastifyRequest) => Promise<string | null>
  /** Opens the session and puts what the browser keeps of it on the reply; the redirect is made here. */
  readonly signIn: (signedIn: SsoSignedIn, request: FastifyRequest, reply: FastifyReply) => Promise<void>
}

const route = guardedRoutes('sso')

/** Why the browser comes back from the provider and is not signed in. */
const signInRefusals = [
  flowNotBegunHere,
  ssoDenied,
  ssoAnswerRefused,
  memberInactive,
  noRole,
  closing,
  ...Object.values(notAMember),
]

export function registerSsoRoutes(app: FastifyInstance, routes: SsoRoutes): void {
  app.addSchema(schemas.linkSchema)
  app.addSchema(schemas.identitySchema)
  app.addSchema(pageSchema('SsoIdentityPage', Type.Ref('SsoIdentity')))
  registerSignIn(app, routes)
  registerIdentities(app, routes)
}

/** Whether another site's page, or a redirect of one, brought the browser here. Browsers say so where it matters: over https. */
function isCrossSite({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  return site === 'cross-site' || site === 'same-site'
}

function queryOf(request: FastifyRequest): string {
  return /\?(.*)/.exec(request.raw.url ?? '')?.[1] ?? ''
}

/** For HEAD: programs that check links must not begin or finish a sign-in. */
const beginNothing = (reply: FastifyReply): FastifyReply => reply.status(303).send()

function registerSignIn(app: FastifyInstance, { sso, publicUrl, signIn, currentSession }: SsoRoutes): void {
  const cookie = createFlowCookie(publicUrl)
  const { origin } = new URL(publicUrl)
  const common = { tags: ['sso'] }
  const markOf = (request: FastifyRequest) => cookie.read(request.headers.cookie)
  const home = new URL(`${publicUrl}/`).pathname
  const isConfirmed = (request: FastifyRequest): boolean => {
    const { confirmed } = request.query as { readonly confirmed?: string }
    const mark = markOf(request)
    return mark !== undefined && confirmed === confirmationOf(mark)
  }
  const ask = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const mark = markFor(markOf(request))
    const query = new URLSearchParams(queryOf(request))
    query.set('confirmed', confirmationOf(mark))
    return sendQuestion(reply.header('set-cookie', cookie.written(mark, flowMinutes * 60)), `?${query}`)
  }

  app.get<{ Params: { id: string }; Querystring: Static<typeof schemas.startQuery> }>(
    '/auth/sso/:id/start',
    {
      errorHandler: refuseInWords,
      schema: {
        ...common,
        summary: 'Sign in through an identity provider: for browsers, which are sent there',
        operationId: 'startSso',
        params: idParams,
        querystring: schemas.startQuery,
        response: {
          303: withHeaders({ description: 'To the provider', type: 'null' }, 'Set-Cookie', 'Location'),
          ...questionPage,
          ...alsoAsPages(ssoAnswerRefused, providerNotFound, providerUnavailable),
        },
      },
    },
    async (request, reply) => {
      const returnTo = checkReturnTo(request.query.return_to ?? home, publicUrl)
      if (request.method === 'HEAD') return beginNothing(reply)
      const sessionId = await currentSession(request)
      const isWanted = request.headers['sec-fetch-site'] === 'same-origin' || isConfirmed(request)
      if (!isWanted && (isCrossSite(request) || sessionId !== null)) return ask(request, reply)
      const from = { returnTo, browser: markOf(request), sessionId }
      const { url, browser } = await sso.start(request.params.id, from)
      return reply.header('set-cookie', cookie.written(browser, flowMinutes * 60)).redirect(url, 303)
    },
  )

  app.get<{ Params: { id: string }; Querystring: Static<typeof schemas.callbackQuery> }>(
    '/auth/sso/:id/callback',
    {
      errorHandler: refuseInWords,
      schema: {
        ...common,
        summary: 'Where the identity provider sends the browser back to',
        operationId: 'finishSso',
        params: idParams,
        querystring: schemas.callbackQuery,
        response: {
          303: withHeaders(
            { description: 'Signed in; to the page that was asked for', type: 'null' },
            'Set-Cookie',
            'Location',
          ),
          ...questionPage,
          ...alsoAsPages(...signInRefusals, providerNotFound, addressTaken, linkedElsewhere, providerUnavailable),
        },
      },
    },
    async (request, reply) => {
      if (request.method === 'HEAD') return beginNothing(reply)
      const query = queryOf(request)
      const { state = '', again } = request.query
      if (isCrossSite(request) && again === undefined) return sendAgain(reply, `?${query}&again=1`)
      // Where a browser that came again still sends no cookie, nobody knows who is signed in.
      const sessionId = isCrossSite(request) ? 'unknown' : await currentSession(request)
      if (sessionId !== null && !isConfirmed(request)) {
        if (await sso.wouldReplace(request.params.id, state, markOf(request), sessionId)) return ask(request, reply)
      }
      const answer = { state, query }
      const { signedIn, returnTo } = await sso.finish(request.params.id, answer, markOf(request), callOf(request))
      if (signedIn !== null) await signIn(signedIn, request, reply)
      // Absolute, and on this origin whatever the path looks like.
      return reply.redirect(origin + returnTo, 303)
    },
  )
}

function registerIdentities(app: FastifyInstance, { sso, guard, publicUrl }: SsoRoutes): void {
  const cookie = createFlowCookie(publicUrl)
  const home = new URL(`${publicUrl}/`).pathname

  app.post<{ Params: { id: string }; Body: Static<typeof schemas.linkBody> }>(
    '/auth/sso/:id/link',
    route(guard('sso.link'), {
      summary: 'Link your membership with your identity at a provider',
      operationId: 'linkSso',
      params: idParams,
      body: { ...schemas.linkBody, examples: [{ return_to: '/settings' }] },
      response: {
        200: withHeaders(success('Where to send the browser', Type.Ref('SsoLink'), schemas.exampleLink), 'Set-Cookie'),
        ...problems(stepUpRequired, ssoAnswerRefused, providerNotFound, providerUnavailable),
      },
    }),
    async (request, reply) => {
      const returnTo = checkReturnTo(request.body.return_to ?? home, publicUrl)
      const browser = cookie.read(request.headers.cookie)
      const begun = await sso.startLink(personOf(request), request.params.id, { returnTo, browser }, permitOf(request))
      return reply
        .header('set-cookie', cookie.written(begun.browser, flowMinutes * 60))
        .send({ authorization_url: begun.url })
    },
  )

  app.get(
    '/auth/sso/identities',
    route(guard('sso.link'), {
      summary: 'The identities that open your membership',
      operationId: 'listSsoIdentities',
      response: {
        200: success('The identities', Type.Ref('SsoIdentityPage'), {
          items: [schemas.exampleIdentity],
          next_cursor: null,
        }),
        ...problems(),
      },
    }),
    async (request) =>
      wholeListJson(await sso.identities(personOf(request).principal), (identity) => ({
        id: identity.id,
        issuer: identity.issuer,
        subject: identity.subject,
        created_at: identity.createdAt,
        last_used_at: identity.lastUsedAt,
      })),
  )

  app.delete<{ Params: { id: string } }>(
    '/auth/sso/identities/:id',
    route(guard('sso.link'), {
      summary: 'Unlink an identity: it opens nothing any more',
      operationId: 'unlinkSso',
      params: idParams,
      response: {
        204: { description: 'It is gone', type: 'null' },
        ...problems(stepUpRequired, identityNotFound),
      },
    }),
    async (request, reply) => {
      await sso.unlink(personOf(request), idOf(request), permitOf(request))
      return reply.status(204).send()
    },
  )
}
