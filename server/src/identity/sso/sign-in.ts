import { type Fact, factBy } from '../../facts/fact.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import type { Logger } from '../../platform/log.ts'
import { Problem, refusal } from '../../platform/problem.ts'
import { withContext } from '../../platform/with-context.ts'
import type { Visitor } from '../accounts/account-facts.ts'
import { mayFinish } from '../accounts/open-flows.ts'
import { userById } from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import { assuranceJson } from '../factors/step-up.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { organizationById } from '../organizations/store.ts'
import { byCaller, byNobody, type Caller, type Person } from '../principal.ts'
import { hashSecretToken, isSecretToken, newSecretToken } from '../secret-token.ts'
import { answerFlaw } from './answer-flaws.ts'
import { authenticatedAt, type Claims } from './claims.ts'
import { type Flow, type FlowSecrets, flowMinutes, markFor } from './flows/flow.ts'
import * as flows from './flows/store.ts'
import * as members from './members/memberships.ts'
import * as identityStore from './members/store.ts'
import { isFailure, type Party, type ProviderFailure } from './oidc-client.ts'
import { type IdentityProvider, providerNotFound } from './provider.ts'
import { openSecret, type ProviderContext } from './providers/service.ts'
import { markProven, providerById, type StoredProvider, stillStands } from './providers/store.ts'

/** A person whom a provider identified. The session is for this organization alone: its provider speaks for no other. */
export interface SsoSignedIn {
  readonly user: User
  readonly methods: readonly ['oidc']
  /** The earliest time of the proof. */
  readonly provenAt: Date
  /** When the person proved themselves to the provider, which may have remembered them since. */
  readonly signedInAt: Date
  readonly openedBy: { readonly identityProviderId: string; readonly ssoIdentityId: string }
}

export interface Begun {
  /** Where to send the browser. */
  readonly url: string
  /** The browser's mark, for the cookie. */
  readonly browser: string
}

export interface Finished {
  /** Null when an identity was linked: the person was signed in already. */
  readonly signedIn: SsoSignedIn | null
  /** A path of this service. */
  readonly returnTo: string
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
  (why: string | null = null) =>
    why ??
    "The identity provider's answer was not accepted. Start again; if it keeps happening, give your administrator the request_id.",
)

export const providerUnavailable = refusal(503, 'sso.provider_unavailable', {
  detail: 'Your identity provider is not responding right now. Try again in a moment.',
  headers: { 'retry-after': '5' },
})

export const identityNotFound = refusal(404, 'sso_identity.not_found', 'Linked identity not found')

export interface SsoContext extends ProviderContext {
  readonly log: Logger
  readonly publicUrl: string
}

export type SsoSignIn = ReturnType<typeof createSsoSignIn>

export function createSsoSignIn(context: SsoContext) {
  return withContext(context, { start, startLink, wouldReplace, finish, identities, unlink })
}

interface From {
  readonly returnTo: string
  /** The mark that the browser brings, if it has one. */
  readonly browser: string | undefined
  /** The session that the browser has; a sign-in that is asked for replaces it. */
  readonly sessionId?: string | null
}

/** A sign-in through a provider. Throws 404, 503. */
async function start(context: SsoContext, providerId: string, from: From): Promise<Begun> {
  const { sessionId = null } = from
  return begin(context, await activeProvider(context, providerId), { userId: null, sessionId }, from, async () => {})
}

/** Begins to link an identity at the provider to the membership of the signed-in person. */
async function startLink(
  context: SsoContext,
  by: Caller<Person>,
  providerId: string,
  from: From,
  permit: Permit,
): Promise<Begun> {
  const stored = await activeProvider(context, providerId)
  const { organizationId, userId, sessionId = null } = by.principal
  if (stored.provider.organizationId !== organizationId) throw providerNotFound()
  return begin(context, stored, { userId, sessionId }, from, async (tx) => {
    const assurance = await permit.use(tx)
    const fact = factBy(byCaller(by), 'sso.link_begun', ['identity_provider', stored.provider.id], {
      digest: permit.digest,
      before: null,
      after: { assurance: assuranceJson(assurance) },
      occurredAt: context.clock.now(),
    })
    await context.report(tx, [fact])
  })
}

interface Answer {
  readonly state: string
  readonly query: string
}

/** Whether finishing this flow would end a session that the browser did not have when the sign-in was asked for. */
async function wouldReplace(
  context: SsoContext,
  providerId: string,
  state: string,
  browser: string | undefined,
  sessionId: string,
): Promise<boolean> {
  const { provider } = await activeProvider(context, providerId)
  const flow = await flows.findFlow(
    context.db.within({ organizationId: provider.organizationId }),
    whichFlow(provider, state, browser),
  )
  return flow !== null && flow.userId === null && flow.sessionId !== sessionId
}

