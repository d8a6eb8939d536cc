import type { Fact } from '../../../facts/fact.ts'
import type { EventKind } from '../../../facts/kinds.ts'
import { later } from '../../../platform/clock.ts'
import type { Tx } from '../../../platform/database/db.ts'
import { newId } from '../../../platform/ids.ts'
import { type Problem, type Refusal, refusal } from '../../../platform/problem.ts'
import type { Visitor } from '../../accounts/account-facts.ts'
import { placeholderEmail } from '../../accounts/account-link.ts'
import * as people from '../../accounts/store.ts'
import { emailKey, type User } from '../../accounts/user.ts'
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
import type { SsoDependencies } from '../providers/service.ts'
import { lockProvider } from '../providers/store.ts'
import * as store from './store.ts'

export interface Entered {
  readonly accountId: string
  readonly userId: string
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
    'Addresses of your domain do not become members by themselves. Ask an administrator.',
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

/** Whom a provider's word makes whom, in its organization. Refusals are answered, not thrown: they are events too. */
export function createMemberships({ clock, report, teams }: Pick<SsoDependencies, 'clock' | 'report' | 'teams'>) {
  const factAbout = (
    provider: IdentityProvider,
    userId: string,
    visitor: Visitor,
    kind: EventKind,
  ): Omit<Fact, 'before' | 'after'> => ({
    organizationId: provider.organizationId,
    kind,
    subjectKind: 'user',
    subjectId: userId,
    actor: { kind: 'person', id: userId, signedInWith: ['oidc'] },
    httpRequestId: visitor.httpRequestId,
    network: visitor.network,
    occurredAt: clock.now(),
  })

  const newIdentity = (provider: IdentityProvider, claims: Claims, userId: string): store.SsoIdentity => ({
    organizationId: provider.organizationId,
    id: newId(),
    issuer: provider.issuer,
    subject: claims.subject,
    userId,
    createdAt: clock.now(),
    lastUsedAt: clock.now(),
  })

  const linkedFact = (provider: IdentityProvider, claims: Claims, userId: string, visitor: Visitor): Fact => ({
    ...factAbout(provider, userId, visitor, 'sso.linked'),
    before: null,
    after: { identity_provider_id: provider.id, issuer: provider.issuer },
    erasable: { subject: claims.subject },
  })

  const joinTeams = async (
    tx: Tx,
    provider: IdentityProvider,
    claims: Claims,
    userId: string,
    visitor: Visitor,
  ): Promise<void> => {
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
    const fact = factAbout(provider, userId, visitor, 'user.teams_changed')
    await report(tx, [{ ...fact, before: null, after: { joined, left, because: 'claims' } }])
  }

  /** Null: the claims give no role, and so no entry. The owner stays the owner, whatever they say. */
  const applyRole = async (
    tx: Tx,
    provider: IdentityProvider,
    member: User,
    role: ClaimableRole | null,
    visitor: Visitor,
  ): Promise<boolean> => {
    const { organizationId } = provider
    if (provider.roleClaim === null || member.role === 'owner' || member.role === role) return true
    if (role === null) return false
    // A mistake in the mapping must not leave an organization without anybody who could correct it.
    if (member.role === 'admin' && !(await people.hasOtherManager(tx, organizationId, member.id))) return true
    await people.saveUser(tx, { ...member, role, updatedAt: later(member, clock.now()) })
    const fact = factAbout(provider, member.id, visitor, 'user.role_changed')
    await report(tx, [{ ...fact, before: { role: member.role }, after: { role, because: 'claims' } }])
    return true
  }

  const enterKnown = async (
    tx: Tx,
    provider: IdentityProvider,
    claims: Claims,
    identity: store.SsoIdentity,
    visitor: Visitor,
  ): Promise<Entered | Problem> => {
    // One after the other where claims give roles, so that two who lose theirs at once do not both see the other as the one
    // who is left to manage.
    if (provider.roleClaim !== null) await lockProvider(tx, provider.id)
    const [member] = await people.lockUsers(tx, provider.organizationId, [identity.userId])
    if (member === undefined || !member.isActive) return memberInactive()
    if (!(await applyRole(tx, provider, member, roleFrom(provider, claims), visitor))) return noRole()
    await joinTeams(tx, provider, claims, member.id, visitor)
    await store.markIdentityUsed(tx, identity, clock.now())
    return { accountId: member.accountId, userId: member.id }
  }

  const enterNew = async (
    tx: Tx,
    provider: IdentityProvider,
    claims: Claims,
    accountId: string,
    visitor: Visitor,
  ): Promise<Entered | Problem> => {
    const profile = profileFrom(claims)
    const reason = refusalOfNewMember(provider, profile)
    if (reason !== null || profile === null) return notAMember[reason ?? 'no_address']()
    const role = roleFrom(provider, claims)
    if (role === null) return noRole()
    const { organizationId, issuer } = provider
    // One after the other, so that two first sign-ins of one person at once make one member.
    await lockProvider(tx, provider.id)
    const first = await store.identityBySubject(tx, organizationId, issuer, claims.subject)
    if (first !== null) return enterKnown(tx, provider, claims, first, visitor)
    if (await people.hasAddress(tx, organizationId, emailKey(profile.email))) return addressTaken()
    const now = clock.now()
    const userId = newId()
    const user = {
      organizationId,
      id: userId,
      accountId,
      email: profile.email,
      name: profile.name,
      role,
      isActive: true,
      createdAt: now,
      updatedAt: now,
    }
    // The account gets no address: one organization's provider says it is theirs, which for others proves nothing, and
    // whoever it really belongs to must find it free.
    await people.insertAccount(tx, { id: accountId, email: placeholderEmail(accountId), createdAt: now }, null)
    // Thrown, as the account must go with it: somebody else became a member with this address in the same moment.
    if (!(await people.insertUser(tx, user))) throw addressTaken()
    await store.insertIdentity(tx, newIdentity(provider, claims, userId))
    const after = { role, is_active: true, identity_provider_id: provider.id }
    const fact = factAbout(provider, userId, visitor, 'user.registered')
    await report(tx, [{ ...fact, before: null, after }, linkedFact(provider, claims, userId, visitor)])
    await joinTeams(tx, provider, claims, userId, visitor)
    return { accountId, userId }
  }

  return {
    /** A sign-in: issuer and subject say who it is. Nobody is recognized by an address. */
    enter: async (
      tx: Tx,
      provider: IdentityProvider,
      claims: Claims,
      newAccountId: string,
      visitor: Visitor,
    ): Promise<Entered | Problem> => {
      const { organizationId, issuer } = provider
      const identity = await store.identityBySubject(tx, organizationId, issuer, claims.subject)
      return identity === null
        ? enterNew(tx, provider, claims, newAccountId, visitor)
        : enterKnown(tx, provider, claims, identity, visitor)
    },

    /** The signed-in member `userId` has shown that the identity is theirs. */
    link: async (
      tx: Tx,
      provider: IdentityProvider,
      claims: Claims,
      userId: string,
      visitor: Visitor,
    ): Promise<Entered | Problem> => {
      const { organizationId, issuer } = provider
      const [member] = await people.lockUsers(tx, organizationId, [userId])
      if (member === undefined || !member.isActive) return memberInactive()
      const entered = { accountId: member.accountId, userId }
      if (await store.insertIdentity(tx, newIdentity(provider, claims, userId))) {
        await report(tx, [linkedFact(provider, claims, userId, visitor)])
        return entered
      }
      const identity = await store.identityBySubject(tx, organizationId, issuer, claims.subject)
      return identity?.userId === userId ? entered : linkedElsewhere()
    },
  }
}
