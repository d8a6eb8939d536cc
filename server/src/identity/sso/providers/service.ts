import { type Fact, type FactChange, factBy } from '../../../facts/fact.ts'
import type { EventKind } from '../../../facts/kinds.ts'
import { inTransaction, type Tx } from '../../../platform/database/db.ts'
import { type CreatedOnce, createOnce, type Idempotency } from '../../../platform/idempotency.ts'
import { newId } from '../../../platform/ids.ts'
import { invalid, type Problem } from '../../../platform/problem.ts'
import type { Sealer } from '../../../platform/secrets/sealed-text.ts'
import { withContext } from '../../../platform/with-context.ts'
import type { EndSessions, IdentityContext } from '../../context.ts'
import { assuranceJson } from '../../factors/step-up.ts'
import type { Permit } from '../../factors/step-ups/service.ts'
import { byCaller, type Caller, type Person, type Role } from '../../principal.ts'
import { isFailure, type OidcClient, type Party, withOtherSlash } from '../oidc-client.ts'
import {
  checkProvider,
  type IdentityProvider,
  isSameParty,
  providerChanged,
  providerExists,
  providerNotFound,
  providerNotProven,
  ssoRequired,
} from '../provider.ts'
import { auditedFields, blank, changed, type NewProviderInput, type ProviderInput } from './provider-settings.ts'
import * as store from './store.ts'

export interface ProviderContext extends IdentityContext {
  readonly sealer: Sealer
  readonly client: OidcClient
  readonly endSessions: EndSessions
  readonly publicUrl: string
  /** The teams of a member, which claims may decide. */
  readonly teams: {
    of(tx: Tx, organizationId: string, userId: string): Promise<ReadonlySet<string>>
    /** False when the team is gone. */
    join(tx: Tx, organizationId: string, teamId: string, userId: string, at: Date): Promise<boolean>
    leave(tx: Tx, team: { readonly organizationId: string; readonly id: string }, userId: string): Promise<void>
  }
}

export type IdentityProviders = ReturnType<typeof createIdentityProviders>

export function createIdentityProviders(context: ProviderContext) {
  return withContext(context, { list, get, create, change, remove, endSessionsOutside, refusalOf })
}

function list({ db }: ProviderContext, person: Person): Promise<readonly IdentityProvider[]> {
  return store.providers(db.within(person), person.organizationId)
}

async function get(context: ProviderContext, person: Person, id: string): Promise<IdentityProvider> {
  return (await find(context, person.organizationId, id)).provider
}

async function create(
  context: ProviderContext,
  by: Caller<Person>,
  input: NewProviderInput,
  idempotency: Idempotency | null,
  permit: Permit,
): Promise<CreatedOnce<IdentityProvider>> {
  const { db, clock, client, report } = context
  const { organizationId, userId } = by.principal
  const asked = (id: string, now: Date) => checkProvider(changed(blank(organizationId, id, now), input, now))
  return createOnce(idempotency, {
    findFirst: true,
    find: (key) => store.providerByIdempotencyKey(db.within({ organizationId }), organizationId, userId, key),
    initialReply: ({ id, createdAt }) => asked(id, createdAt),
    taken: providerExists,
    insert: async () => {
      const provider = asked(newId(), clock.now())
      refuseUnproven(provider)
      await checkTeams(context, provider)
      await checkAnswers(client, provider)
      const secret = await seal(context, provider, input.client_secret ?? null)
      return inTransaction(db, { organizationId }, async (tx) => {
        if (!(await store.insertProvider(tx, provider, secret, { by: userId, idempotency }))) return null
        const after = { ...auditedFields(provider), assurance: assuranceJson(await permit.use(tx)) }
        await report(tx, [factAbout(by, provider, 'identity_provider.created', permit, null, after)])
        return provider
      })
    },
  })
}