/** Throws 403 for what cannot be the state and the mark of a flow. */
function whichFlow({ organizationId, id: providerId }: IdentityProvider, state: string, browser: string | undefined) {
  if (!isSecretToken(state) || !isSecretToken(browser)) throw flowNotBegunHere()
  return { organizationId, providerId, state: hashSecretToken(state), browser: hashSecretToken(browser) }
}

/** The provider's answer, as the browser brings it. Throws 403, 404, 409, 503. */
async function finish(
  context: SsoContext,
  providerId: string,
  answer: Answer,
  browser: string | undefined,
  visitor: Visitor,
): Promise<Finished> {
  const { db, clock } = context
  const provenAt = clock.now()
  const stored = await activeProvider(context, providerId)
  const { provider } = stored
  const { organizationId } = provider
  const taken = await flows.takeFlow(db.within({ organizationId }), whichFlow(provider, answer.state, browser))
  if (taken === null) throw flowNotBegunHere()
  const { flow, sealedSecrets } = taken
  const claims = await askProvider(context, stored, answer, flow, sealedSecrets, visitor)
  const arrival = { provider, claims, visitor }
  const { userId } = flow
  const find = (id: string) => userById(db.within({ organizationId }), organizationId, id)
  if (userId !== null) {
    const member = await find(userId)
    if (member === null) throw flowNotBegunHere()
    const { accountId } = member
    await enter(context, provider, flow, visitor, accountId, async (tx) =>
      (await mayFinish(tx, { ...flow, accountId }, clock.now()))
        ? members.link(context, tx, arrival, userId)
        : flowNotBegunHere(),
    )
    return { signedIn: null, returnTo: flow.returnTo }
  }
  const newAccountId = newId()
  const entered = await enter(context, provider, flow, visitor, newAccountId, (tx) =>
    members.enter(context, tx, arrival, newAccountId),
  )
  const user = await find(entered.userId)
  if (user === null) throw flowNotBegunHere()
  const openedBy = { identityProviderId: provider.id, ssoIdentityId: entered.identityId }
  const signedInAt = authenticatedAt(claims, provenAt)
  return { signedIn: { user, methods: ['oidc'], provenAt, signedInAt, openedBy }, returnTo: flow.returnTo }
}

function identities(
  { db }: SsoContext,
  { organizationId, userId }: Person,
): Promise<readonly identityStore.SsoIdentity[]> {
  return identityStore.identitiesOf(db.within({ organizationId }), organizationId, userId)
}

/** From then on the identity opens nothing, and what it opened has ended. */
async function unlink(
  { db, clock, report, endSessions }: SsoContext,
  by: Caller<Person>,
  id: string,
  permit: Permit,
): Promise<void> {
  const { organizationId, userId } = by.principal
  await inTransaction(db, { organizationId }, async (tx) => {
    const assurance = await permit.use(tx)
    const identity = await identityStore.deleteIdentity(tx, organizationId, userId, id)
    if (identity === null) throw identityNotFound()
    await endSessions(tx, { organizationId, userId, ssoIdentityId: id }, 'revoked', byCaller(by))
    const fact = factBy(byCaller(by), 'sso.unlinked', ['user', userId], {
      digest: permit.digest,
      before: { issuer: identity.issuer },
      after: { assurance: assuranceJson(assurance) },
      erasable: { subject: identity.subject },
      occurredAt: clock.now(),
    })
    await report(tx, [fact])
  })
}

async function activeProvider({ db }: SsoContext, id: string): Promise<StoredProvider> {
  const key = id.toLowerCase()
  const stored = await providerById(db.within({ lookUp: key }), key)
  if (stored === null || !stored.provider.isActive) throw providerNotFound()
  const { organizationId } = stored.provider
  if ((await organizationById(db.within({ organizationId }), organizationId)) === null) throw providerNotFound()
  return stored
}

/** Throws where the issuer is not the one that the client secret was given for: it would be sent to a stranger. */
async function partyOf(context: SsoContext, stored: StoredProvider): Promise<Party> {
  const { organizationId, id, issuer, clientId } = stored.provider
  const given = await openSecret(context, stored)
  if (given === null || given.issuer === issuer) return { issuer, clientId, clientSecret: given?.secret ?? null }
  context.log.error(
    { organization_id: organizationId, identity_provider: id },
    'the issuer of an identity provider was changed outside this service: its client secret is not sent there',
  )
  throw providerUnavailable()
}

/** Exactly one address per provider: an answer meant for one cannot be brought to another (RFC 9700, 4.4). */
function redirectUri({ publicUrl }: SsoContext, provider: IdentityProvider): string {
  return `${publicUrl}/api/v1/auth/sso/${provider.id}/callback`
}

