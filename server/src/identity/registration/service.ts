import { type Actor, type Report, system } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import { invalid, Problem } from '../../platform/problem.ts'
import type { NewPasswordCheck } from '../accounts/new-password.ts'
import type { Passwords } from '../accounts/passwords.ts'
import * as store from '../accounts/store.ts'
import { checkPassword, emailKey, emailPattern, type User } from '../accounts/user.ts'
import { unauthenticated } from '../authenticate.ts'
import { type Invitations, registrationClosed } from '../invitations/service.ts'
import { closing, type Organization } from '../organizations/organization.ts'
import * as organizations from '../organizations/store.ts'
import type { Person, Role } from '../principal.ts'

export interface PeopleDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly passwords: Passwords
  readonly invitations: Invitations
  readonly registration: 'invite' | 'open' | 'closed'
  readonly checkNewPassword: NewPasswordCheck
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
}

export interface Registration {
  readonly email: string
  readonly password: string
  readonly name?: string | null | undefined
  readonly invitation?: string | undefined
}

export type People = ReturnType<typeof createPeople>

export function createPeople(dependencies: PeopleDependencies) {
  const { db, clock, passwords, invitations, report } = dependencies

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

  /** The installation's own organization, made at the first start. */
  const ensureOrganization = async (): Promise<string> =>
    (await organizations.defaultOrganization(db.within({ worker: true }))) ?? addDefaultOrganization(newId())

  const addDefaultOrganization = (organizationId: string): Promise<string> =>
    inTransaction(db, { worker: true, organizationId }, async (tx) => {
      await organizations.lockFirstSetup(tx)
      const existing = await organizations.defaultOrganization(tx)
      if (existing !== null) return existing
      const now = clock.now()
      const made: Organization = {
        organizationId,
        name: 'Default',
        requireStepUp: false,
        deleteAfter: null,
        deletionRequestedBy: null,
        createdAt: now,
        updatedAt: now,
      }
      await organizations.insertOrganization(tx, made, { createdBy: null, idempotency: null })
      await report(tx, [
        {
          organizationId,
          kind: 'organization.created',
          subjectKind: 'organization',
          subjectId: organizationId,
          actor: system,
          httpRequestId: null,
          before: null,
          after: { name: made.name },
          occurredAt: now,
        },
      ])
      return organizationId
    })

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
      // Judged here so that guesses cost no hashing, and again under the lock so that one link lets in one person.
      const invited = input.invitation === undefined ? null : await invitations.find(input.invitation, input.email)
      // Hashed before the transaction: a quarter of a second of work must not hold locks.
      const passwordHash = await passwords.hash(input.password, { share: network, known: false })
      const organizationId = invited?.organizationId ?? (await ensureOrganization())
      const user = newUser(organizationId, input, invited?.role ?? 'reviewer')
      const made = { actor: { kind: 'person', id: user.id }, httpRequestId, network } as const
      return inTransaction(db, { organizationId, accountId: user.accountId }, async (tx) => {
        if (invited === null) {
          const organization = await organizations.organizationById(tx, organizationId)
          if (organization === null || organization.deleteAfter !== null) throw closing()
          await addUser(tx, user, passwordHash, made)
        } else {
          const { id: invitationId } = await invitations.use(tx, invited, input.email)
          await addUser(tx, user, passwordHash, { ...made, invitationId })
        }
        return user
      })
    },

    me: async (person: Person): Promise<User> => {
      const user = await userOf(person.organizationId, person.userId)
      if (user === null) throw unauthenticated('auth.invalid', 'This account is gone. Sign in with another.')
      return user
    },

    /** A one-time token for the first admin while there is none, else null. Earlier ones stop working. */
    setupToken: async (): Promise<string | null> => {
      const organizationId = await ensureOrganization()
      return inTransaction(db, { organizationId }, async (tx) => {
        await organizations.lockFirstSetup(tx)
        // Also when there is an admin by now (ADMIN_EMAIL): a link in an old log must not make another.
        await invitations.voidSetups(tx, organizationId)
        if (await store.hasRole(tx, organizationId, ['owner', 'admin'])) return null
        return invitations.createSetup(tx, organizationId, { actor: system, httpRequestId: null })
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
        const organization = await organizations.organizationById(tx, organizationId)
        if (organization === null) {
          throw new Problem(404, 'organization.not_found', `There is no organization ${organizationId}.`)
        }
        if (organization.deleteAfter !== null) throw closing()
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
