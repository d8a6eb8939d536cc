import type { Actor, Fact, Report } from '../../../facts/fact.ts'
import type { EventKind } from '../../../facts/kinds.ts'
import type { Clock } from '../../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../../platform/database/db.ts'
import { type Idempotency, idempotencyMismatch } from '../../../platform/idempotency.ts'
import { newId } from '../../../platform/ids.ts'
import { invalid, type Problem } from '../../../platform/problem.ts'
import type { Sealer } from '../../../platform/secrets/sealed-text.ts'
import { assuranceJson } from '../../factors/step-up.ts'
import type { Permit } from '../../factors/step-ups/service.ts'
import { actorOf, type Caller, type Person, type Role } from '../../principal.ts'
import { isFailure, type OidcClient, type Party } from '../oidc-client.ts'
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
import { blank, changed, type NewProviderInput, type ProviderInput, shown } from './provider-settings.ts'
import * as store from './store.ts'

export interface SsoDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly sealer: Sealer
  readonly client: OidcClient
  /** Ends a session, and tells it; the scope is the organization. */
  readonly endSession: (
    tx: Tx,
    of: { readonly organizationId: string; readonly id: string },
    by: { readonly actor: Actor; readonly httpRequestId: string | null },
  ) => Promise<void>
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
  /** The teams of a member, which claims may decide. */
  readonly teams: {
    of(tx: Tx, organizationId: string, userId: string): Promise<ReadonlySet<string>>
    /** False when the team is gone. */
    join(tx: Tx, organizationId: string, teamId: string, userId: string, at: Date): Promise<boolean>
    leave(tx: Tx, team: { readonly organizationId: string; readonly id: string }, userId: string): Promise<void>
  }
}

export type IdentityProviders = ReturnType<typeof createIdentityProviders>

