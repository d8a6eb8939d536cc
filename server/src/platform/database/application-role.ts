import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { withClient } from './client.ts'
import type { Connection } from './db.ts'

/** The role that the service's statements run as: not an owner, not a superuser, and subject to row-level security. */
export const applicationRole = 'hitl_app'

const accessFile = join(import.meta.dirname, '../../../migrations/access.sql')

/**
 * Creates the application's role if it is missing and the migrating role may do so, and grants it the rights in `access.sql`,
 * in the caller's transaction. Without the right to create roles, the service runs as the role that it signs in with. Forced
 * row-level security limits that role to the same rows, but REVOKE does not limit it: `accessOf` reports this, and production
 * refuses to start.
 */
export async function grantAccess(client: pg.Client): Promise<void> {
  if (!(await ensureRole(client))) return
  const sql = await readFile(accessFile, 'utf8')
  await client.query('create table if not exists schema_access (checksum text not null)')
  const tables = await client.query<{ list: string; role: string; granted: boolean }>(
    `select coalesce(string_agg(tablename, ' ' order by tablename), '') as list, max(r.oid::text) as role,
       has_table_privilege('${applicationRole}', 'schema_migrations', 'select') as granted
     from pg_tables, pg_roles r where schemaname = current_schema() and r.rolname = '${applicationRole}'`,
  )
  const { list = '', role = '', granted = false } = tables.rows[0] ?? {}
  const checksum = createHash('sha256').update(`${sql}${list}${role}`).digest('hex')
  const known = await client.query<{ checksum: string }>('select checksum from schema_access')
  if (granted && known.rows[0]?.checksum === checksum) return
  await client.query(sql)
  await client.query('delete from schema_access')
  await client.query('insert into schema_access values ($1)', [checksum])
}

/** Whether SET ROLE to `role` is allowed. Since PostgreSQL 16, membership alone does not imply it. */
const mayTake = (role: string): string =>
  `case when current_setting('server_version_num')::int >= 160000 then pg_has_role(${role}, 'set')
     else pg_has_role(${role}, 'member') end`

async function ensureRole(client: pg.Client, attempts = 10): Promise<boolean> {
  await client.query('savepoint role')
  try {
    const found = await client.query('select from pg_roles where rolname = $1', [applicationRole])
    if (found.rowCount === 0) await client.query(`create role ${applicationRole} nologin`)
    const member = await client.query<{ may: boolean }>(
      `select ${mayTake('oid')} as may from pg_roles where rolname = $1`,
      [applicationRole],
    )
    if (member.rows[0]?.may !== true) await client.query(`grant ${applicationRole} to current_user`)
    await client.query('release savepoint role')
    return true
  } catch (error) {
    await client.query('rollback to savepoint role')
    const { code = '' } = error as { code?: string }
    // Roles belong to the whole server: another database's migration created it at the same moment.
    if (attempts > 1 && ['42710', '23505', 'XX000'].includes(code)) return ensureRole(client, attempts - 1)
    if (code === '42501') return false
    throw error
  }
}

export interface Access {
  /** The role for SET ROLE in each transaction; null: the role that signed in. */
  readonly role: string | null
  /** A warning for the operator, with advice, when the service has more rights than it needs; else null. */
  readonly warning: string | null
}

/** Determines, once at the start, the role that statements run as. Throws when nothing would keep organizations apart. */
export function accessOf(connection: Connection): Promise<Access> {
  return withClient({ ...connection, connectionTimeoutMillis: 5_000 }, async (client) => {
    const { rows } = await client.query<{ name: string; all: boolean; owner: boolean; member: boolean }>(
      `select current_user as name, (rolsuper or rolbypassrls) as all,
         exists (select from pg_class where oid = to_regclass('organizations')
           and pg_has_role(me.oid, relowner, 'usage')) as owner,
         coalesce((select ${mayTake('app.oid')} from pg_roles app where app.rolname = '${applicationRole}'), false)
           as member
       from pg_roles me where rolname = current_user`,
    )
    const me = rows[0]
    if (me === undefined) throw new Error('the database does not know its own user')
    if (me.name === applicationRole || (!me.owner && !me.all && me.member)) return { role: null, warning: null }
    if (me.member) return { role: applicationRole, warning: null }
    const advice = `Let an administrator of the database run: create role ${applicationRole} nologin; grant ${applicationRole} to "${me.name}"; then start again.`
    if (me.all)
      throw new Error(`"${me.name}" is exempt from row-level security, and there is no role to take. ${advice}`)
    const excess = `"${me.name}" cannot take the role ${applicationRole}: the service would keep rights that only migrations need, and with them nothing holds the audit append-only.`
    return { role: null, warning: `${excess} ${advice}` }
  })
}
