import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { earlierIn } from '../../platform/database/earlier.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import type { Idempotency } from '../../platform/idempotency.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import type { Invitation } from './invitation.ts'

type Row = Selectable<Schema['invitations']>

const invitationColumns = names(
  'organization_id, id, email, role, created_by, expires_at, used_at, reserved_for, revoked_at, created_at',
)

function toInvitation(row: Row): Invitation {
  return fieldsOf(row, invitationColumns)
}

/** False when the creator has already used this Idempotency-Key. */
export async function insertInvitation(
  tx: Queryable,
  invitation: Invitation,
  tokenHash: Buffer,
  idempotency: Idempotency | null,
): Promise<boolean> {
  const query = sql
    .insertInto('invitations')
    .values({
      ...valuesOf(invitation, invitationColumns),
      token_hash: tokenHash,
      idempotency_key: idempotency?.key ?? null,
      idempotency_hash: idempotency?.hash ?? null,
      updated_at: invitation.createdAt,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['organization_id', 'created_by', 'idempotency_key'])
        .where('idempotency_key', 'is not', null)
        .doNothing(),
    )
    .returning('id')
  return (await tx.run(query)).length === 1
}

export const invitationByIdempotencyKey = earlierIn('invitations', toInvitation)

/** How many invitations with an address were created since then. */
export async function countAddressedSince(tx: Queryable, organizationId: string, since: Date): Promise<number> {
  const query = sql
    .selectFrom('invitations')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('email', 'is not', null)
    .where('created_at', '>', since)
  return (await tx.run(query)).length
}

/** The scope is a look-up of the hash in hex. */
export async function invitationByToken(db: Queryable, tokenHash: Buffer): Promise<Invitation | null> {
  return first(db.run(sql.selectFrom('invitations').selectAll().where('token_hash', '=', tokenHash)), toInvitation)
}

// The creator must still be an administrator: a link made earlier would be a former administrator's way back in.
const creatorMayInvite = `(i.created_by is null or exists (select from users u where u.organization_id = i.organization_id
    and u.id = i.created_by and u.is_active and u.role in ('owner', 'admin')))`

const lockStatement: Statement = {
  name: 'invitations_lock',
  text: `select i.* from invitations i join organizations o on o.organization_id = i.organization_id
    where i.organization_id = $1 and i.id = $2 and o.delete_after is null and o.deleted_at is null and ${creatorMayInvite}
    for update of i`,
}

/** One link lets in one person, whatever calls race. Null also when its creator may not invite any more. */
export async function lockInvitation(tx: Queryable, organizationId: string, id: string): Promise<Invitation | null> {
  return first(tx.execute<Row>(lockStatement, [organizationId, id]), toInvitation)
}

const openStatement: Statement = {
  name: 'invitations_open',
  text: `select i.* from invitations i where i.organization_id = $1 and i.used_at is null and i.revoked_at is null
    and i.expires_at > $2 and ($3::uuid is null or i.id < $3) and ${creatorMayInvite} order by i.id desc limit $4`,
}

/** Invitations that can still be used, newest first, behind `before`. */
export async function openInvitations(
  db: Queryable,
  organizationId: string,
  now: Date,
  before: string | null,
  limit: number,
): Promise<readonly Invitation[]> {
  return (await db.execute<Row>(openStatement, [organizationId, now, before, limit])).map(toInvitation)
}

/** The revoked invitation; null if there is none, or if it was already used, revoked or expired. */
export async function revokeInvitation(
  tx: Queryable,
  organizationId: string,
  id: string,
  at: Date,
): Promise<Invitation | null> {
  const query = sql
    .updateTable('invitations')
    .set({ revoked_at: at })
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .where('used_at', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', at)
    .returningAll()
  return first(tx.run(query), toInvitation)
}

export async function saveInvitation(
  tx: Queryable,
  { organizationId, id, usedAt, reservedFor }: Invitation,
): Promise<void> {
  await tx.run(
    sql
      .updateTable('invitations')
      .set({ used_at: usedAt, reserved_for: reservedFor })
      .where('organization_id', '=', organizationId)
      .where('id', '=', id),
  )
}

/** An unused set-up link becomes invalid once a newer one is printed. */
export async function expireSetupLinks(tx: Queryable, organizationId: string, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('invitations')
      .set({ expires_at: at })
      .where('organization_id', '=', organizationId)
      .where('created_by', 'is', null)
      .where('used_at', 'is', null)
      .where('expires_at', '>', at),
  )
}
