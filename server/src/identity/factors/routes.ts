import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { idParams, problems, success } from '../../http/openapi.ts'
import { names, valuesOf } from '../../platform/names.ts'
import { type Guard, guardedRoutes, personOf } from '../guard.ts'
import { throttled } from '../throttle/attempts.ts'
import { passkeyNotFound, passkeyRefused, passkeyRegistered, tooManyPasskeys } from './enrolment/passkeys.ts'
import { nothingToRecover } from './enrolment/recovery-codes.ts'
import { totpCodeWrong, totpNotBegun, totpNotFound } from './enrolment/totp.ts'
import { passkeysUnavailable } from './passkeys/ceremonies.ts'
import type { Passkey } from './passkeys/passkey.ts'
import { registrationOf } from './proof-input.ts'
import * as schemas from './schemas.ts'
import type { FactorList, Factors } from './service.ts'
import { registerSignInRoutes, type SignInRoutes } from './sign-in/routes.ts'
import { stepUpRequired } from './step-up.ts'
import { permitOf } from './step-ups/demand-step-ups.ts'
import { registerStepUpRoutes } from './step-ups/routes.ts'
import type { Totp } from './totp/store.ts'

export interface FactorRoutes extends Omit<SignInRoutes, 'signIn'> {
  readonly factors: Factors
  readonly guard: Guard
}

const route = guardedRoutes('factors')
const gone = { description: 'Removed', type: 'null' }

/** A person's own factors; also the step-ups and the sign-in that use them. */
export function registerFactorRoutes(app: FastifyInstance, routes: FactorRoutes): void {
  for (const schema of [
    schemas.totpSchema,
    schemas.passkeySchema,
    schemas.factorsSchema,
    schemas.totpEnrolmentSchema,
    schemas.recoveryCodesSchema,
    schemas.stepUpSchema,
  ]) {
    app.addSchema(schema)
  }
  registerListRoutes(app, routes)
  registerTotpRoutes(app, routes)
  registerPasskeyRoutes(app, routes)
  registerStepUpRoutes(app, { stepUps: routes.factors.stepUps, guard: routes.guard })
  registerSignInRoutes(app, { signIn: routes.factors.signIn, openSession: routes.openSession })
}

function registerListRoutes(app: FastifyInstance, { factors, guard }: FactorRoutes): void {
  app.get(
    '/auth/factors',
    route(guard('profile.read'), {
      summary: 'List my authentication factors',
      operationId: 'listFactors',
      response: {
        200: success('The factors', Type.Ref('Factors'), schemas.exampleFactors),
        ...problems(),
      },
    }),
    async (request) => factorsJson(await factors.list(personOf(request).principal.accountId)),
  )

  app.post(
    '/auth/factors/recovery-codes',
    route(guard('profile.read'), {
      summary: 'Make ten recovery codes; earlier ones stop working',
      operationId: 'makeRecoveryCodes',
      response: {
        201: success('The codes, shown only once', Type.Ref('RecoveryCodes'), schemas.exampleRecoveryCodes),
        ...problems(stepUpRequired, nothingToRecover),
      },
    }),
    async (request, reply) => {
      const codes = await factors.recoveryCodes.make(personOf(request), permitOf(request))
      return reply.status(201).send({ codes })
    },
  )
}

function registerTotpRoutes(app: FastifyInstance, { factors, guard }: FactorRoutes): void {
  app.post(
    '/auth/factors/totp',
    route(guard('profile.read'), {
      summary: 'Begin to add an authenticator app; its first code activates it and replaces an earlier one',
      operationId: 'beginAuthenticatorApp',
      response: {
        201: success('The secret, shown only once', Type.Ref('AuthenticatorAppEnrolment'), schemas.exampleEnrolment),
        ...problems(stepUpRequired),
      },
    }),
    async (request, reply) => {
      const { id, seed, uri, expiresAt } = await factors.totp.begin(personOf(request), permitOf(request))
      return reply.status(201).send({ id, secret: seed, uri, expires_at: expiresAt })
    },
  )

  app.post<{ Params: { id: string }; Body: Static<typeof schemas.confirmTotpBody> }>(
    '/auth/factors/totp/:id/confirm',
    route(guard('profile.read'), {
      summary: 'Activate the authenticator app with its first code',
      operationId: 'confirmAuthenticatorApp',
      params: idParams,
      body: { ...schemas.confirmTotpBody, examples: [{ code: '492039' }] },
      response: {
        200: success('The authenticator app', Type.Ref('AuthenticatorApp'), schemas.exampleTotp),
        ...problems(totpNotBegun, totpCodeWrong, throttled),
      },
    }),
    async (request) => totpJson(await factors.totp.confirm(personOf(request), request.params.id, request.body.code)),
  )

  app.delete<{ Params: { id: string } }>(
    '/auth/factors/totp/:id',
    route(guard('profile.read'), {
      summary: 'Remove the authenticator app',
      operationId: 'removeAuthenticatorApp',
      params: idParams,
      response: {
        204: gone,
        ...problems(stepUpRequired, totpNotFound),
      },
    }),
    async (request, reply) => {
      await factors.totp.remove(personOf(request), request.params.id, permitOf(request))
      return reply.status(204).send()
    },
  )
}

