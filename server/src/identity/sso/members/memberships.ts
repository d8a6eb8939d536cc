import { type Fact, type FactChange, factBy } from '../../../facts/fact.ts'
import type { EventKind } from '../../../facts/kinds.ts'
import { later } from '../../../platform/clock.ts'
import type { Tx } from '../../../platform/database/db.ts'
import { newId } from '../../../platform/ids.ts'
import { type Problem, type Refusal, refusal } from '../../../platform/problem.ts'
import type { Visitor } from '../../accounts/account-facts.ts'
import { placeholderEmail } from '../../accounts/account-link.ts'
import * as people from '../../accounts/store.ts'
import { emailKey, type User } from '../../accounts/user.ts'
import { closing } from '../../organizations/organization.ts'
import { organizationById } from '../../organizations/store.ts'
import {
  type Claims,
  profileFrom,
  type ReasonAgainst,
  refusalOfNewMember,
  roleFrom,
  teamsDecidedBy,
  teamsFrom,
} from '../claims.ts'
import type { ClaimableRole, IdentityProvider } from '../provider.ts'
import type { ProviderContext } from '../providers/service.ts'
import * as store from './store.ts'

export interface Entered {
  readonly accountId: string
  readonly userId: string
  readonly identityId: string
}

export const memberInactive = refusal(
  403,
  'sso.member_inactive',
  'Your membership in this organization is not active. Ask an administrator.',
)

export const noRole = refusal(
  403,
  'sso.no_role',
  'Your identity provider gives you no role here. Ask its administrator for one of the groups that have one.',
)

/** Why an identity that is not linked yet makes nobody a member. */
export const notAMember = {
  not_a_member: refusal(
    403,
    'sso.not_a_member',
    'This identity belongs to no member here. Sign in as before and link it in your settings, or ask an administrator.',
  ),
  no_address: refusal(
    403,
    'sso.no_address',
    'Your identity provider did not send your address, which a new member needs. Ask its administrator.',
  ),
  address_not_verified: refusal(
    403,
    'sso.address_not_verified',
    'Your identity provider has not verified your address. Verify it there, then start again.',
  ),
  domain_not_allowed: refusal(
    403,
    'sso.domain_not_allowed',
    'People with an address in your domain do not become members automatically. Ask an administrator.',
  ),
} as const satisfies Readonly<Record<ReasonAgainst, Refusal>>

export const addressTaken = refusal(
  409,
  'sso.address_taken',
  'A member of this organization has your address already. If it is you, sign in as before and link this identity in your settings.',
)

export const linkedElsewhere = refusal(
  409,
  'sso.linked_elsewhere',
  'This identity is linked to another member. Unlink it there first.',
)

/** Maps a provider's claims to a member. Refusals are returned, not thrown, as the caller reports them too. */

type Context = Pick<ProviderContext, 'clock' | 'report' | 'teams'>

/** A person identified by a provider. */
export interface Arrival {
  readonly provider: IdentityProvider
  readonly claims: Claims
  readonly visitor: Visitor
}

/**
 * A sign-in. Issuer and subject say who it is; nobody is recognized by an address. The organization's providers are locked, so
 * that two first sign-ins of one person at once make one member.
 */
export async function enter(
  context: Context,
  tx: Tx,
  arrival: Arrival,
  newAccountId: string,
): Promise<Entered | Problem> {
  const identity = await identityOf(tx, arrival)
  return identity === null ? enterNew(context, tx, arrival, newAccountId) : enterKnown(context, tx, arrival, identity)
}

/** The signed-in member `userId` has shown that the identity is theirs. */
export async function link(context: Context, tx: Tx, arrival: Arrival, userId: string): Promise<Entered | Problem> {
  const [member] = await people.lockUsers(tx, arrival.provider.organizationId, [userId])
  if (member === undefined || !member.isActive) return memberInactive()
  const { accountId } = member
  const linked = newIdentity(context, arrival, userId)
  if (await store.insertIdentity(tx, linked)) {
    await context.report(tx, [linkedFact(context, arrival, userId)])
    return { accountId, userId, identityId: linked.id }
  }
  const identity = await identityOf(tx, arrival)
  return identity?.userId === userId ? { accountId, userId, identityId: identity.id } : linkedElsewhere()
}

async function enterKnown(
  context: Context,
  tx: Tx,
  arrival: Arrival,
  identity: store.SsoIdentity,
): Promise<Entered | Problem> {
  const { provider, claims } = arrival
  const [member] = await people.lockUsers(tx, provider.organizationId, [identity.userId])
  if (member === undefined || !member.isActive) return memberInactive()
  if (!(await applyRole(context, tx, arrival, member, roleFrom(provider, claims)))) return noRole()
  await applyTeams(context, tx, arrival, member.id)
  await store.markIdentityUsed(tx, identity, context.clock.now())
  return { accountId: member.accountId, userId: member.id, identityId: identity.id }
}

