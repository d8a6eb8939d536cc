import pg from 'pg'
import { queryableOn } from '../platform/database/client.ts'
import { copyIn, copyOut } from '../platform/database/copy.ts'
import type { Queryable } from '../platform/database/db.ts'
import { sampleKeys } from '../platform/secrets/envelope-store.ts'

/** A table of the service, as the database describes it: no list of tables or columns can be out of date. */
export interface Table {
  readonly name: string
  /** Those that hold what was written, not those that PostgreSQL computes. */
  readonly columns: readonly string[]
  /** The tables whose rows its own refer to. */
  readonly references: readonly string[]
  /** Row-level security would leave out rows for this role. */
  readonly isLimited: boolean
}

/** Those of the migrations are made by the migrations. Unlogged ones hold what may be lost at any time. */
export async function tables(client: pg.Client): Promise<readonly Table[]> {
  const { rows } = await client.query<Table>(`
    select c.relname as name,
      array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and a.attgenerated = '' order by a.attnum) as columns,
      array(select distinct r.relname::text from pg_constraint f join pg_class r on r.oid = f.confrelid
        where f.conrelid = c.oid and f.contype = 'f' and r.oid <> c.oid) as references,
      row_security_active(c.oid) and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'backup'
        and exists (select from unnest(p.polroles) as allowed(role) where pg_has_role(allowed.role, 'usage'))) as "isLimited"
    from pg_class c where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relpersistence = 'p'
      and c.relname not in ('schema_migrations', 'schema_access') order by c.relname`)
  return inOrder(rows)
}

/** Each after those that it refers to. */
export function inOrder(all: readonly Table[]): readonly Table[] {
  const ordered: Table[] = []
  const isPlaced = (name: string) => ordered.some((table) => table.name === name)
  while (ordered.length < all.length) {
    const next = all.filter(({ name, references }) => !isPlaced(name) && references.every(isPlaced))
    if (next.length === 0)
      throw new Error('tables refer to one another in a circle, so none of them can be filled first')
    ordered.push(...next)
  }
  return ordered
}

/** Begins a transaction that sees every row as of now and changes nothing. */
export async function beginReading(client: pg.Client): Promise<void> {
  await client.query('begin isolation level repeatable read read only')
  // The program that reads the backup may pause.
  await client.query(`set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0;
    set local hitl.backup = 'on'; set local hitl.resealer = 'on'`)
  await setFormats(client)
}

/** Begins a transaction that fills an empty database. */
export async function beginFilling(client: pg.Client): Promise<void> {
  await client.query('begin')
  await client.query('set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0')
  await setFormats(client)
}

/** Of the text format: the same on every server, whatever its own settings. */
async function setFormats(client: pg.Client): Promise<void> {
  await client.query(`set local client_encoding = 'UTF8'; set local datestyle = 'ISO'; set local timezone = 'UTC';
    set local intervalstyle = 'postgres'; set local bytea_output = 'hex'; set local extra_float_digits = 1`)
}

const name = pg.escapeIdentifier

function target({ name: table, columns }: Pick<Table, 'name' | 'columns'>): string {
  return `${name(table)} (${columns.map(name).join(', ')})`
}

export function readRows(client: pg.Client, table: Table): AsyncIterable<readonly Buffer[]> {
  return copyOut(client, `copy ${target(table)} to stdout`)
}

/** Without row-level security, which keeps even their owner from copying into tables; nobody else sees them without it. */
export async function fillTable(client: pg.Client, table: Table, rows: AsyncIterable<Buffer>): Promise<number> {
  await client.query(`alter table ${name(table.name)} disable row level security`)
  const count = await copyIn(client, `copy ${target(table)} from stdin`, rows)
  await client.query(`alter table ${name(table.name)} enable row level security`)
  return count
}

export interface Facts {
  readonly era: number
  readonly createdAt: Date
}

export async function facts(client: pg.Client): Promise<Facts> {
  // The era is a column's default; a role that may only read may not call hitl_audit_era().
  const { rows } = await client.query<Facts>(`select now() as "createdAt",
    (select substring(pg_get_expr(d.adbin, d.adrelid) from '[0-9]+')::integer from pg_attrdef d join pg_attribute a
      on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = 'events'::regclass and a.attname = 'era') as era`)
  if (rows[0] === undefined) throw new Error('the database returned nothing')
  return rows[0]
}

export const dataKeys = (client: pg.Client) => sampleKeys(queryableOn(client))

/** How many tables, views and sequences there are. */
export async function relations(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(`select count(*)::integer as count from pg_class
    where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')`)
  return rows[0]?.count ?? 0
}

/**
 * Transaction numbers start over in another server, so what happens from now on belongs to a later era than all that was
 * restored (0008_audit.sql), even where the numbers of this server happen to be higher.
 */
export async function beginEra(client: pg.Client, era: number): Promise<void> {
  if (!Number.isSafeInteger(era) || era < 0) throw new Error('the era of a backup is a number')
  await client.query(`alter table events alter column era set default ${era}`)
}

/** The organizations that still have their own audit. */
export async function organizations(client: pg.Client): Promise<readonly string[]> {
  await client.query("set local hitl.worker = 'on'")
  const { rows } = await client.query<{ id: string }>(
    'select organization_id as id from organizations where cleared_at is null order by organization_id',
  )
  await client.query("set local hitl.worker = 'off'")
  return rows.map(({ id }) => id)
}

/** What follows touches the rows of this organization. */
export async function enter(client: pg.Client, organizationId: string): Promise<Queryable> {
  await client.query("select set_config('hitl.organization', $1, true)", [organizationId])
  return queryableOn(client)
}
