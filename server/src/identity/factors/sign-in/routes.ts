import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { problems, success, withHeaders } from '../../../http/openapi.ts'
import { crossSite } from '../../../http/same-site.ts'
import { tokenExample } from '../../accounts/schemas.ts'
import { callOf } from '../../guard.ts'
import { throttled } from '../../throttle/attempts.ts'
import { passkeyCopied, passkeysUnavailable } from '../passkeys/ceremonies.ts'
import { assertionOf, proofOf } from '../proof-input.ts'
import * as schemas from '../schemas.ts'
import {
  challengeOver,
  noMembership,
  passkeyNotAccepted,
  type SecondFactorSignIn,
  type SignedIn,
  wrongSecondFactor,
} from './service.ts'

export interface SignInRoutes {
  readonly signIn: SecondFactorSignIn
  /** Opens the session of a complete sign-in; returns the body of POST /auth/login. */
  readonly openSession: (signedIn: SignedIn, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
}

export function registerSignInRoutes(app: FastifyInstance, { signIn, openSession }: SignInRoutes): void {
  const common = { tags: ['auth'] }

  app.post<{ Body: Static<typeof schemas.secondFactorBody> }>(
    '/auth/login/second-factor',
    {
      schema: {
        ...common,
        summary: 'Complete a sign-in that asked for a second factor',
        operationId: 'secondFactor',
        body: {
          ...schemas.secondFactorBody,
          examples: [{ challenge: schemas.exampleChallenge, method: 'totp', code: '492039' }],
        },
        response: {
          200: withHeaders(success('An access token', Type.Ref('AccessToken'), tokenExample), 'Set-Cookie'),
          ...problems(crossSite, wrongSecondFactor, challengeOver, noMembership, passkeyCopied, throttled),
        },
      },
    },
    async (request, reply) => {
      const { challenge, ...proof } = request.body
      return openSession(await signIn.completeChallenge(challenge, proofOf(proof), callOf(request)), request, reply)
    },
  )

  app.post<{ Body: Static<typeof schemas.passkeyOptionsBody> }>(
    '/auth/login/passkey/options',
    {
      schema: {
        ...common,
        summary: 'Get what the browser needs to sign in with a passkey; with a challenge, as the second factor',
        operationId: 'passkeyOptions',
        body: { ...schemas.passkeyOptionsBody, examples: [{}, { challenge: schemas.exampleChallenge }] },
        response: {
          200: success('The options', schemas.ceremonyOptionsSchema, schemas.exampleAssertionOptions),
          ...problems(challengeOver, passkeysUnavailable),
        },
      },
    },
    async (request) => signIn.passkeyOptions(request.body.challenge ?? null),
  )

  app.post<{ Body: Static<typeof schemas.passkeySignInBody> }>(
    '/auth/login/passkey',
    {
      schema: {
        ...common,
        summary: 'Sign in with a passkey instead of address and password',
        operationId: 'passkeySignIn',
        body: { ...schemas.passkeySignInBody, examples: [{ assertion: schemas.exampleAssertion }] },
        response: {
          200: withHeaders(success('An access token', Type.Ref('AccessToken'), tokenExample), 'Set-Cookie'),
          ...problems(crossSite, passkeyNotAccepted, noMembership, passkeyCopied, passkeysUnavailable, throttled),
        },
      },
    },
    async (request, reply) =>
      openSession(await signIn.signInWithPasskey(assertionOf(request.body.assertion), callOf(request)), request, reply),
  )
}