async function enterNew(context: Context, tx: Tx, arrival: Arrival, accountId: string): Promise<Entered | Problem> {
  const { provider, claims } = arrival
  const profile = profileFrom(claims)
  const reason = refusalOfNewMember(provider, profile)
  if (reason !== null || profile === null) return notAMember[reason ?? 'no_address']()
  const role = roleFrom(provider, claims)
  if (role === null) return noRole()
  const { organizationId } = provider
  const organization = await organizationById(tx, organizationId)
  if (organization === null || organization.deleteAfter !== null) return closing()
  const { email, name } = profile
  if (await people.hasAddress(tx, organizationId, emailKey(email))) return addressTaken()
  const now = context.clock.now()
  const userId = newId()
  const user = {
    organizationId,
    id: userId,
    accountId,
    email,
    name,
    role,
    isActive: true,
    createdAt: now,
    updatedAt: now,
  }
  // The account gets no address: one organization's provider claims it for them, which proves nothing to others, and its
  // real owner must find it free.
  await people.insertAccount(tx, { id: accountId, email: placeholderEmail(accountId), createdAt: now }, null)
  // Thrown, so that the account is rolled back: another person became a member with this address at the same moment.
  if (!(await people.insertUser(tx, user))) throw addressTaken()
  const identity = newIdentity(context, arrival, userId)
  await store.insertIdentity(tx, identity)
  const after = { role, is_active: true, identity_provider_id: provider.id }
  const registered = factAbout(context, arrival, userId, 'user.registered', { before: null, after })
  await context.report(tx, [registered, linkedFact(context, arrival, userId)])
  await applyTeams(context, tx, arrival, userId)
  return { accountId, userId, identityId: identity.id }
}

/** False when the claims give no role, and so no entry. The owner stays the owner, whatever the claims say. */
async function applyRole(
  context: Context,
  tx: Tx,
  arrival: Arrival,
  member: User,
  role: ClaimableRole | null,
): Promise<boolean> {
  const { provider } = arrival
  if (provider.roleClaim === null || member.role === 'owner' || member.role === role) return true
  if (role === null) return false
  // A mistake in the mapping must not leave an organization without anybody who could correct it.
  if (member.role === 'admin' && !(await people.hasOtherManager(tx, provider.organizationId, member.id))) return true
  await people.saveUser(tx, { ...member, role, updatedAt: later(member, context.clock.now()) })
  const change = { before: { role: member.role }, after: { role, because: 'claims' } }
  await context.report(tx, [factAbout(context, arrival, member.id, 'user.role_changed', change)])
  return true
}

async function applyTeams(context: Context, tx: Tx, arrival: Arrival, userId: string): Promise<void> {
  const { clock, report, teams } = context
  const { provider, claims } = arrival
  const { organizationId } = provider
  const decided = teamsDecidedBy(provider)
  if (decided.size === 0) return
  const [wanted, current] = [teamsFrom(provider, claims), await teams.of(tx, organizationId, userId)]
  const joined: string[] = []
  const left: string[] = []
  for (const team of decided) {
    if (wanted.has(team) && !current.has(team)) {
      if (await teams.join(tx, organizationId, team, userId, clock.now())) joined.push(team)
    } else if (!wanted.has(team) && current.has(team)) {
      await teams.leave(tx, { organizationId, id: team }, userId)
      left.push(team)
    }
  }
  if (joined.length + left.length === 0) return
  const change = { before: null, after: { joined, left, because: 'claims' } }
  await report(tx, [factAbout(context, arrival, userId, 'user.teams_changed', change)])
}

function identityOf(tx: Tx, { provider, claims }: Arrival): Promise<store.SsoIdentity | null> {
  return store.identityBySubject(tx, provider.organizationId, provider.issuer, claims.subject)
}

function newIdentity({ clock }: Context, { provider, claims }: Arrival, userId: string): store.SsoIdentity {
  const { organizationId, issuer } = provider
  const now = clock.now()
  return { organizationId, id: newId(), issuer, subject: claims.subject, userId, createdAt: now, lastUsedAt: now }
}

function linkedFact(context: Context, arrival: Arrival, userId: string): Fact {
  const { provider, claims } = arrival
  const after = { identity_provider_id: provider.id, issuer: provider.issuer }
  return factAbout(context, arrival, userId, 'sso.linked', {
    before: null,
    after,
    erasable: { subject: claims.subject },
  })
}

/** A fact about a member, who is also its actor. */
function factAbout(
  { clock }: Context,
  { provider, visitor }: Arrival,
  userId: string,
  kind: EventKind,
  change: Omit<FactChange, 'occurredAt'>,
): Fact {
  const { organizationId } = provider
  const actor = { kind: 'person', id: userId, signedInWith: ['oidc'] } as const
  const { httpRequestId, network } = visitor
  const occurredAt = clock.now()
  return factBy({ organizationId, actor, httpRequestId, network }, kind, ['user', userId], { ...change, occurredAt })
}
