import type { Actor, Fact, Report } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import { accountById } from '../accounts/account-link-store.ts'
import { memberFact, userNotFound } from '../accounts/member-facts.ts'
import * as people from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import { secretFor } from '../derived-secret.ts'
import { assuranceJson } from '../factors/step-up.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { requireOwnSignIn } from '../organizations/organization.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import {
  acceptInvitation,
  hashInvitationToken,
  type Invitation,
  invitationDays,
  lettersPerHour,
  mintInvitationToken,
} from './invitation.ts'
import type { MailInvitation } from './invitation-mail.ts'
import * as store from './store.ts'

export interface InvitationDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly secretKey: string
  readonly registration: 'invite' | 'open' | 'closed'
  readonly publicUrl: string
  readonly mailInvitation: MailInvitation
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
}

/** Who did something, as the audit keeps it; nobody in particular at the first start. */
export interface MadeBy {
  readonly actor: Actor
  readonly httpRequestId: string | null
  readonly network?: string | null
}

export interface NewInvitation {
  readonly email: string | null
  readonly role: Invitation['role']
}

export interface MadeInvitation {
  readonly invitation: Invitation
  readonly token: string
  /** The page where the invited person goes on. */
  readonly url: string
  readonly replayed: boolean
}

export type Invitations = ReturnType<typeof createInvitations>

