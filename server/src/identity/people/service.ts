import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/db.ts'
import { type Idempotency, idempotencyMismatch } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { invalid, Problem } from '../../platform/problem.ts'
import { unauthenticated } from '../authenticate.ts'
import { secretFor } from '../derived-secret.ts'
import type { IdentityFact } from '../fact.ts'
import * as organizations from '../organizations/store.ts'
import { type Actor, actorOf, type Caller, type Person, type Role, system } from '../principal.ts'
import {
  acceptInvitation,
  hashInvitationToken,
  type Invitation,
  invitationDays,
  mintInvitationToken,
} from './invitation.ts'
import type { MailInvitation } from './invitation-mail.ts'
import type { NewPasswordCheck } from './new-password.ts'
import type { Passwords } from './passwords.ts'
import * as store from './store.ts'
import { checkPassword, emailKey, emailPattern, type User } from './user.ts'

export interface PeopleDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly passwords: Passwords
  readonly secretKey: string
  readonly registration: 'invite' | 'open' | 'closed'
  readonly checkNewPassword: NewPasswordCheck
  readonly mailInvitation: MailInvitation
  /** Appends to the event log in the caller's transaction. */
  readonly report: (tx: Tx, facts: readonly IdentityFact[]) => Promise<void>
}

export interface Registration {
  readonly email: string
  readonly password: string
  readonly name?: string | null | undefined
  readonly invitation?: string | undefined
}

export type People = ReturnType<typeof createPeople>

