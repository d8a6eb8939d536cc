import { type Fact, factBy, type Origin, type ReportedChange } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { secretFor } from '../derived-secret.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { usePermit } from '../factors/step-ups/use-permit.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'
import { hashSecretToken, newSecretToken } from '../secret-token.ts'
import type { InvitationContext } from './context.ts'
import {
  emailsPerHour,
  type Invitation,
  invitationDays,
  invitationNotFound,
  registrationClosed,
  tooManyInvitations,
} from './invitation.ts'
import * as store from './store.ts'

export interface NewInvitation {
  readonly email: string | null
  readonly role: Invitation['role']
}

export interface MadeInvitation {
  readonly invitation: Invitation
  readonly token: string
  /** The page where the invited person continues. */
  readonly url: string
  readonly replayed: boolean
}

export async function create(
  context: InvitationContext,
  by: Caller<Person>,
  asked: NewInvitation,
  idempotency: Idempotency | null,
  permit: Permit | null,
): Promise<MadeInvitation> {
  const { db, letters, secretKey, publicUrl, registration, mails } = context
  if (registration === 'closed') throw registrationClosed('closed')
  const { organizationId, accountId, userId } = by.principal
  const tokenOf = ({ id }: Invitation): string =>
    secretFor(secretKey, 'invitation', by.principal, idempotency, id)?.toString('base64url') ?? newSecretToken()
  const invitation = newInvitation(context, organizationId, asked, userId)
  const fresh = tokenOf(invitation)
  const letter = await mails.invited(invitation, fresh, accountId)
  const { made, replayed } = await createOnce(idempotency, {
    insert: () =>
      inTransaction(db, { organizationId, accountId }, async (tx) => {
        if (!(await add(context, tx, invitation, fresh, byCaller(by), { idempotency, permit }))) return null
        await requireEmailsLeft(context, tx, invitation, accountId)
        await letters.post(tx, letter)
        return invitation
      }),
    find: (key) => store.invitationByIdempotencyKey(db.within({ organizationId }), organizationId, userId, key),
  })
  const token = replayed ? tokenOf(made) : fresh
  return { invitation: made, token, url: `${publicUrl}/setup#${token}`, replayed }
}

/** Creates the first administrator's link, in the transaction that found that there is no administrator. */
export async function createSetupLink(context: InvitationContext, tx: Tx, origin: Origin): Promise<string> {
  const token = newSecretToken()
  const invitation = newInvitation(context, origin.organizationId, { email: null, role: 'admin' }, null)
  await add(context, tx, invitation, token, origin, { idempotency: null, permit: null })
  return token
}

export async function revoke({ db, clock, report }: InvitationContext, by: Caller<Person>, id: string): Promise<void> {
  const { organizationId } = by.principal
  await inTransaction(db, { organizationId }, async (tx) => {
    const occurredAt = clock.now()
    const revoked = await store.revokeInvitation(tx, organizationId, id, occurredAt)
    if (revoked === null) throw invitationNotFound()
    const before = { role: revoked.role, expires_at: revoked.expiresAt }
    await report(tx, [invitationFact(byCaller(by), 'invitation.revoked', revoked, { before, occurredAt })])
  })
}

function newInvitation(
  { clock }: InvitationContext,
  organizationId: string,
  asked: NewInvitation,
  createdBy: string | null,
): Invitation {
  const createdAt = clock.now()
  const expiresAt = new Date(createdAt.getTime() + invitationDays * 86_400_000)
  const unused = { usedAt: null, reservedFor: null, revokedAt: null }
  return { ...asked, ...unused, organizationId, id: newId(), createdBy, expiresAt, createdAt }
}

/** False when the creator has already used this Idempotency-Key. */
async function add(
  { report }: InvitationContext,
  tx: Tx,
  invitation: Invitation,
  token: string,
  origin: Origin,
  { idempotency, permit }: { readonly idempotency: Idempotency | null; readonly permit: Permit | null },
): Promise<boolean> {
  if (!(await store.insertInvitation(tx, invitation, hashSecretToken(token), idempotency))) return false
  const { digest = null, ...assurance } = await usePermit(tx, permit)
  const { role, expiresAt, createdAt: occurredAt } = invitation
  const change = { after: { role, expires_at: expiresAt, ...assurance }, digest, occurredAt }
  await report(tx, [invitationFact(origin, 'invitation.created', invitation, change)])
  return true
}

/** Each invitation with an address sends an email, where mail is set up. A person's count over all organizations. */
async function requireEmailsLeft(
  { letters }: InvitationContext,
  tx: Tx,
  { organizationId, email, createdAt }: Invitation,
  accountId: string,
): Promise<void> {
  if (email === null) return
  const hourAgo = new Date(createdAt.getTime() - 3_600_000)
  if ((await letters.countOf(tx, accountId, 'invitation', hourAgo)) >= emailsPerHour) throw tooManyInvitations()
  if ((await store.countAddressedSince(tx, organizationId, hourAgo)) > emailsPerHour) throw tooManyInvitations()
}

function invitationFact(origin: Origin, kind: EventKind, { id, email }: Invitation, change: ReportedChange): Fact {
  return factBy(origin, kind, ['invitation', id], { ...change, ...(email === null ? {} : { erasable: { email } }) })
}
