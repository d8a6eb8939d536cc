import type { Fact } from '../../facts/fact.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import type { Logger } from '../../platform/log.ts'
import { Problem, refusal } from '../../platform/problem.ts'
import type { Visitor } from '../accounts/account-facts.ts'
import { userById } from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import { assuranceJson } from '../factors/step-up.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import type { Claims } from './claims.ts'
import { type Flow, type FlowSecrets, flowMinutes, hashFlowSecret, isFlowSecret, newFlowSecret } from './flows/flow.ts'
import * as flows from './flows/store.ts'
import { createMemberships, type Entered } from './members/memberships.ts'
import * as identities from './members/store.ts'
import { isFailure, type Party } from './oidc-client.ts'
import { type IdentityProvider, providerNotFound } from './provider.ts'
import { type SsoDependencies, secretPlace } from './providers/service.ts'
import { markProven, providerById, type StoredProvider } from './providers/store.ts'

/** Who has come in. The session that this opens is for this organization alone: no other one's provider spoke for them. */
export interface SsoSignedIn {
  readonly user: User
  readonly methods: readonly ['oidc']
  /** When it was proved, at the earliest. */
  readonly provenAt: Date
}

export interface Begun {
  /** Where to send the browser. */
  readonly url: string
  /** The browser's mark, for the cookie. */
  readonly browser: string
}

export interface Finished {
  /** Null: an identity was linked, the person was signed in already. */
  readonly signedIn: SsoSignedIn | null
  /** A path of this service. */
  readonly returnTo: string
}

export interface SignInDependencies extends SsoDependencies {
  readonly log: Logger
  readonly publicUrl: string
}

export type SsoSignIn = ReturnType<typeof createSsoSignIn>

