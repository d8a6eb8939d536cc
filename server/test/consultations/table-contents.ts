import type { callbackStatuses, State } from '../../src/consultations/consultation.ts'
import type { TestApp } from '../harness.ts'

type CallbackStatus = (typeof callbackStatuses)[number]

/** What counts calls and attempts, refused ones too. */
const counters = `('rate_limits', 'attempt_tallies')`

/** The statement that reads the tables of a database, made once for each. */
const statements = new WeakMap<TestApp, string>()

async function statementFor(t: TestApp): Promise<string> {
  const tables = (await t.sql(
    `select t.table_name as name, array_agg(c.column_name::text) as columns
     from information_schema.tables t join information_schema.columns c using (table_schema, table_name)
     where table_schema = 'public' and table_type = 'BASE TABLE' and t.table_name not in ${counters}
     group by 1 order by 1`,
  )) as readonly { name: string; columns: readonly string[] }[]
  const contents = tables.map(({ name, columns }) => {
    const changed = columns.includes('updated_at') ? 'max(updated_at)' : 'null'
    // When a key was last used is noted for every call, refused or not.
    const row = columns.includes('last_used_at') ? `to_jsonb(t) - 'last_used_at' - 'last_used_address'` : 't'
    const refusals = name === 'events' ? "where kind not in ('access.refused', 'credential.refused')" : ''
    return `select '${name}' as name, count(*)::int as rows, ${changed}::text as changed,
      sum(hashtextextended((${row})::text, 0))::text as digest from ${name} t ${refusals}`
  })
  return contents.join(' union all ')
}

/**
 * Row count, newest change and a digest of every table: equal as long as nothing was written. Leaves out refusals, which the
 * audit records within a second.
 */
export async function tableContents(t: TestApp): Promise<Readonly<Record<string, unknown>>> {
  const statement = statements.get(t) ?? (await statementFor(t))
  statements.set(t, statement)
  return Object.fromEntries((await t.sql(statement)).map(({ name, ...content }) => [String(name), content]))
}

/** Every request in the state that it shows, with how its callback fares. */
export const requestsAsShown = `(
  select c.*, case when c.state = 'responded' and o.settled is not null then 'callback_' || o.settled else c.state end as shown,
    o.attempts as callback_attempts, o.sent_at as callback_sent_at
  from consultation_requests c left join deliveries o on o.organization_id = c.organization_id and o.id = c.callback_id) requests`

/** Puts a request into a state, with a callback of this status, behind the service's back. */
export async function putInto(t: TestApp, id: string, state: State, status: CallbackStatus): Promise<void> {
  const settled = state === 'callback_sent' ? 'sent' : state === 'callback_failed' ? 'failed' : null
  const stored = settled === null ? state : 'responded'
  await t.sql(
    `update consultation_requests set state = $2, outcome_status = case when $2 = 'completed' then 'executed' end,
       outcome_at = case when $2 = 'completed' then updated_at end where id = $1`,
    [id, stored],
  )
  if (status === 'none' && settled === null) return
  const left = status === 'none' ? settled : status === 'delivering' ? 'pending' : status
  await t.sql(
    `with owed as (
       insert into deliveries (organization_id, id, channel, subject_id, event, settled, address, target, body, body_bytes,
         retry_seconds, recovery_seconds, status, due_at, round_attempts, created_at, updated_at)
       select organization_id, gen_random_uuid(), 'callback', id, 'request.responded', $2, 'http://x/', 'http://x', '', 0,
         '{}', '{}', $3, case when $3 = 'pending' then '2900-01-01'::timestamptz end, $4, updated_at, updated_at
       from consultation_requests where id = $1 returning id, subject_id)
     update consultation_requests c set callback_id = owed.id from owed where c.id = owed.subject_id`,
    [id, settled, left, status === 'delivering' ? 1 : 0],
  )
}

/** The stored totals of lists per agent and state, and a count over the requests. */
export async function totalsAndCounts(t: TestApp): Promise<{ readonly totals: unknown; readonly counts: unknown }> {
  const totals = await t.sql(
    `select organization_id, agent_id, state, sum(total)::int as total from consultation_totals
     group by 1, 2, 3 having sum(total) <> 0 order by 1, 2, 3`,
  )
  const counts = await t.sql(
    `select organization_id, agent_id, shown as state, count(*)::int as total from ${requestsAsShown}
     group by 1, 2, 3 order by 1, 2, 3`,
  )
  return { totals, counts }
}