export function createInvitations(dependencies: InvitationDependencies) {
  const { db, clock, secretKey, publicUrl, report } = dependencies

  const madeBy = (by: Caller<Person>): MadeBy => ({
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
  })

  const factOf = (
    by: MadeBy,
    invitation: Invitation,
    kind: EventKind,
    more: Partial<Fact> & Pick<Fact, 'before' | 'after'>,
  ): Fact => ({
    organizationId: invitation.organizationId,
    kind,
    subjectKind: 'invitation',
    subjectId: invitation.id,
    ...by,
    ...(invitation.email === null ? {} : { erasable: { email: invitation.email } }),
    occurredAt: clock.now(),
    ...more,
  })

  const newInvitation = (organizationId: string, of: NewInvitation, createdBy: string | null): Invitation => {
    const createdAt = clock.now()
    const expiresAt = new Date(createdAt.getTime() + invitationDays * 86_400_000)
    return { ...of, organizationId, id: newId(), createdBy, expiresAt, usedAt: null, revokedAt: null, createdAt }
  }

  const add = async (
    tx: Tx,
    invitation: Invitation,
    token: string,
    by: MadeBy,
    idempotency: Idempotency | null,
    permit: Permit | null,
  ): Promise<boolean> => {
    if (!(await store.insertInvitation(tx, invitation, hashInvitationToken(token), idempotency))) return false
    const { role, expiresAt } = invitation
    const proof = permit === null ? null : { digest: permit.digest, assurance: assuranceJson(await permit.use(tx)) }
    const after = { role, expires_at: expiresAt, ...(proof === null ? {} : { assurance: proof.assurance }) }
    const digest = proof === null ? {} : { digest: proof.digest }
    await report(tx, [factOf(by, invitation, 'invitation.created', { before: null, after, ...digest })])
    return true
  }

  /** Each is a letter, where mail is sent. */
  const requireLettersLeft = async (tx: Tx, { organizationId, email, createdAt }: Invitation): Promise<void> => {
    if (email === null) return
    const hourAgo = new Date(createdAt.getTime() - 3_600_000)
    if ((await store.countAddressedSince(tx, organizationId, hourAgo)) > lettersPerHour) throw tooManyLetters()
  }

  /** The invitation, if it lets `email` in now. The set-up link, which nobody in particular made, works in every mode. */
  const admit = (found: Invitation | null, email: string): Invitation => {
    const invitation = acceptInvitation(found, email, clock.now())
    if (dependencies.registration === 'closed' && invitation.createdBy !== null) throw registrationClosed()
    return invitation
  }

  /** Looked at without a lock: what comes of it is judged again by `use`. */
  const find = async (token: string, email: string): Promise<Invitation> => {
    const hash = hashInvitationToken(token)
    return admit(await store.invitationByToken(db.within({ lookUp: hash.toString('hex') }), hash), email)
  }

  /** Uses the link up, in the transaction that lets the person in. */
  const use = async (tx: Tx, { organizationId, id }: Invitation, email: string): Promise<Invitation> => {
    const invitation = admit(await store.lockInvitation(tx, organizationId, id), email)
    await store.markInvitationUsed(tx, invitation, clock.now())
    return invitation
  }

  return {
    find,
    use,

    create: async (
      by: Caller<Person>,
      of: NewInvitation,
      idempotency: Idempotency | null,
      permit: Permit | null,
    ): Promise<MadeInvitation> => {
      if (dependencies.registration === 'closed') throw registrationClosed()
      const { organizationId, accountId, userId } = by.principal
      const invitation = newInvitation(organizationId, of, userId)
      const tokenOf = ({ id }: Invitation): string =>
        mintInvitationToken(secretFor(secretKey, 'invitation', by.principal, idempotency, id))
      const fresh = tokenOf(invitation)
      const { made, replayed } = await createOnce(idempotency, {
        insert: () =>
          inTransaction(db, { organizationId, accountId }, async (tx) => {
            if (!(await add(tx, invitation, fresh, madeBy(by), idempotency, permit))) return null
            await requireLettersLeft(tx, invitation)
            return invitation
          }),
        find: (key) => store.invitationByIdempotencyKey(db.within({ organizationId }), organizationId, userId, key),
      })
      if (!replayed) dependencies.mailInvitation(invitation, fresh)
      const token = replayed ? tokenOf(made) : fresh
      return { invitation: made, token, url: `${publicUrl}/setup#${token}`, replayed }
    },

    /** The first admin's link; earlier ones stop working. In the transaction that has found that there is no admin. */
    createSetup: async (tx: Tx, organizationId: string, by: MadeBy): Promise<string> => {
      const token = mintInvitationToken()
      await add(tx, newInvitation(organizationId, { email: null, role: 'admin' }, null), token, by, null, null)
      return token
    },

    voidSetups: (tx: Tx, organizationId: string): Promise<void> =>
      store.expireSetupLinks(tx, organizationId, clock.now()),

    /** Those that still let somebody in, newest first. */
    list: async (
      { organizationId }: Person,
      before: string | null,
      limit: number,
    ): Promise<{ readonly items: readonly Invitation[]; readonly hasMore: boolean }> => {
      const within = db.within({ organizationId })
      const found = await store.openInvitations(within, organizationId, clock.now(), before, limit + 1)
      return { items: found.slice(0, limit), hasMore: found.length > limit }
    },

    revoke: async (by: Caller<Person>, id: string): Promise<void> => {
      const { organizationId } = by.principal
      await inTransaction(db, { organizationId }, async (tx) => {
        const revoked = await store.revokeInvitation(tx, organizationId, id, clock.now())
        if (revoked === null) throw notFound()
        const before = { role: revoked.role, expires_at: revoked.expiresAt }
        await report(tx, [factOf(madeBy(by), revoked, 'invitation.revoked', { before, after: null })])
      })
    },

    /** A signed-in person becomes a member of another organization by its link. */
    accept: async (by: Caller<Person>, token: string): Promise<User> => {
      requireOwnSignIn(by.principal)
      const { accountId, organizationId: here, userId } = by.principal
      // The account's own address: the one of a membership may be what somebody's identity provider says it is.
      const account = await accountById(db.within({ accountId }), accountId)
      const me = await people.userById(db.within({ organizationId: here }), here, userId)
      if (account === null || me === null) throw userNotFound()
      const { email } = account
      const found = await find(token, email)
      const { organizationId } = found
      return inTransaction(db, { organizationId, accountId }, async (tx) => {
        const { id: invitationId, role } = await use(tx, found, email)
        const now = clock.now()
        const member = {
          ...me,
          organizationId,
          id: newId(),
          email,
          role,
          isActive: true,
          createdAt: now,
          updatedAt: now,
        }
        if (!(await people.insertUser(tx, member))) throw alreadyMember()
        // As the new organization knows them: the session they are in is another one's.
        const actor: Actor = { kind: 'person', id: member.id, signedInWith: by.principal.signIn?.methods ?? [] }
        await report(tx, [memberFact(by, 'user.joined', null, member, { actor, invitationId })])
        return member
      })
    },
  }
}

export function registrationClosed(): Problem {
  const detail =
    'Registration is closed on this installation. Whoever runs it opens it with REGISTRATION=invite or open.'
  return new Problem(403, 'auth.registration_closed', detail)
}

function notFound(): Problem {
  return new Problem(404, 'invitation.not_found', 'Invitation not found, used, or revoked already')
}

function alreadyMember(): Problem {
  const detail = 'You, or somebody with your address, belong to this organization already.'
  return new Problem(409, 'user.already_member', detail)
}

function tooManyLetters(): Problem {
  const detail = `An organization invites ${lettersPerHour} addresses an hour. Go on in an hour, or make links without an address.`
  return new Problem(429, 'invitation.too_many', detail, { headers: { 'retry-after': '3600' } })
}
