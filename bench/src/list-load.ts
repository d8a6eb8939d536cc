import { withClient } from './database.ts'
import type { Connection } from './plan.ts'
import { sampleContext } from './sample.ts'

/** Requests of one organization as a year of three agents leaves them, and what the lists of it are asked for. */

const everySeconds = 30

export interface Loaded {
  /** A tenth, a half of all are older than these. */
  readonly early: Date
  readonly middle: Date
  /** Half of those that are pending time out before. */
  readonly middleDue: Date
  /** One of those that asked. */
  readonly agent: string
}

/**
 * Of all requests 2 of 100 are pending, 60 answered (40 of these with a callback that arrived, 1 with one that failed), 20
 * timed out, 8 withdrawn and 10 carried out; 1 of 100 urgent, 5 of high priority, 10 of low; 1 of 200 of critical risk, 3 of
 * 100 of high. The figures that decide these have no common divisor with each other, so that every combination occurs.
 */
const requests = `insert into consultation_requests (organization_id, id, agent_id, api_key_id, title, context, metadata, digest,
    state, timeout_at, next_action_at, decision, responder_id, decided_by, certificate, certificate_expires_at, callback_id,
    outcome_at, outcome_status, priority, risk, risk_proposed, tags, run_id, created_at, updated_at)
  select k.organization_id, uuidv7(age), k.agent_id, k.id, 'Listed request ' || n, $2::text::json,
    json_build_object('n', n, 'customer', 'c-' || n % 997), sha256(n::text::bytea), s.state,
    case when s.state = 'pending' and n % 11 = 0 then null
      when s.state = 'pending' then now() + make_interval(mins => (n / 50) % 20000) else now() + age + interval '1 hour' end,
    case when s.state = 'pending' and n % 11 <> 0 then now() + make_interval(mins => 30 + (n / 50) % 20000) end,
    case when s.isDecided then 'approve' end, case when s.isDecided then u.id end, case when s.isDecided then 'human' end,
    case when s.isDecided then repeat(md5(n::text), 18) end, case when s.isDecided then now() + age + interval '1 day' end,
    case when s.state = 'responded' and n % 100 < 43 then uuidv7(age) end,
    case when s.state = 'completed' then now() + age end, case when s.state = 'completed' then 'executed' end,
    case when n % 101 = 7 then 'urgent' when n % 19 = 3 then 'high' when n % 10 = 4 then 'low' else 'normal' end,
    case when n % 199 = 9 then 'critical' when n % 31 = 1 then 'high' when n % 4 = 0 then 'low' else 'medium' end, 'low',
    case when n = 17 then array['rare'] when n % 7 = 5 then array['tag-' || n % 13, 'shop'] else '{}' end,
    case when n % 3 = 0 then 'run-' || n / 300 end, now() + age, now() + age
  from generate_series(1, $1::int) n
  cross join lateral make_interval(secs => (n - $1 - 1) * ${everySeconds}) age
  cross join lateral (select
    case when n % 100 < 2 then 'pending' when n % 100 < 62 then 'responded' when n % 100 < 82 then 'timeout'
      when n % 100 < 90 then 'cancelled' else 'completed' end as state, n % 100 between 2 and 61 or n % 100 >= 90 as isDecided) s
  cross join lateral (select array_agg(k order by k.id) as all, count(*)::int as count from api_keys k
    where k.organization_id = $3) keys
  cross join lateral (select (keys.all[1 + n % 29 % keys.count]).*) k
  cross join (select id from users where organization_id = $3 and email = $4) u order by n`

const deliveries = `insert into deliveries (organization_id, id, channel, subject_id, address, target, body, body_bytes,
    retry_seconds, recovery_seconds, status, attempts, failed_at, created_at, updated_at, event, settled, sent_at, changed_at)
  select organization_id, callback_id, 'callback', id, 'https://agent.example.com/hook', 'https://agent.example.com:443', '', 900,
    '{}', '{}', case when isFailed then 'failed' else 'sent' end, 1, case when isFailed then updated_at end, created_at, updated_at,
    'request.responded', case when isFailed then 'failed' else 'sent' end, case when not isFailed then updated_at end, updated_at
  from (select *, (metadata ->> 'n')::int % 100 = 42 as isFailed from consultation_requests
    where callback_id is not null and title like 'Listed request %') c`

const totals = `insert into consultation_totals
  select organization_id, agent_id, state, 0, count(*) from (select c.organization_id, c.agent_id, case
      when c.state = 'responded' and o.settled is not null then 'callback_' || o.settled else c.state end as state
    from consultation_requests c left join deliveries o on o.organization_id = c.organization_id and o.id = c.callback_id
    where c.title like 'Listed request %') c group by 1, 2, 3
  on conflict (organization_id, agent_id, state, slot) do update set total = consultation_totals.total + excluded.total`

/** The person of `email` put the newest ones aside, as many as one may: all of the first pages. */
const snoozes = `insert into request_snoozes (organization_id, user_id, request_id, until)
  select c.organization_id, u.id, c.id, now() + interval '30 days' from consultation_requests c
  join users u on u.organization_id = c.organization_id and u.email = $1
  where c.state = 'pending' order by c.id desc limit 1000 on conflict do nothing`

const times = `select now() - make_interval(secs => $1 * ${everySeconds} * 0.9) as early,
  now() - make_interval(secs => $1 * ${everySeconds} * 0.5) as middle,
  (select percentile_disc(0.5) within group (order by timeout_at) from consultation_requests where state = 'pending') as "middleDue",
  (select agent_id from consultation_requests order by id desc limit 1) as agent`

export async function loadLists(connection: Connection, count: number, email: string): Promise<Loaded> {
  // As superuser, to skip checking the foreign keys of each row, and for the checkpoint.
  return withClient({ ...connection, user: 'postgres' }, async (client) => {
    const owner = await client.query<{ id: string }>('select organization_id as id from users where email = $1', [
      email,
    ])
    // Building an index from a table takes a fraction of the time that a million entries one by one do.
    const { rows: indexes } = await client.query<{ name: string; definition: string }>(
      `select indexname as name, indexdef as definition from pg_indexes where schemaname = 'public' and indexdef not like '%UNIQUE%'
         and tablename in ('consultation_requests', 'deliveries')`,
    )
    await client.query('begin')
    await client.query('set local session_replication_role = replica')
    for (const { name } of indexes) await client.query(`drop index ${name}`)
    await client.query(requests, [count, sampleContext, owner.rows[0]?.id, email])
    await client.query(deliveries)
    for (const { definition } of indexes) await client.query(definition)
    await client.query(totals)
    await client.query(snoozes, [email])
    await client.query('commit')
    await client.query('vacuum analyze consultation_requests, deliveries, consultation_totals, request_snoozes')
    await client.query('checkpoint')
    const { rows } = await client.query<Loaded>(times, [count])
    if (rows[0] === undefined) throw new Error('nothing was loaded')
    return rows[0]
  })
}