export function createSsoSignIn(dependencies: SignInDependencies) {
  const { db, clock, sealer, client, log, publicUrl, report } = dependencies
  const members = createMemberships(dependencies)

  const activeProvider = async (id: string): Promise<StoredProvider> => {
    const key = id.toLowerCase()
    const stored = await providerById(db.within({ lookUp: key }), key)
    if (stored === null || !stored.provider.isActive) throw providerNotFound()
    return stored
  }

  const partyOf = async ({ provider, sealedSecret }: StoredProvider): Promise<Party> => ({
    issuer: provider.issuer,
    clientId: provider.clientId,
    clientSecret: sealedSecret === null ? null : await sealer.open(sealedSecret, secretPlace(provider)),
  })

  /** Exactly one address per provider: an answer meant for one cannot be brought to another (RFC 9700, 4.4). */
  const redirectUri = (provider: IdentityProvider): string => `${publicUrl}/api/v1/auth/sso/${provider.id}/callback`

  const begin = async (
    stored: StoredProvider,
    of: { readonly userId: string | null; readonly returnTo: string; readonly browser: string | undefined },
    before: (tx: Tx) => Promise<void>,
  ): Promise<Begun> => {
    const { provider } = stored
    const { organizationId } = provider
    const now = clock.now()
    const [state, nonce, verifier] = [newFlowSecret(), newFlowSecret(), newFlowSecret()]
    // Two tabs share a mark; one that is not ours is not taken.
    const browser = isFlowSecret(of.browser) ? of.browser : newFlowSecret()
    const url = await client
      .authorizationUrl(await partyOf(stored), provider.scopes, redirectUri(provider), { state, nonce, verifier })
      .catch((error: unknown) => {
        throw isFailure(error) ? providerDown(error.reason, log) : error
      })
    const flow: Flow = {
      organizationId,
      id: newId(),
      providerId: provider.id,
      userId: of.userId,
      returnTo: of.returnTo,
      expiresAt: new Date(now.getTime() + flowMinutes * 60_000),
      createdAt: now,
    }
    const secrets: FlowSecrets = { nonce, verifier }
    const sealed = await sealer.seal(JSON.stringify(secrets), flowPlace(flow))
    const hashes = { state: hashFlowSecret(state), browser: hashFlowSecret(browser) }
    await inTransaction(db, { organizationId }, async (tx) => {
      await before(tx)
      await flows.dropExpiredFlows(tx, organizationId, now)
      await flows.insertFlow(tx, flow, hashes, sealed)
    })
    return { url: url.href, browser }
  }

  const refusedFact = (provider: IdentityProvider, flow: Flow, visitor: Visitor, reason: string): Fact => ({
    organizationId: provider.organizationId,
    kind: flow.userId === null ? 'sso.sign_in_refused' : 'sso.link_refused',
    subjectKind: 'identity_provider',
    subjectId: provider.id,
    actor: { kind: 'anonymous', id: null },
    httpRequestId: visitor.httpRequestId,
    network: visitor.network,
    before: null,
    after: { reason },
    occurredAt: clock.now(),
  })

  /** What the provider says of the person. A refusal is an event of its own: nothing else came of it. */
  const askProvider = async (
    stored: StoredProvider,
    answer: { readonly state: string; readonly query: string },
    flow: Flow,
    sealedSecrets: Buffer,
    visitor: Visitor,
  ): Promise<Claims> => {
    const { provider } = stored
    const secrets = JSON.parse(await sealer.open(sealedSecrets, flowPlace(flow))) as FlowSecrets
    const wanted = ['email', provider.roleClaim, provider.teamClaim].filter((name) => name !== null)
    try {
      if (flow.expiresAt <= clock.now()) throw Object.assign(new Error('late'), { reason: 'too_late', isOurs: false })
      const url = new URL(`${redirectUri(provider)}?${answer.query}`)
      return await client.claims(await partyOf(stored), url, { ...secrets, state: answer.state }, wanted)
    } catch (error) {
      if (!isFailure(error)) throw error
      const { organizationId } = provider
      const fact = refusedFact(provider, flow, visitor, error.reason)
      await inTransaction(db, { organizationId }, (tx) => report(tx, [fact]))
      throw error.isOurs ? providerDown(error.reason, log) : refused(error.reason)
    }
  }

  /** Throws what `members` refused, after it is written down. */
  const enter = async (
    provider: IdentityProvider,
    flow: Flow,
    visitor: Visitor,
    work: (tx: Tx, accountId: string) => Promise<Entered | Problem>,
  ): Promise<Entered> => {
    const { organizationId } = provider
    const accountId = newId()
    const outcome = await inTransaction(db, { organizationId, accountId }, async (tx) => {
      const entered = await work(tx, accountId)
      if (entered instanceof Problem) {
        await report(tx, [refusedFact(provider, flow, visitor, entered.code.replace('sso.', ''))])
        return entered
      }
      await markProven(tx, provider, clock.now())
      return entered
    })
    if (outcome instanceof Problem) throw outcome
    return outcome
  }

  return {
    /** A sign-in through a provider; throws 404, 503. */
    start: async (
      providerId: string,
      of: { readonly returnTo: string; readonly browser: string | undefined },
    ): Promise<Begun> => begin(await activeProvider(providerId), { ...of, userId: null }, async () => {}),

    /** The signed-in person takes an identity at the provider into the own membership. */
    startLink: async (
      by: Caller<Person>,
      providerId: string,
      of: { readonly returnTo: string; readonly browser: string | undefined },
      permit: Permit,
    ): Promise<Begun> => {
      const stored = await activeProvider(providerId)
      const { organizationId, userId } = by.principal
      if (stored.provider.organizationId !== organizationId) throw providerNotFound()
      return begin(stored, { ...of, userId }, async (tx) => {
        const assurance = await permit.use(tx)
        await report(tx, [
          {
            organizationId,
            kind: 'sso.link_begun',
            subjectKind: 'identity_provider',
            subjectId: stored.provider.id,
            actor: actorOf(by.principal),
            httpRequestId: by.httpRequestId,
            network: by.network ?? null,
            digest: permit.digest,
            before: null,
            after: { assurance: assuranceJson(assurance) },
            occurredAt: clock.now(),
          },
        ])
      })
    },

    /** The provider's answer, as the browser brings it. Throws 403, 404, 409, 503. */
    finish: async (
      providerId: string,
      answer: { readonly state: string; readonly query: string },
      browser: string | undefined,
      visitor: Visitor,
    ): Promise<Finished> => {
      const provenAt = clock.now()
      const stored = await activeProvider(providerId)
      const { provider } = stored
      const { organizationId } = provider
      if (!isFlowSecret(answer.state) || !isFlowSecret(browser)) throw flowNotBegunHere()
      const taken = await flows.takeFlow(db.within({ organizationId }), {
        organizationId,
        providerId: provider.id,
        state: hashFlowSecret(answer.state),
        browser: hashFlowSecret(browser),
      })
      if (taken === null) throw flowNotBegunHere()
      const { flow, sealedSecrets } = taken
      const claims = await askProvider(stored, answer, flow, sealedSecrets, visitor)
      const { userId } = flow
      if (userId !== null) {
        await enter(provider, flow, visitor, (tx) => members.link(tx, provider, claims, userId, visitor))
        return { signedIn: null, returnTo: flow.returnTo }
      }
      const entered = await enter(provider, flow, visitor, (tx, accountId) =>
        members.enter(tx, provider, claims, accountId, visitor),
      )
      const user = await userById(db.within({ organizationId }), organizationId, entered.userId)
      if (user === null) throw flowNotBegunHere()
      return { signedIn: { user, methods: ['oidc'], provenAt }, returnTo: flow.returnTo }
    },

    identities: ({ organizationId, userId }: Person): Promise<readonly identities.SsoIdentity[]> =>
      identities.identitiesOf(db.within({ organizationId }), organizationId, userId),

    /** The identity opens nothing any more. */
    unlink: async (by: Caller<Person>, id: string, permit: Permit): Promise<void> => {
      const { organizationId, userId } = by.principal
      await inTransaction(db, { organizationId }, async (tx) => {
        const assurance = await permit.use(tx)
        const identity = await identities.deleteIdentity(tx, organizationId, userId, id)
        if (identity === null) throw identityNotFound()
        await report(tx, [
          {
            organizationId,
            kind: 'sso.unlinked',
            subjectKind: 'user',
            subjectId: userId,
            actor: actorOf(by.principal),
            httpRequestId: by.httpRequestId,
            network: by.network ?? null,
            digest: permit.digest,
            before: { issuer: identity.issuer },
            after: { assurance: assuranceJson(assurance) },
            erasable: { subject: identity.subject },
            occurredAt: clock.now(),
          },
        ])
      })
    },
  }
}

