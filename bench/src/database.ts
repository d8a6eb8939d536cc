import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import type { Connection } from './plan.ts'
import { sampleContext } from './sample.ts'

/** How to reach the PostgreSQL that the service started on `dataDir`, as the service's own role. */
export async function findDatabase(
  dataDir: string,
): Promise<{ readonly connection: Connection; readonly pid: number }> {
  const directory = join(dataDir, 'postgres')
  const password = (await readFile(join(dataDir, 'postgres-password'), 'utf8')).trim()
  // Lines: pid, data folder, start time, port, first socket folder (may be relative to the data folder), first address.
  const lines = (await readFile(join(directory, 'postmaster.pid'), 'utf8')).split('\n')
  const [pid = '', , , port = '', folder = '', address = ''] = lines
  const host = folder === '.' ? directory : folder || address
  return { connection: { host, port: Number(port), user: 'hitl', password, database: 'hitl' }, pid: Number(pid) }
}

export async function withClient<T>(connection: Connection, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ ...connection, application_name: 'bench' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** The key that the service prints: that of the first of its sample agents. */
const sampleKey = `(select k.* from api_keys k join agents a on a.organization_id = k.organization_id and a.id = k.agent_id
         where a.name = 'release-agent' limit 1)`

/**
 * Fills the tables as a day of creates would have: pending requests of the sample key without a callback, one every 0.4 s,
 * each with its digest, its event, and the totals. `uuidv7(interval)` needs PostgreSQL 18, the version of the embedded one.
 */
export async function loadRequests(connection: Connection, count: number): Promise<void> {
  // As superuser, to skip checking the foreign keys of each row, and for the checkpoint.
  await withClient({ ...connection, user: 'postgres' }, async (client) => {
    await client.query('begin')
    await client.query('set local session_replication_role = replica')
    await client.query(
      `insert into consultation_requests (organization_id, id, agent_id, api_key_id, title, context, metadata, state, timeout_at,
         next_action_at, digest, created_at, updated_at)
       select k.organization_id, uuidv7(age), k.agent_id, k.id, 'Loaded request ' || n, $1::text::json,
         json_build_object('run', 'loaded', 'n', n), 'pending', now() + interval '7 days', now() + interval '7 days',
         sha256(convert_to('{"context":' || $1::text || ',"description":null,"title":"Loaded request ' || n || '"}', 'UTF8')),
         now() + age, now() + age
       from generate_series(1, $2::int) n, make_interval(secs => (n - $2 - 1) * 0.4) age, 
         ${sampleKey} k order by n`,
      [sampleContext, count],
    )
    await client.query(
      `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, record)
       select organization_id, event_id, 'request.created', 'request', id, 'agent', agent_id, created_at,
         format('{"actor":{"id":"%1$s","key_id":"%7$s","kind":"agent","session_id":null,"signed_in_with":null},"after":'
           '{"state":"pending"},"before":null,"digest":null,"erasable_sha256":null,"http_request_id":"%2$s","id":"%3$s",'
           '"kind":"request.created","occurred_at":"%4$s","organization_id":"%5$s","subject":{"id":"%6$s",'
           '"kind":"request"},"v":1}', agent_id, gen_random_uuid(), event_id,
           to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), organization_id, id, api_key_id)
       from (select *, uuidv7(created_at - now()) as event_id from consultation_requests
         where title like 'Loaded request %' order by id) loaded`,
    )
    await client.query(
      `insert into consultation_totals select organization_id, agent_id, 'pending', 0, $1 from ${sampleKey} k
       on conflict (organization_id, agent_id, state, slot) do update set total = consultation_totals.total + $1`,
      [count],
    )
    await client.query('commit')
    await client.query('vacuum analyze consultation_requests, events, consultation_totals')
    // Otherwise PostgreSQL would write the loaded pages during the measurements.
    await client.query('checkpoint')
  })
}

/** The ids of the loaded requests, newest first. */
export async function loadedIds(connection: Connection): Promise<readonly string[]> {
  const query = "select id from consultation_requests where title like 'Loaded request %' order by id desc"
  // As superuser, because row-level security hides the rows of every organization from the owner too.
  return withClient({ ...connection, user: 'postgres' }, async (client) => {
    const { rows } = await client.query<[string]>({ text: query, rowMode: 'array' })
    return rows.map(([id]) => id)
  })
}

export async function countRequests(connection: Connection): Promise<number> {
  return withClient({ ...connection, user: 'postgres' }, async (client) => {
    const { rows } = await client.query<{ count: string }>('select count(*) from consultation_requests')
    return Number(rows[0]?.count)
  })
}

/** The server's version and its settings for durable commits, as it reports them. */
export async function describeDatabase(connection: Connection): Promise<string> {
  return withClient(connection, async (client) => {
    const setting = async (name: string): Promise<string> =>
      String((await client.query<[string]>({ text: `show ${name}`, rowMode: 'array' })).rows[0]?.[0])
    const durability = `fsync ${await setting('fsync')}, synchronous_commit ${await setting('synchronous_commit')}`
    return `PostgreSQL ${await setting('server_version')} (embedded; ${durability})`
  })
}
