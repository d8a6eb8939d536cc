import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import type { AccountLink } from './account-link.ts'
import { emailKey } from './user.ts'

export interface AccountSecrets {
  readonly id: string
  readonly email: string
  readonly emailVerifiedAt: Date | null
  readonly passwordHash: string | null
}

const accountColumns = names('id, email, email_verified_at, password_hash')

function toAccount(row: Pick<Schema['accounts'], (typeof accountColumns)[number]>): AccountSecrets {
  return fieldsOf(row, accountColumns)
}

/** The scope is the account. */
export async function accountById(db: Queryable, id: string): Promise<AccountSecrets | null> {
  return first(db.run(sql.selectFrom('accounts').select(accountColumns).where('id', '=', id)), toAccount)
}

/** The scope is a look-up of the same key. */
export async function accountByKey(db: Queryable, key: string): Promise<AccountSecrets | null> {
  return first(db.run(sql.selectFrom('accounts').select(accountColumns).where('email_key', '=', key)), toAccount)
}

/** No other transaction changes the account's password or address until this one ends. */
export async function lockAccount(tx: Queryable, id: string): Promise<AccountSecrets | null> {
  return first(tx.run(sql.selectFrom('accounts').select(accountColumns).where('id', '=', id).forUpdate()), toAccount)
}

export async function savePassword(tx: Queryable, accountId: string, passwordHash: string, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('accounts')
      .set({ password_hash: passwordHash, password_changed_at: at })
      .where('id', '=', accountId),
  )
}

export async function saveVerified(tx: Queryable, accountId: string, at: Date): Promise<void> {
  await tx.run(sql.updateTable('accounts').set({ email_verified_at: at }).where('id', '=', accountId))
}

/** The address is proven. A unique violation says that another account has it. */
export async function saveEmail(tx: Queryable, accountId: string, email: string, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('accounts')
      .set({ email, email_key: emailKey(email), email_verified_at: at })
      .where('id', '=', accountId),
  )
}

/**
 * The copy that an organization's lists show; the scope is the organization. It stays where the organization's provider has
 * claimed the address for another member: that proves nothing, and must not keep the owner of the mailbox from it.
 */
export async function saveMemberEmail(tx: Queryable, membership: Membership, email: string): Promise<void> {
  const { organizationId, userId } = membership
  const key = emailKey(email)
  await tx.run(
    sql
      .updateTable('users')
      .set({ email, email_key: key })
      .where('organization_id', '=', organizationId)
      .where('id', '=', userId)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('users as other')
              .select('other.id')
              .where('other.organization_id', '=', organizationId)
              .where('other.email_key', '=', key)
              .where('other.id', '<>', userId),
          ),
        ),
      ),
  )
}

export interface Membership {
  readonly organizationId: string
  readonly userId: string
}

/** The scope is the account. Always in one order, so that no two transactions deadlock. */
export async function memberships(db: Queryable, accountId: string): Promise<readonly Membership[]> {
  const query = sql
    .selectFrom('users')
    .select(['organization_id', 'id'])
    .where('account_id', '=', accountId)
    .orderBy('organization_id')
  return (await db.run(query)).map((row) => ({ organizationId: row.organization_id, userId: row.id }))
}

const switchScopeStatement: Statement = {
  name: 'account_switch_scope',
  text: `select set_config('hitl.organization', $1, true)`,
}

/**
 * Moves the transaction into the scope of another organization, and leaves that of the account: a change of an account is an
 * event in each organization that it belongs to.
 */
export async function switchScope(tx: Queryable, organizationId: string): Promise<void> {
  await tx.execute(switchScopeStatement, [organizationId])
}

// Links

const linkColumns = names(
  'id, account_id, purpose, email, from_known_network, expires_at, used_at, created_at, session_id',
)

function toLink(row: Omit<Schema['account_links'], 'token_hash'>): AccountLink {
  return fieldsOf(row, linkColumns)
}

/** The scope is the account. */
export async function insertLink(tx: Queryable, link: AccountLink, tokenHash: Buffer): Promise<void> {
  await tx.run(sql.insertInto('account_links').values({ ...valuesOf(link, linkColumns), token_hash: tokenHash }))
}

/** The scope is a look-up of the hash in hex. */
export async function linkByToken(db: Queryable, tokenHash: Buffer): Promise<AccountLink | null> {
  return first(db.run(sql.selectFrom('account_links').select(linkColumns).where('token_hash', '=', tokenHash)), toLink)
}

/** One link is used once, whatever calls race. The scope is the account. */
export async function lockLink(tx: Queryable, accountId: string, id: string): Promise<AccountLink | null> {
  const query = sql
    .selectFrom('account_links')
    .select(linkColumns)
    .where('account_id', '=', accountId)
    .where('id', '=', id)
    .forUpdate()
  return first(tx.run(query), toLink)
}

export async function markLinkUsed(tx: Queryable, link: AccountLink, at: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('account_links')
      .set({ used_at: at })
      .where('account_id', '=', link.accountId)
      .where('id', '=', link.id),
  )
}

/** No unused link of the account works any more. */
export async function dropOpenLinks(tx: Queryable, accountId: string): Promise<void> {
  await tx.run(sql.deleteFrom('account_links').where('account_id', '=', accountId).where('used_at', 'is', null))
}

/** Also deletes used ones, because the events record what happened. */
export async function dropExpiredLinks(tx: Queryable, accountId: string, now: Date): Promise<void> {
  await tx.run(sql.deleteFrom('account_links').where('account_id', '=', accountId).where('expires_at', '<=', now))
}

export async function countLinksSince(
  db: Queryable,
  { accountId, purpose, fromKnownNetwork }: Pick<AccountLink, 'accountId' | 'purpose' | 'fromKnownNetwork'>,
  since: Date,
): Promise<number> {
  const query = sql
    .selectFrom('account_links')
    .select('id')
    .where('account_id', '=', accountId)
    .where('purpose', '=', purpose)
    .where('from_known_network', '=', fromKnownNetwork)
    .where('created_at', '>', since)
  return (await db.run(query)).length
}