function registerPasskeyRoutes(app: FastifyInstance, { factors, guard }: FactorRoutes): void {
  app.post(
    '/auth/factors/passkeys/options',
    route(guard('profile.read'), {
      summary: 'Begin to add a passkey: get what the browser needs to make one',
      operationId: 'beginPasskey',
      response: {
        200: success('The options', schemas.ceremonyOptionsSchema, schemas.exampleRegistrationOptions),
        ...problems(stepUpRequired, passkeysUnavailable, tooManyPasskeys),
      },
    }),
    async (request) => factors.passkeys.begin(personOf(request), permitOf(request)),
  )

  app.post<{ Body: Static<typeof schemas.addPasskeyBody> }>(
    '/auth/factors/passkeys',
    route(guard('profile.read'), {
      summary: 'Add the passkey that the browser made',
      operationId: 'addPasskey',
      body: {
        ...schemas.addPasskeyBody,
        examples: [{ name: 'Work laptop', credential: schemas.exampleRegistration }],
      },
      response: {
        201: success('The passkey', Type.Ref('Passkey'), schemas.examplePasskey),
        ...problems(passkeyRegistered, tooManyPasskeys, passkeysUnavailable, passkeyRefused),
      },
    }),
    async (request, reply) => {
      const { credential, name = 'Passkey' } = request.body
      const passkey = await factors.passkeys.add(personOf(request), registrationOf(credential), name)
      return reply.status(201).send(passkeyJson(passkey))
    },
  )

  app.patch<{ Params: { id: string }; Body: Static<typeof schemas.renamePasskeyBody> }>(
    '/auth/factors/passkeys/:id',
    route(guard('profile.read'), {
      summary: 'Rename a passkey',
      operationId: 'renamePasskey',
      params: idParams,
      body: { ...schemas.renamePasskeyBody, examples: [{ name: 'Old laptop' }] },
      response: {
        200: success('The passkey', Type.Ref('Passkey'), schemas.examplePasskey),
        ...problems(passkeyNotFound),
      },
    }),
    async (request) =>
      passkeyJson(await factors.passkeys.rename(personOf(request), request.params.id, request.body.name)),
  )

  app.delete<{ Params: { id: string } }>(
    '/auth/factors/passkeys/:id',
    route(guard('profile.read'), {
      summary: 'Remove a passkey',
      operationId: 'removePasskey',
      params: idParams,
      response: { 204: gone, ...problems(stepUpRequired, passkeyNotFound) },
    }),
    async (request, reply) => {
      await factors.passkeys.remove(personOf(request), request.params.id, permitOf(request))
      return reply.status(204).send()
    },
  )
}

function factorsJson(list: FactorList) {
  const { recoveryCodes } = list
  return {
    second_factor: list.hasSecondFactor,
    totp: list.totp === null ? null : totpJson(list.totp),
    passkeys: list.passkeys.map(passkeyJson),
    recovery_codes:
      recoveryCodes === null ? null : { remaining: recoveryCodes.remaining, created_at: recoveryCodes.createdAt },
  }
}

function totpJson(totp: Totp) {
  return { id: totp.id, created_at: totp.createdAt, last_used_at: totp.lastUsedAt }
}

const passkeyNames = names('id, name, is_backed_up, created_at, last_used_at')

function passkeyJson(passkey: Passkey) {
  return valuesOf(passkey, passkeyNames)
}
