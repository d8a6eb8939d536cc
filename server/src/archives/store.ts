import type { Queryable } from '../platform/database/db.ts'
import { archived, archivedOfAccount, digests, secrets } from './archive.ts'

/** A table as the database describes it: no list of columns can be out of date. */
export interface Described {
  readonly name: string
  readonly columns: readonly string[]
  /** Its primary key without organization_id, with types. */
  readonly key: readonly { readonly name: string; readonly type: string }[]
}

interface ColumnRow {
  table_name: string
  column_name: string
  type: string
  place: number | null
}

const columnsStatement = {
  name: 'archive_columns',
  text: `select c.relname as table_name, a.attname as column_name, format_type(a.atttypid, null) as type,
      array_position(i.indkey::int2[], a.attnum) as place
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_index i on i.indrelid = c.oid and i.indisprimary
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname = any($1::text[])
    order by c.relname, a.attnum`,
}

/** The tables of archives, with the columns that an archive shows. */
export async function describe(db: Queryable): Promise<ReadonlyMap<string, Described>> {
  const names = [...Object.keys(archived), ...Object.keys(archivedOfAccount)]
  const rows = await db.execute<ColumnRow>(columnsStatement, [names])
  const tables = Map.groupBy(rows, (row) => row.table_name)
  return new Map(
    [...tables].map(([name, columns]) => [
      name,
      {
        name,
        columns: columns
          .filter(
            ({ column_name, type }) => !secrets.has(column_name) && (type !== 'bytea' || digests.has(column_name)),
          )
          .map(({ column_name }) => column_name),
        key: columns
          .filter(({ column_name, place }) => place !== null && column_name !== 'organization_id')
          .sort((a, b) => (a.place ?? 0) - (b.place ?? 0))
          .map(({ column_name, type }) => ({ name: column_name, type })),
      },
    ]),
  )
}

export interface ArchivePage {
  /** JSON, a row to a line; empty where the page looked at rows of others only. */
  readonly lines: string
  readonly rows: number
  /** Where the next page begins; null at the end. */
  readonly next: readonly string[] | null
}

interface PageRow {
  looked_at: number
  last: readonly string[] | null
  rows: number
  lines: string | null
}

const quoted = (name: string): string => `"${name}"`

/**
 * The next rows of a table in the order of its key; of one person's, those among the next `atMost` rows of everybody. No person's
 * column has an index that is for this alone, and the statement stays a short one.
 */
export async function page(
  db: Queryable,
  { name, columns, key }: Described,
  organizationId: string,
  personId: string | null,
  after: readonly string[] | null,
  atMost: number,
): Promise<ArchivePage> {
  const { ofPerson = [], onlyTheirs } = archived[name] ?? {}
  const values: unknown[] = [organizationId, atMost, ...(personId === null ? [] : [personId])]
  const keys = ['organization_id', ...key.map((part) => part.name)].map(quoted)
  const behind = after === null ? [] : key.map(({ type }, at) => `$${values.push(after[at])}::text::${type}`)
  const own = personId === null ? [] : ofPerson.map(quoted)
  const shown = columns.map((column) =>
    personId !== null && column === onlyTheirs?.column
      ? `case when t.${quoted(onlyTheirs.by)} = $3 then t.${quoted(column)} end as ${quoted(column)}`
      : `t.${quoted(column)}`,
  )
  const ownKeys = keys.slice(1).join(', ')
  const text = `
    with looked as materialized (
      select ${[...new Set([...keys, ...own])].join(', ')} from ${quoted(name)}
      where organization_id = $1${behind.length === 0 ? '' : ` and (${ownKeys}) > (${behind.join(', ')})`}
      order by ${keys.join(', ')} limit $2
    ), told as (
      select row_to_json(shown.*)::text as line from looked cross join lateral (
        select ${shown.join(', ')} from ${quoted(name)} t
        where ${keys.map((column) => `t.${column} = looked.${column}`).join(' and ')} offset 0) shown
      ${own.length === 0 ? '' : `where ${own.map((column) => `looked.${column} = $3`).join(' or ')}`}
    )
    select (select count(*) from looked)::int as looked_at, count(*)::int as rows, string_agg(line, chr(10)) as lines,
      (select array[${keys
        .slice(1)
        .map((column) => `${column}::text`)
        .join(', ')}]::text[] from looked
        order by ${keys.map((column) => `${column} desc`).join(', ')} limit 1) as last from told`
  const statement = `archive_page_${name}_${after === null ? 'first' : 'next'}_${personId === null ? 'all' : 'own'}`
  const [row] = await db.execute<PageRow>({ name: statement, text }, values)
  if (row === undefined) throw new Error('a page of an archive has one row')
  const isLast = row.looked_at < atMost || key.length === 0
  return { lines: row.lines ?? '', rows: row.rows, next: isLast ? null : row.last }
}

/** What is kept of an account: a handful of rows, and the sessions of a month. */
export async function ofAccount(
  db: Queryable,
  { name, columns }: Described,
  column: string,
  accountId: string,
): Promise<Pick<ArchivePage, 'lines' | 'rows'>> {
  const [row] = await db.execute<PageRow>(
    {
      name: `archive_account_${name}`,
      text: `select count(*)::int as rows, string_agg(line, chr(10)) as lines from (
        select row_to_json(shown.*)::text as line from (
          select ${columns.map((shown) => `t.${quoted(shown)}`).join(', ')} from ${quoted(name)} t
          where t.${quoted(column)} = $1 limit 10000) shown) told`,
    },
    [accountId],
  )
  return { lines: row?.lines ?? '', rows: row?.rows ?? 0 }
}