export function createPeople(dependencies: PeopleDependencies) {
  const { db, clock, passwords, secretKey, report } = dependencies

  /** `made` says who did it and how, for the audit; a person who registers is the actor of that. */
  const addUser = async (
    tx: Tx,
    user: User,
    passwordHash: string,
    made: {
      readonly actor: Actor
      readonly httpRequestId: string | null
      readonly network?: string | null
      readonly invitationId?: string
    },
  ): Promise<void> => {
    const account = { id: user.accountId, email: user.email, createdAt: user.createdAt }
    if (!(await store.insertAccount(tx, account, passwordHash)) || !(await store.insertUser(tx, user))) {
      throw new Problem(409, 'auth.email_taken', 'Email already registered')
    }
    const after = { role: user.role, is_active: user.isActive, invitation_id: made.invitationId ?? null }
    await report(tx, [
      {
        organizationId: user.organizationId,
        kind: 'user.registered',
        subjectKind: 'user',
        subjectId: user.id,
        actor: made.actor,
        httpRequestId: made.httpRequestId,
        network: made.network ?? null,
        before: null,
        after,
        occurredAt: user.createdAt,
      },
    ])
  }

  const newUser = (organizationId: string, input: Registration, role: Role): User => {
    const now = clock.now()
    const name = input.name ?? null
    return {
      organizationId,
      id: newId(),
      accountId: newId(),
      email: input.email,
      name,
      role,
      isActive: true,
      createdAt: now,
      updatedAt: now,
    }
  }

  /** The installation's organization, made at the first start. */
  const ensureOrganization = async (): Promise<string> =>
    (await organizations.firstOrganization(db.within({ worker: true }))) ?? addFirstOrganization(newId())

  const addFirstOrganization = (organizationId: string): Promise<string> =>
    inTransaction(db, { worker: true, organizationId }, async (tx) => {
      await organizations.lockFirstSetup(tx)
      const existing = await organizations.firstOrganization(tx)
      if (existing !== null) return existing
      const name = 'Default'
      await organizations.insertOrganization(tx, organizationId, name)
      await report(tx, [
        {
          organizationId,
          kind: 'organization.created',
          subjectKind: 'organization',
          subjectId: organizationId,
          actor: system,
          httpRequestId: null,
          before: null,
          after: { name },
          occurredAt: clock.now(),
        },
      ])
      return organizationId
    })

  const addInvitation = async (
    tx: Tx,
    invitation: Invitation,
    token: string,
    made: {
      readonly actor: Actor
      readonly httpRequestId: string | null
      readonly network?: string | null
      readonly idempotency: Idempotency | null
    },
  ): Promise<boolean> => {
    if (!(await store.insertInvitation(tx, invitation, hashInvitationToken(token), made.idempotency))) return false
    await report(tx, [
      {
        organizationId: invitation.organizationId,
        kind: 'invitation.created',
        subjectKind: 'invitation',
        subjectId: invitation.id,
        actor: made.actor,
        httpRequestId: made.httpRequestId,
        network: made.network ?? null,
        before: null,
        after: { role: invitation.role, expires_at: invitation.expiresAt },
        occurredAt: invitation.createdAt,
      },
    ])
    return true
  }

  const newInvitation = (
    organizationId: string,
    role: Role,
    email: string | null,
    createdBy: string | null,
  ): Invitation => {
    const now = clock.now()
    const expiresAt = new Date(now.getTime() + invitationDays * 86_400_000)
    return { organizationId, id: newId(), email, role, createdBy, expiresAt, usedAt: null, createdAt: now }
  }

  /** The invitation, if it lets `email` in now. The set-up link, which nobody in particular made, works in every mode. */
  const admit = (found: Invitation | null, email: string): Invitation => {
    const invitation = acceptInvitation(found, email, clock.now())
    if (dependencies.registration === 'closed' && invitation.createdBy !== null) throw registrationClosed()
    return invitation
  }

  const findInvitation = (tokenHash: Buffer): Promise<Invitation | null> =>
    store.invitationByToken(db.within({ lookUp: tokenHash.toString('hex') }), tokenHash)

  const findAccount = (email: string): Promise<store.AccountForSignIn | null> => {
    const key = emailKey(email)
    return store.accountByEmail(db.within({ lookUp: key }), key)
  }

  const userOf = (organizationId: string, id: string): Promise<User | null> =>
    store.userById(db.within({ organizationId }), organizationId, id)

  const firstMembership = async (email: string): Promise<User | null> => {
    const account = await findAccount(email)
    if (account === null) return null
    return (await store.usersOfAccount(db.within({ accountId: account.id }), account.id))[0] ?? null
  }

  return {
    ensureOrganization,

    /** An account by invitation, or, when registration is open, as a reviewer. */
    register: async (input: Registration, httpRequestId: string, network = ''): Promise<User> => {
      dependencies.checkNewPassword(input.password, input.email)
      if (input.invitation === undefined && dependencies.registration !== 'open') {
        if (dependencies.registration === 'closed') throw registrationClosed()
        const detail = 'Registration needs an invitation. Ask an administrator for a link.'
        throw new Problem(403, 'auth.registration_closed', detail)
      }
      const tokenHash = input.invitation === undefined ? null : hashInvitationToken(input.invitation)
      // Judged here so that guesses cost no hashing, and again under the lock so that one link lets in one person.
      const invited = tokenHash === null ? null : admit(await findInvitation(tokenHash), input.email)
      // Hashed before the transaction: a quarter of a second of work must not hold locks.
      const passwordHash = await passwords.hash(input.password, { share: network, known: false })
      const organizationId = invited?.organizationId ?? (await ensureOrganization())
      const user = newUser(organizationId, input, invited?.role ?? 'reviewer')
      return inTransaction(db, { organizationId, accountId: user.accountId }, async (tx) => {
        if (invited === null) {
          await addUser(tx, user, passwordHash, { actor: { kind: 'person', id: user.id }, httpRequestId, network })
          return user
        }
        const invitation = admit(await store.lockInvitation(tx, organizationId, invited.id), input.email)
        const actor: Actor = { kind: 'person', id: user.id }
        await addUser(tx, user, passwordHash, { actor, httpRequestId, network, invitationId: invitation.id })
        await store.markInvitationUsed(tx, invitation, clock.now())
        return user
      })
    },

    me: async (person: Person): Promise<User> => {
      const user = await userOf(person.organizationId, person.userId)
      if (user === null) throw unauthenticated('auth.invalid', 'This account is gone. Sign in with another.')
      return user
    },

    invite: async (
      by: Caller<Person>,
      input: { readonly email?: string | null | undefined; readonly role: Role },
      idempotency: Idempotency | null,
    ): Promise<{ readonly invitation: Invitation; readonly token: string; readonly replayed: boolean }> => {
      if (dependencies.registration === 'closed') throw registrationClosed()
      const { organizationId, userId } = by.principal
      const tokenFor = (id: string) =>
        mintInvitationToken(secretFor(secretKey, 'invitation', by.principal, idempotency, id))
      const invitation = newInvitation(organizationId, input.role, input.email ?? null, userId)
      const token = tokenFor(invitation.id)
      const { httpRequestId, network = null } = by
      const made = { actor: actorOf(by.principal), httpRequestId, network, idempotency }
      const added = await inTransaction(db, { organizationId }, (tx) => addInvitation(tx, invitation, token, made))
      if (added) dependencies.mailInvitation(invitation, token)
      if (added || idempotency === null) return { invitation, token, replayed: false }
      const earlier = await store.invitationByIdempotencyKey(
        db.within({ organizationId }),
        organizationId,
        userId,
        idempotency.key,
      )
      if (earlier === null || !earlier.hash?.equals(idempotency.hash)) throw idempotencyMismatch()
      return { invitation: earlier.invitation, token: tokenFor(earlier.invitation.id), replayed: true }
    },

    /** A one-time token for the first admin while there is none, else null. Earlier ones stop working. */
    setupToken: async (): Promise<string | null> => {
      const organizationId = await ensureOrganization()
      return inTransaction(db, { organizationId }, async (tx) => {
        await organizations.lockFirstSetup(tx)
        // Also when there is an admin by now (ADMIN_EMAIL): a link in an old log must not make another.
        await store.expireSetupLinks(tx, organizationId, clock.now())
        if (await store.hasRole(tx, organizationId, ['owner', 'admin'])) return null
        const token = mintInvitationToken()
        const made = { actor: system, httpRequestId: null, idempotency: null }
        await addInvitation(tx, newInvitation(organizationId, 'admin', null, null), token, made)
        return token
      })
    },

    /** True when there are accounts, and none with this address. */
    isInUseWithout: async (email: string): Promise<boolean> => {
      const organizationId = await ensureOrganization()
      return (
        (await findAccount(email)) === null && (await store.hasUsers(db.within({ organizationId }), organizationId))
      )
    },

    /** ADMIN_EMAIL and the sample data: makes the account when it does not exist; never changes an existing one. */
    ensureUser: async (input: Registration, role: Role): Promise<User> => {
      const organizationId = await ensureOrganization()
      const known = await firstMembership(input.email)
      if (known !== null) return known
      const passwordHash = await passwords.hash(checkPassword(input.password))
      const user = newUser(organizationId, input, role)
      const added = await inTransaction(db, { organizationId, accountId: user.accountId }, async (tx) => {
        await organizations.lockFirstSetup(tx)
        await addUser(tx, user, passwordHash, { actor: system, httpRequestId: null })
        return true
      }).catch((error: unknown) => {
        // Another process was first.
        if (error instanceof Problem && error.code === 'auth.email_taken') return false
        throw error
      })
      return added ? user : ((await firstMembership(input.email)) ?? user)
    },

    /** The `hitl` command: a new account that runs an organization, the installation's first where none is named. */
    createAdmin: async (
      input: Registration,
      role: 'owner' | 'admin',
      inOrganization: string | null,
      httpRequestId: string,
    ): Promise<User> => {
      if (!new RegExp(emailPattern, 'u').test(input.email)) throw invalid('email', 'must be an email address')
      checkPassword(input.password)
      const organizationId = inOrganization ?? (await ensureOrganization())
      const user = newUser(organizationId, input, role)
      const passwordHash = await passwords.hash(input.password)
      return inTransaction(db, { organizationId, accountId: user.accountId }, async (tx) => {
        await organizations.lockFirstSetup(tx)
        if (!(await organizations.exists(tx, organizationId))) {
          throw new Problem(404, 'organization.not_found', `There is no organization ${organizationId}.`)
        }
        if (role === 'owner' && (await store.hasRole(tx, organizationId, ['owner']))) {
          const detail =
            'This organization has an owner, and one is the most. Make an admin, or let the owner hand over.'
          throw new Problem(409, 'organization.has_owner', detail)
        }
        await addUser(tx, user, passwordHash, { actor: system, httpRequestId })
        return user
      })
    },
  }
}

function registrationClosed(): Problem {
  const detail =
    'Registration is closed on this installation. Whoever runs it opens it with REGISTRATION=invite or open.'
  return new Problem(403, 'auth.registration_closed', detail)
}
