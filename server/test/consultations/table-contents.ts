import type { TestApp } from '../harness.ts'

/** When a key was last used is noted for every call, refused or not. */
const withoutUse = `to_jsonb(t) - 'last_used_at' - 'last_used_address'`

/** What counts calls and attempts, refused ones too. */
const counters = `('rate_limits', 'attempt_tallies')`

/**
 * Row count, newest change and a digest of every table: equal as long as nothing was written. Leaves out refusals, which the
 * audit records within a second.
 */
export async function tableContents(t: TestApp): Promise<Readonly<Record<string, unknown>>> {
  const tables = (await t.sql(
    `select table_name as name, exists (select from information_schema.columns c where c.table_schema = 'public'
       and c.table_name = t.table_name and c.column_name = 'updated_at') as dated
     from information_schema.tables t where table_schema = 'public' and table_type = 'BASE TABLE'
       and table_name not in ${counters} order by 1`,
  )) as readonly { name: string; dated: boolean }[]
  const contents = tables.map(
    ({
      name,
      dated,
    }) => `select '${name}' as name, count(*)::int as rows, ${dated ? 'max(updated_at)' : 'null'}::text as changed,
      md5(coalesce(string_agg((${withoutUse})::text, ',' order by (${withoutUse})::text), '')) as digest from ${name} t
      ${name === 'events' ? "where kind not in ('access.refused', 'credential.refused')" : ''}`,
  )
  const rows = await t.sql(contents.join(' union all '))
  return Object.fromEntries(rows.map(({ name, ...content }) => [String(name), content]))
}

/** The stored totals of lists per agent and state, and a count over the requests. */
export async function totalsAndCounts(t: TestApp): Promise<{ readonly totals: unknown; readonly counts: unknown }> {
  const totals = await t.sql(
    `select organization_id, agent_id, state, sum(total)::int as total from consultation_totals
     group by 1, 2, 3 having sum(total) <> 0 order by 1, 2, 3`,
  )
  const counts = await t.sql(
    `select organization_id, agent_id, state, count(*)::int as total from consultation_requests group by 1, 2, 3 order by 1, 2, 3`,
  )
  return { totals, counts }
}