function flowPlace({ organizationId, id }: Flow) {
  return { organizationId, table: 'sso_flows', column: 'secrets', row: id }
}

/** The same for every cause, so that an answer from another browser teaches nobody anything. */
export const flowNotBegunHere = refusal(
  403,
  'sso.not_begun_here',
  `This sign-in was not begun in this browser, is finished already, or took longer than ${flowMinutes} minutes. Start again.`,
)

export const ssoDenied = refusal(
  403,
  'sso.denied',
  'Your identity provider did not let you in. Ask its administrator for access.',
)

export const ssoAnswerRefused = refusal(
  403,
  'sso.answer_refused',
  "The identity provider's answer was not accepted. Start again; if it stays, give your administrator the request_id.",
)

export const providerUnavailable = refusal(503, 'sso.provider_unavailable', {
  detail: 'Your identity provider does not answer just now. Try again in a moment.',
  headers: { 'retry-after': '5' },
})

export const identityNotFound = refusal(404, 'sso_identity.not_found', 'Linked identity not found')

function refused(reason: string): Problem {
  if (reason === 'too_late') return flowNotBegunHere()
  return reason === 'answered_access_denied' ? ssoDenied() : ssoAnswerRefused()
}

function providerDown(reason: string, log: Logger): Problem {
  log.warn({ reason }, 'an identity provider did not answer')
  return providerUnavailable()
}
