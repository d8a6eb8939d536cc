import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import type { Role } from '../principal.ts'
import { type Account, emailKey, type User } from './user.ts'

/** Whether the member `u` can enter the organization `o`. In its days of grace only the owner can, and afterwards nobody. */
export const mayEnter = `u.is_active and o.deleted_at is null and (o.delete_after is null or u.role = 'owner')`

// Accounts

/** False when the address has an account already. */
export async function insertAccount(tx: Queryable, account: Account, passwordHash: string | null): Promise<boolean> {
  const query = sql
    .insertInto('accounts')
    .values({
      id: account.id,
      email: account.email,
      email_key: emailKey(account.email),
      password_hash: passwordHash,
      last_organization_id: null,
      created_at: account.createdAt,
      updated_at: account.createdAt,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
  return (await tx.run(query)).length === 1
}

export interface AccountForSignIn {
  readonly id: string
  readonly passwordHash: string | null
}

// Always one row: without one the reply would come some 10 microseconds sooner, enough to tell which addresses have accounts.
const accountByEmailStatement: Statement = {
  name: 'people_account_by_email',
  text: `select account.id, account.password_hash
    from (values (1)) as always left join accounts account on account.email_key = $1`,
}

/** The scope is a look-up of the same address. */
export async function accountByEmail(db: Queryable, key: string): Promise<AccountForSignIn | null> {
  const [row] = await db.execute<{
    readonly id: string | null
    readonly password_hash: string | null
  }>(accountByEmailStatement, [key])
  if (row === undefined || row.id === null) return null
  return { id: row.id, passwordHash: row.password_hash }
}

/**
 * The account's next sign-in leads to this organization too. False when the password was changed after `provenAt`: a call that
 * changes it in this moment waits, and then ends what this transaction opens.
 */
export async function rememberOrganization(
  tx: Queryable,
  accountId: string,
  organizationId: string,
  provenAt: Date | null,
): Promise<boolean> {
  let query = sql
    .updateTable('accounts')
    .set({ last_organization_id: organizationId })
    .where('id', '=', accountId)
    .returning('id')
  if (provenAt !== null) {
    query = query.where((where) =>
      where.or([where('password_changed_at', 'is', null), where('password_changed_at', '<=', provenAt)]),
    )
  }
  return (await tx.run(query)).length === 1
}

const enterAccount: Statement = {
  name: 'people_enter_account',
  text: `select set_config('hitl.account', $1, true)`,
}

const deleteAccountStatement: Statement = {
  name: 'people_delete_account',
  text: `delete from accounts where id = $1 and not exists (select from users where account_id = $1) returning id`,
}

/**
 * Deletes an account that belongs to no organization any more; returns whether it did. Moves the transaction into the scope of
 * that account. If it becomes a member somewhere in the same moment, the foreign key refuses the deletion.
 */
export async function deleteLoneAccount(tx: Queryable, accountId: string): Promise<boolean> {
  const [, deleted] = await Promise.all([
    tx.execute(enterAccount, [accountId]),
    tx.execute<{ id: string }>(deleteAccountStatement, [accountId]),
  ])
  return deleted.length === 1
}

// Users

type UserRow = Selectable<Schema['users']>

const userColumns = names('organization_id, id, account_id, email, name, role, is_active, created_at, updated_at')

function toUser(row: UserRow): User {
  return fieldsOf(row, userColumns)
}

/** False when the account, or the address, is a member already. */
export async function insertUser(tx: Queryable, user: User): Promise<boolean> {
  const rows = await tx.run(
    sql
      .insertInto('users')
      .values({ ...valuesOf(user, userColumns), email_key: emailKey(user.email) })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id'),
  )
  return rows.length === 1
}

export async function userById(db: Queryable, organizationId: string, id: string): Promise<User | null> {
  const query = sql.selectFrom('users').selectAll().where('organization_id', '=', organizationId).where('id', '=', id)
  return first(db.run(query), toUser)
}

/** Locks these members, and the owner if `withOwner`, always in one order. */
export async function lockUsers(
  tx: Queryable,
  organizationId: string,
  ids: readonly string[],
  withOwner = false,
): Promise<readonly User[]> {
  const query = sql
    .selectFrom('users')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where((where) => where.or([where('id', 'in', [...ids]), ...(withOwner ? [where('role', '=', 'owner')] : [])]))
    .orderBy('id')
  return (await tx.run(query.forUpdate())).map(toUser)
}

export async function saveUser(tx: Queryable, user: User): Promise<void> {
  await tx.run(
    sql
      .updateTable('users')
      .set({ name: user.name, role: user.role, is_active: user.isActive, updated_at: user.updatedAt })
      .where('organization_id', '=', user.organizationId)
      .where('id', '=', user.id),
  )
}

/** Members by id, oldest first, behind `after`. */
export async function users(
  db: Queryable,
  organizationId: string,
  after: string | null,
  limit: number,
): Promise<readonly User[]> {
  let query = sql
    .selectFrom('users')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .orderBy('id')
    .limit(limit)
  if (after !== null) query = query.where('id', '>', after)
  return (await db.run(query)).map(toUser)
}

// Always one row, as above: a sign-in also looks up the memberships of accounts that do not exist.
const usersOfAccountStatement: Statement = {
  name: 'people_users_of_account',
  text: `select users.* from (values (1)) as always left join users on users.account_id = $1
    order by users.created_at, users.id`,
}

/** The memberships of an account; the scope is the account. Oldest first. */
export async function usersOfAccount(db: Queryable, accountId: string): Promise<readonly User[]> {
  const rows = await db.execute<UserRow | { readonly id: null }>(usersOfAccountStatement, [accountId])
  return rows.filter((row) => row.id !== null).map(toUser)
}

const enterableMembershipsStatement: Statement = {
  name: 'people_enterable_memberships',
  text: `select u.* from (values (1)) as always
    left join (users u join organizations o on o.organization_id = u.organization_id) on u.account_id = $1 and ${mayEnter}
    left join accounts a on a.id = $1
    order by u.organization_id is distinct from a.last_organization_id, u.created_at, u.id`,
}

/** The memberships whose organization can be entered: that of the last sign-in first, then the oldest. The scope is the account. */
export async function enterableMemberships(db: Queryable, accountId: string): Promise<readonly User[]> {
  const rows = await db.execute<UserRow | { readonly id: null }>(enterableMembershipsStatement, [accountId])
  return rows.filter((row) => row.id !== null).map(toUser)
}

const enterableText = `select u.* from users u join organizations o on o.organization_id = u.organization_id
  where u.organization_id = $1 and u.id = $2 and ${mayEnter}`
const enterableStatement: Statement = { name: 'people_enterable', text: enterableText }
const lockedEnterableStatement: Statement = { name: 'people_enterable_locked', text: `${enterableText} for share of u` }

/**
 * The member, if they can enter the organization now. `locked`: a call that deactivates them in this moment waits, and then
 * ends what this transaction opens.
 */
export async function enterableMembership(
  tx: Queryable,
  organizationId: string,
  id: string,
  locked = false,
): Promise<User | null> {
  return first(
    tx.execute<UserRow>(locked ? lockedEnterableStatement : enterableStatement, [organizationId, id]),
    toUser,
  )
}

function memberIds(organizationId: string) {
  return sql.selectFrom('users').select('id').where('organization_id', '=', organizationId)
}

export async function hasUsers(db: Queryable, organizationId: string): Promise<boolean> {
  return (await db.run(memberIds(organizationId).limit(1))).length > 0
}

/** Whether a member has one of these roles. */
export async function hasRole(db: Queryable, organizationId: string, roles: readonly Role[]): Promise<boolean> {
  return (
    (
      await db.run(
        memberIds(organizationId)
          .where('role', 'in', [...roles])
          .limit(1),
      )
    ).length > 0
  )
}

export async function hasAddress(tx: Queryable, organizationId: string, key: string): Promise<boolean> {
  return (await tx.run(memberIds(organizationId).where('email_key', '=', key))).length > 0
}

/** Whether another active member can manage the organization. */
export async function hasOtherManager(tx: Queryable, organizationId: string, userId: string): Promise<boolean> {
  const query = memberIds(organizationId)
    .where('id', '!=', userId)
    .where('role', 'in', ['owner', 'admin'])
    .where('is_active', '=', true)
    .limit(1)
  return (await tx.run(query)).length > 0
}

/** How many organizations an account owns; the scope is the account. */
export async function countOwned(tx: Queryable, accountId: string): Promise<number> {
  const query = sql.selectFrom('users').select('id').where('account_id', '=', accountId).where('role', '=', 'owner')
  return (await tx.run(query)).length
}

const deleteUsersStatement: Statement = {
  name: 'people_delete_users',
  text: `delete from users where organization_id = $1
    and id in (select id from users where organization_id = $1 order by id limit $2)
    returning id, account_id, role`,
}

export interface FormerUser {
  readonly id: string
  readonly accountId: string
  readonly role: Role
}

/** Up to `atMost` members of an organization that is being deleted. */
export async function deleteUsers(
  tx: Queryable,
  organizationId: string,
  atMost: number,
): Promise<readonly FormerUser[]> {
  const rows = await tx.execute<{ id: string; account_id: string; role: Role }>(deleteUsersStatement, [
    organizationId,
    atMost,
  ])
  return rows.map((row) => ({ id: row.id, accountId: row.account_id, role: row.role }))
}
