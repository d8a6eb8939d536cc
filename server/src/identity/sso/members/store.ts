import { type Queryable, type Statement, sql } from '../../../platform/database/db.ts'
import { first } from '../../../platform/database/first.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'

export interface SsoIdentity {
  readonly organizationId: string
  readonly id: string
  readonly issuer: string
  readonly subject: string
  readonly userId: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

const identityColumns = names('organization_id, id, issuer, subject, user_id, created_at, last_used_at')

function toIdentity(row: Schema['sso_identities']): SsoIdentity {
  return fieldsOf(row, identityColumns)
}

export async function identityBySubject(
  db: Queryable,
  organizationId: string,
  issuer: string,
  subject: string,
): Promise<SsoIdentity | null> {
  const query = sql
    .selectFrom('sso_identities')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
  return first(db.run(query), toIdentity)
}

/** False when somebody is linked to this subject already. */
export async function insertIdentity(tx: Queryable, identity: SsoIdentity): Promise<boolean> {
  const query = sql
    .insertInto('sso_identities')
    .values(valuesOf(identity, identityColumns))
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export async function markIdentityUsed(tx: Queryable, identity: SsoIdentity, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('sso_identities')
      .set({ last_used_at: at })
      .where('organization_id', '=', identity.organizationId)
      .where('id', '=', identity.id),
  )
}

export async function identitiesOf(
  db: Queryable,
  organizationId: string,
  userId: string,
): Promise<readonly SsoIdentity[]> {
  const query = sql
    .selectFrom('sso_identities')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
    .orderBy('id', 'desc')
  return (await db.run(query)).map(toIdentity)
}

/** The one that is gone; null when it was not this person's. */
export async function deleteIdentity(
  tx: Queryable,
  organizationId: string,
  userId: string,
  id: string,
): Promise<SsoIdentity | null> {
  const query = sql
    .deleteFrom('sso_identities')
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
    .where('id', '=', id)
    .returningAll()
  return first(tx.run(query), toIdentity)
}

const opens: Statement = {
  name: 'sso_still_opens',
  text: `select from sso_identities i
    join identity_providers p on p.organization_id = i.organization_id and p.issuer = i.issuer
    where i.organization_id = $1 and i.id = $2 and p.id = $3 and p.is_active for key share`,
}

/** Whether the identity is linked and its provider on; neither changes until the transaction ends. */
export async function stillOpens(
  tx: Queryable,
  organizationId: string,
  by: { readonly ssoIdentityId: string; readonly identityProviderId: string },
): Promise<boolean> {
  return (await tx.execute(opens, [organizationId, by.ssoIdentityId, by.identityProviderId])).length === 1
}

const deleteOptional: Statement = {
  name: 'sso_delete_optional_identities',
  text: `delete from sso_identities i where i.organization_id = $1 and i.user_id = $2
    and not exists (select from identity_providers p
      where p.organization_id = i.organization_id and p.issuer = i.issuer and p.is_enforced and p.is_active)
    returning 1`,
}

/** All that the member linked, but those of a provider that is the only way in: who loses such a one could not link it again. */
export async function deleteOptionalIdentities(tx: Queryable, organizationId: string, userId: string): Promise<number> {
  return (await tx.execute(deleteOptional, [organizationId, userId])).length
}