async function begin(
  context: SsoContext,
  stored: StoredProvider,
  link: Pick<Flow, 'userId' | 'sessionId'>,
  from: From,
  before: (tx: Tx) => Promise<void>,
): Promise<Begun> {
  const { db, clock, sealer, client } = context
  const { provider } = stored
  const { organizationId } = provider
  const now = clock.now()
  const [state, nonce, verifier] = [newSecretToken(), newSecretToken(), newSecretToken()]
  const browser = markFor(from.browser)
  const expected = { state, nonce, verifier }
  // Signing in again is how people without a factor prove themselves for a sensitive act.
  const anew = link.userId === null && link.sessionId !== null
  const url = await client
    .authorizationUrl(await partyOf(context, stored), provider.scopes, redirectUri(context, provider), expected, anew)
    .catch((error: unknown) => {
      throw isFailure(error) ? refusalOf(context, error) : error
    })
  const flow: Flow = {
    organizationId,
    id: newId(),
    providerId: provider.id,
    ...link,
    returnTo: from.returnTo,
    expiresAt: new Date(now.getTime() + flowMinutes * 60_000),
    createdAt: now,
  }
  const secrets: FlowSecrets = { nonce, verifier }
  const sealed = await sealer.seal(JSON.stringify(secrets), flowPlace(flow))
  const hashes = { state: hashSecretToken(state), browser: hashSecretToken(browser) }
  await inTransaction(db, { organizationId }, async (tx) => {
    await before(tx)
    await flows.dropExpiredFlows(tx, organizationId, now)
    await flows.insertFlow(tx, flow, hashes, sealed)
  })
  return { url: url.href, browser }
}

/** What the provider says about the person. A refusal is an event of its own, as nothing else comes of it. */
async function askProvider(
  context: SsoContext,
  stored: StoredProvider,
  answer: Answer,
  flow: Flow,
  sealedSecrets: Buffer,
  visitor: Visitor,
): Promise<Claims> {
  const { db, clock, sealer, client, report } = context
  const { provider } = stored
  const refuse = (reason: string): Promise<void> =>
    inTransaction(db, { organizationId: provider.organizationId }, (tx) =>
      report(tx, [refusedFact(context, provider, flow, visitor, reason)]),
    )
  if (flow.expiresAt <= clock.now()) {
    await refuse('too_late')
    throw flowNotBegunHere()
  }
  const secrets = JSON.parse(await sealer.open(sealedSecrets, flowPlace(flow))) as FlowSecrets
  const wanted = ['email', provider.roleClaim, provider.teamClaim].filter((name) => name !== null)
  try {
    const url = new URL(`${redirectUri(context, provider)}?${answer.query}`)
    return await client.claims(await partyOf(context, stored), url, { ...secrets, state: answer.state }, wanted)
  } catch (error) {
    if (!isFailure(error)) throw error
    await refuse(error.reason)
    throw refusalOf(context, error)
  }
}

/** Throws the refusal of `work` once it is reported. */
async function enter(
  context: SsoContext,
  provider: IdentityProvider,
  flow: Flow,
  visitor: Visitor,
  accountId: string,
  work: (tx: Tx) => Promise<members.Entered | Problem>,
): Promise<members.Entered> {
  const { db, clock, report } = context
  const { organizationId } = provider
  const outcome = await inTransaction(db, { organizationId, accountId }, async (tx) => {
    // The provider's reply took its time, and was asked for under the settings of before.
    const entered = (await stillStands(tx, provider)) ? await work(tx) : flowNotBegunHere()
    if (entered instanceof Problem) {
      await report(tx, [refusedFact(context, provider, flow, visitor, entered.code.replace('sso.', ''))])
      return entered
    }
    await markProven(tx, provider, clock.now())
    return entered
  })
  if (outcome instanceof Problem) throw outcome
  return outcome
}

function refusedFact(
  { clock }: SsoContext,
  { organizationId, id }: IdentityProvider,
  flow: Flow,
  visitor: Visitor,
  reason: string,
): Fact {
  const kind = flow.userId === null ? 'sso.sign_in_refused' : 'sso.link_refused'
  const change = { before: null, after: { reason }, occurredAt: clock.now() }
  return factBy(byNobody(organizationId, visitor), kind, ['identity_provider', id], change)
}

function flowPlace({ organizationId, id }: Flow) {
  return { organizationId, table: 'sso_flows', column: 'secrets', row: id }
}

function refusalOf({ log }: SsoContext, { reason, isOurs, refusal: why }: ProviderFailure): Problem {
  if (reason === 'answered_access_denied') return ssoDenied()
  if (isOurs) log.warn({ reason, ...(why === null ? {} : { why }) }, 'an identity provider did not answer')
  return isOurs && why === null ? providerUnavailable() : ssoAnswerRefused(answerFlaw(reason))
}
