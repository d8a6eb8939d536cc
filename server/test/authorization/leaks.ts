import type { Reply, TestApp } from '../harness.ts'

/** Every row of an organization and of its people's accounts, in all tables that have such a column, as JSON. */
export async function rowsOf(t: TestApp, organizationId: string): Promise<string> {
  const tables = await t.sql(
    `select table_name as table, array_agg(column_name::text) as columns from information_schema.columns
     where table_schema = 'public' and table_name not like 'audit%'
       and (column_name in ('organization_id', 'account_id') or (table_name = 'accounts' and column_name = 'id'))
     group by 1 order by 1`,
  )
  const rows = await Promise.all(
    tables.map(async ({ table, columns }) => {
      const names = columns as readonly string[]
      const members = '(select account_id from users where organization_id = $1)'
      const which = names.includes('organization_id')
        ? 'organization_id = $1'
        : `${table === 'accounts' ? 'id' : 'account_id'} in ${members}`
      const found = await t.sql(`select to_jsonb(x)::text as row from ${String(table)} x where ${which} order by 1`, [
        organizationId,
      ])
      return `${String(table)}\n${found.map(({ row }) => row).join('\n')}`
    }),
  )
  return rows.join('\n')
}

const telling = [
  // Ids.
  /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g,
  // Addresses.
  /[\w.+-]+@[\w.-]+/g,
  // Bytes: hashes, keys, seeds.
  /(?<=\\\\x)[0-9a-f]{32,}/g,
]

/**
 * The ids, addresses, bytes and texts that only this organization's rows contain. `another` organization, created in the same
 * way, shows which values are not specific to it.
 */
export function secretsIn(rows: string, another: string): readonly string[] {
  const texts = rows.split('\n').flatMap((line) => (line.startsWith('{') ? textsOf(JSON.parse(line)) : []))
  const found = new Set([...telling.flatMap((pattern) => rows.match(pattern) ?? []), ...texts])
  return [...found].filter((one) => !another.includes(one))
}

const instant = /^\d{4}-\d\d-\d\dT/
/** Shorter values would turn up by chance. */
const shortest = 8

function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.length < shortest || instant.test(value) ? [] : [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : []
}

/** The secrets that a reply reveals in its body or a header, except those that the call itself named. */
export function leaksIn(reply: Reply, secrets: readonly string[], sent = ''): readonly string[] {
  const told = reply.text + JSON.stringify(reply.headers)
  return secrets.filter((secret) => told.includes(secret) && !sent.includes(secret))
}