async function change(
  context: ProviderContext,
  by: Caller<Person>,
  id: string,
  input: ProviderInput,
  permit: Permit,
): Promise<IdentityProvider> {
  const { db, clock, client, report } = context
  const { organizationId } = by.principal
  const before = await find(context, organizationId, id)
  const planned = checkProvider(changed(before.provider, input, clock.now()))
  refuseUnproven(planned)
  refuseSecretForStranger(before, planned, input)
  await checkTeams(context, planned)
  if (!isSameParty(before.provider, planned)) await checkAnswers(client, planned)
  const { client_secret: given } = input
  const secret = given === undefined ? before.sealedSecret : await seal(context, planned, given)
  return inTransaction(db, { organizationId }, async (tx) => {
    const assurance = assuranceJson(await permit.use(tx))
    const now = await store.lockProvider(tx, planned.id)
    if (now === null) throw providerNotFound()
    // What was checked is what is saved: a change that came in between must not be lost silently.
    if (now.provider.updatedAt.getTime() !== before.provider.updatedAt.getTime()) throw providerChanged()
    await store.saveProvider(tx, planned, secret)
    const after = { ...auditedFields(planned), secret_changed: given !== undefined, assurance }
    const fields = auditedFields(before.provider)
    await report(tx, [factAbout(by, planned, 'identity_provider.changed', permit, fields, after)])
    if (!planned.isActive || planned.issuer !== before.provider.issuer) await endSessionsBy(context, tx, by, planned.id)
    if (planned.isEnforced && !before.provider.isEnforced) await endOtherSessions(context, tx, by)
    return planned
  })
}

/** With it goes what people have linked, unless another provider has the same issuer. */
async function remove(context: ProviderContext, by: Caller<Person>, id: string, permit: Permit): Promise<void> {
  const { organizationId } = by.principal
  const { provider } = await find(context, organizationId, id)
  await inTransaction(context.db, { organizationId }, async (tx) => {
    const assurance = assuranceJson(await permit.use(tx))
    await store.deleteProvider(tx, organizationId, provider.id)
    await endSessionsBy(context, tx, by, provider.id)
    await store.deleteOrphanedIdentities(tx, organizationId, provider.issuer)
    const before = auditedFields(provider)
    await context.report(tx, [factAbout(by, provider, 'identity_provider.deleted', permit, before, { assurance })])
  })
}

/** For the former owner, whose password opens nothing any more where single sign-on is enforced. */
async function endSessionsOutside(context: ProviderContext, tx: Tx, by: Caller<Person>): Promise<void> {
  const provider = await store.enforcedProvider(tx, by.principal.organizationId)
  if (provider !== null) await endOtherSessions(context, tx, by)
}

/**
 * Why a member may not sign in by these methods; null when they may. Where single sign-on is enforced, the owner's password
 * still works: otherwise a provider that is down, or gone, would lock the organization out for good. Claims cannot make an
 * owner, there is only one, and their sign-in is in the audit like every other.
 */
async function refusalOf(
  { db, publicUrl }: ProviderContext,
  { organizationId, role }: { readonly organizationId: string; readonly role: Role },
  methods: readonly string[],
  tx?: Tx,
): Promise<Problem | null> {
  if (role === 'owner' || methods.includes('oidc')) return null
  const provider = await store.enforcedProvider(tx ?? db.within({ organizationId }), organizationId)
  return provider === null ? null : ssoRequired(provider, publicUrl)
}

async function find({ db }: ProviderContext, organizationId: string, id: string): Promise<store.StoredProvider> {
  const stored = await store.providerById(db.within({ organizationId }), id.toLowerCase())
  if (stored?.provider.organizationId !== organizationId) throw providerNotFound()
  return stored
}

async function seal(
  { sealer }: ProviderContext,
  provider: IdentityProvider,
  secret: string | null,
): Promise<Buffer | null> {
  return secret === null ? null : sealer.seal(JSON.stringify([provider.issuer, secret]), secretPlace(provider))
}

/** The client secret, and the issuer that it was given for; null: a public client. */
export async function openSecret(
  { sealer }: Pick<ProviderContext, 'sealer'>,
  { provider, sealedSecret }: store.StoredProvider,
): Promise<{ readonly issuer: string; readonly secret: string } | null> {
  if (sealedSecret === null) return null
  const [issuer, secret] = JSON.parse(await sealer.open(sealedSecret, secretPlace(provider)))
  return { issuer, secret }
}