export function createIdentityProviders({ db, clock, sealer, client, ...dependencies }: SsoDependencies) {
  const { report, endSession } = dependencies

  const found = async (organizationId: string, id: string): Promise<store.StoredProvider> => {
    const stored = await store.providerById(db.within({ organizationId }), id.toLowerCase())
    if (stored?.provider.organizationId !== organizationId) throw providerNotFound()
    return stored
  }

  const sealed = (provider: IdentityProvider, secret: string | null): Promise<Buffer | null> =>
    secret === null ? Promise.resolve(null) : sealer.seal(secret, secretPlace(provider))

  const checkTeams = async (provider: IdentityProvider): Promise<void> => {
    const { organizationId } = provider
    const named = [...new Set(Object.values(provider.teamMap))]
    const [unknown] = await store.unknownTeams(db.within({ organizationId }), organizationId, named)
    if (unknown !== undefined) throw invalid('team_map', `names ${unknown}, which is no team of this organization`)
  }

  /** Those that were opened otherwise than through a provider; the owner's go on, as `refusalOf` lets them in. */
  const endOtherSessions = async (tx: Tx, by: Caller<Person>): Promise<void> => {
    const { organizationId } = by.principal
    for (const id of await store.sessionsOutsideSso(tx, organizationId)) {
      const made = { actor: actorOf(by.principal), httpRequestId: by.httpRequestId }
      await endSession(tx, { organizationId, id }, made)
    }
  }

  const replayOf = async ({ organizationId, userId }: Person, idempotency: Idempotency | null) => {
    if (idempotency === null) return null
    const within = db.within({ organizationId })
    const earlier = await store.providerByIdempotencyKey(within, organizationId, userId, idempotency.key)
    if (earlier === null) return null
    if (!idempotency.isOf(earlier.hash)) throw idempotencyMismatch()
    return { provider: earlier.provider, replayed: true }
  }

  return {
    list: (person: Person): Promise<readonly IdentityProvider[]> =>
      store.providers(db.within(person), person.organizationId),

    get: async (person: Person, id: string): Promise<IdentityProvider> =>
      (await found(person.organizationId, id)).provider,

    create: async (
      by: Caller<Person>,
      input: NewProviderInput,
      idempotency: Idempotency | null,
      permit: Permit,
    ): Promise<{ readonly provider: IdentityProvider; readonly replayed: boolean }> => {
      const { organizationId, userId } = by.principal
      const earlier = await replayOf(by.principal, idempotency)
      if (earlier !== null) return earlier
      const provider = checkProvider(changed(blank(organizationId, newId(), clock.now()), input, clock.now()))
      refuseUnproven(provider)
      await checkTeams(provider)
      await checkAnswers(client, provider)
      const secret = await sealed(provider, input.client_secret ?? null)
      const isNew = await inTransaction(db, { organizationId }, async (tx) => {
        if (!(await store.insertProvider(tx, provider, secret, { by: userId, idempotency }))) return false
        const after = { ...shown(provider), assurance: assuranceJson(await permit.use(tx)) }
        await report(tx, [{ ...factAbout(by, provider, 'identity_provider.created'), digest: permit.digest, after }])
        return true
      })
      if (isNew) return { provider, replayed: false }
      // The same call may have come twice at once.
      const first = await replayOf(by.principal, idempotency)
      if (first === null) throw providerExists()
      return first
    },

    change: async (by: Caller<Person>, id: string, input: ProviderInput, permit: Permit): Promise<IdentityProvider> => {
      const { organizationId } = by.principal
      const before = await found(organizationId, id)
      const planned = checkProvider(changed(before.provider, input, clock.now()))
      refuseUnproven(planned)
      refuseSecretForStranger(before, planned, input)
      await checkTeams(planned)
      if (!isSameParty(before.provider, planned)) await checkAnswers(client, planned)
      const { client_secret: given } = input
      const secret = given === undefined ? before.sealedSecret : await sealed(planned, given)
      return inTransaction(db, { organizationId }, async (tx) => {
        const assurance = await permit.use(tx)
        const now = await store.lockProvider(tx, planned.id)
        if (now === null) throw providerNotFound()
        // What was judged is what is saved: nothing of a change that came between is lost in silence.
        if (now.provider.updatedAt.getTime() !== before.provider.updatedAt.getTime()) throw providerChanged()
        await store.saveProvider(tx, planned, secret)
        const after = { ...shown(planned), secret_changed: given !== undefined, assurance: assuranceJson(assurance) }
        const fact = factAbout(by, planned, 'identity_provider.changed')
        await report(tx, [{ ...fact, digest: permit.digest, before: shown(before.provider), after }])
        if (planned.isEnforced && !before.provider.isEnforced) await endOtherSessions(tx, by)
        return planned
      })
    },

    /** With it goes what people had linked, unless another provider speaks for the same issuer. */
    remove: async (by: Caller<Person>, id: string, permit: Permit): Promise<void> => {
      const { organizationId } = by.principal
      const { provider } = await found(organizationId, id)
      await inTransaction(db, { organizationId }, async (tx) => {
        const assurance = await permit.use(tx)
        await store.deleteProvider(tx, organizationId, provider.id)
        await store.deleteOrphanedIdentities(tx, organizationId, provider.issuer)
        const after = { assurance: assuranceJson(assurance) }
        const fact = factAbout(by, provider, 'identity_provider.deleted')
        await report(tx, [{ ...fact, digest: permit.digest, before: shown(provider), after }])
      })
    },

    /** For who was the owner until now, whose password opens nothing any more where single sign-on is enforced. */
    endSessionsOutside: async (tx: Tx, by: Caller<Person>): Promise<void> => {
      if ((await store.enforcedProvider(tx, by.principal.organizationId)) !== null) await endOtherSessions(tx, by)
    },

    /**
     * Why a member must not come in the way they did; null when they may. Where single sign-on is enforced, the owner's
     * password still opens: else a provider that is down, or gone, would lock the organization out for good. The owner
     * cannot be made by claims, is one person, and their sign-in is in the audit like every other.
     */
    refusalOf: async (
      member: { readonly organizationId: string; readonly role: Role },
      methods: readonly string[],
      tx?: Tx,
    ): Promise<Problem | null> => {
      const { organizationId, role } = member
      if (role === 'owner' || methods.includes('oidc')) return null
      const provider = await store.enforcedProvider(tx ?? db.within({ organizationId }), organizationId)
      return provider === null ? null : ssoRequired(provider)
    },
  }
}

/** Where the client secret is sealed. */
export function secretPlace(provider: { readonly organizationId: string; readonly id: string }) {
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
    throw invalid('issuer', mistakes[error.reason] ?? (error.isOurs ? unreachable : notOne))
  })
}

const unreachable = 'could not be reached: check the URL and its certificate, and SSO_CA of this installation'
const notOne = 'does not answer as an OpenID provider: check the URL'
const mistakes: Readonly<Record<string, string>> = {
  issuer_differs: 'is not how this provider names itself: copy "issuer" from its discovery document, letter by letter',
  metadata_incomplete: 'has a discovery document without authorization_endpoint, token_endpoint or jwks_uri',
  metadata_insecure: 'has a discovery document with an endpoint that is not https',
}

function factAbout(by: Caller<Person>, provider: IdentityProvider, kind: EventKind): Fact {
  return {
    organizationId: provider.organizationId,
    kind,
    subjectKind: 'identity_provider',
    subjectId: provider.id,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: null,
    after: null,
    occurredAt: provider.updatedAt,
  }
}