async function checkTeams({ db }: ProviderContext, { organizationId, teamMap }: IdentityProvider): Promise<void> {
  const named = [...new Set(Object.values(teamMap))]
  const [unknown] = await store.unknownTeams(db.within({ organizationId }), organizationId, named)
  if (unknown !== undefined) throw invalid('team_map', `names ${unknown}, which is no team of this organization`)
}

/** Sessions that were opened otherwise than through a provider; the owner's go on, as `refusalOf` accepts them. */
async function endOtherSessions({ endSessions }: ProviderContext, tx: Tx, by: Caller<Person>): Promise<void> {
  const { organizationId, actor, httpRequestId } = byCaller(by)
  for (const id of await store.sessionsOutsideSso(tx, organizationId)) {
    await endSessions(tx, { organizationId, id }, 'revoked', { actor, httpRequestId })
  }
}

/** What the provider opened ends when it is switched off, deleted, or becomes another one. */
async function endSessionsBy({ endSessions }: ProviderContext, tx: Tx, by: Caller<Person>, id: string): Promise<void> {
  const { organizationId } = by.principal
  await endSessions(tx, { organizationId, identityProviderId: id }, 'revoked', byCaller(by))
}

/** Where the client secret is sealed. */
function secretPlace(provider: { readonly organizationId: string; readonly id: string }) {
  return {
    organizationId: provider.organizationId,
    table: 'identity_providers',
    column: 'client_secret',
    row: provider.id,
  }
}

function refuseUnproven(provider: IdentityProvider): void {
  if (provider.isEnforced && provider.provenAt === null) throw providerNotProven()
}

/** The secret can be written and never read: sending it to another issuer would be reading it. */
function refuseSecretForStranger(before: store.StoredProvider, after: IdentityProvider, input: ProviderInput): void {
  if (before.sealedSecret === null || input.client_secret !== undefined) return
  if (before.provider.issuer === after.issuer) return
  throw invalid('client_secret', 'must be sent along (or null) with another issuer: the stored one is for the old one')
}

async function checkAnswers(client: OidcClient, provider: IdentityProvider): Promise<void> {
  const party: Party = { issuer: provider.issuer, clientId: provider.clientId, clientSecret: null }
  await client.discover(party).catch((error: unknown) => {
    if (!isFailure(error)) throw error
    if (error.refusal !== null) throw invalid('issuer', `is refused: ${error.refusal.replace(/\.$/, '')}`)
    if (error.reason === 'issuer_slash') {
      throw invalid('issuer', `is not how this provider names itself: send "${withOtherSlash(party.issuer)}"`)
    }
    throw invalid('issuer', mistakes[error.reason] ?? (error.isOurs ? unreachable : notOne))
  })
}

const unreachable = 'could not be reached: check the URL and its certificate, and SSO_CA of this installation'
const notOne = 'does not answer as an OpenID provider: check the URL'
const mistakes: Readonly<Record<string, string>> = {
  issuer_differs: 'is not how this provider names itself: copy "issuer" from its discovery document, letter by letter',
  metadata_incomplete: 'has a discovery document without authorization_endpoint, token_endpoint or jwks_uri',
  metadata_algorithms: 'has a discovery document without a public-key algorithm for ID tokens, such as RS256 or ES256',
  metadata_malformed:
    'has a discovery document with a list that is no list of texts, or an endpoint of over 2000 characters',
  metadata_insecure: 'has a discovery document with an endpoint that is not https',
}

function factAbout(
  by: Caller<Person>,
  { id, updatedAt: occurredAt }: IdentityProvider,
  kind: EventKind,
  { digest }: Permit,
  before: FactChange['before'],
  after: FactChange['after'],
): Fact {
  return factBy(byCaller(by), kind, ['identity_provider', id], { digest, before, after, occurredAt })
}
