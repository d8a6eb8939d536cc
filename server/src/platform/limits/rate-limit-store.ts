import { createBatcher } from '../batch.ts'
import type { Db, Statement } from '../database/db.ts'
import { provesRollback } from '../database/errors.ts'
import type { Lease, LeaseRequest } from './rate-limit.ts'

/**
 * Takes portions for many callers in one round trip, in the order of the keys, so that two processes that want the same rows
 * cannot deadlock. A window begins with the first call after the last one ended.
 */
const takePortions: Statement = {
  name: 'rate_limit_take',
  text: `
with asked as materialized (
  select key, calls, seconds, demand, spare
  from unnest($1::bytea[], $2::int[], $3::int[], $4::int[], $5::int[]) as a (key, calls, seconds, demand, spare)
)
insert into rate_limits as kept (key, ends_at, taken, granted)
  select key, clock_timestamp() + make_interval(secs => seconds), first, first
  from (select *, least(calls, greatest(demand, least(spare, calls / 16))) as first from asked) as new
  order by key
on conflict (key) do update set (ends_at, taken, granted) = (
  select
    case when ended then excluded.ends_at else kept.ends_at end,
    case when ended then excluded.taken else kept.taken + more end,
    case when ended then excluded.granted else more end
  from (
    select kept.ends_at <= clock_timestamp() as ended,
      greatest(0, least(a.calls - kept.taken, greatest(a.demand, least(a.spare, (a.calls - kept.taken) / 16)))) as more
    from asked as a where a.key = kept.key
  ) as decided
)
returning encode(key, 'hex') as key, granted, taken, extract(epoch from ends_at)::float8 as window,
  (extract(epoch from ends_at - clock_timestamp()) * 1000)::float8 as "endsInMs"`,
}

/** Deletes up to a thousand windows that ended a while ago; a process does it once a minute. */
export const forgetEnded: Statement = {
  name: 'rate_limit_forget',
  text: `delete from rate_limits where key = any (array(
    select key from rate_limits where ends_at < now() - interval '1 minute'
    order by ends_at limit 1000 for update skip locked))
    returning 1`,
}

const forgetEveryMs = 60_000

/** The rows that processes share. Concurrent requests share a statement, so a flood takes one connection. */
export function createRateLimitStore(db: Db) {
  let forgotAt = performance.now()

  const forget = async (): Promise<void> => {
    for (let more = true; more; ) more = (await db.within({}).execute(forgetEnded, [])).length === 1_000
  }

  const lease = createBatcher<LeaseRequest, Lease>({
    concurrency: 1,
    maxSize: 256,
    rolledBack: provesRollback,
    perform: async (requests) => {
      const rows = await db
        .within({})
        .execute<Omit<Lease, 'remaining'> & { key: string; taken: number }>(takePortions, [
          requests.map(({ key }) => key),
          requests.map(({ limit }) => limit.calls),
          requests.map(({ limit }) => limit.seconds),
          requests.map(({ demand }) => demand),
          requests.map(({ spare }) => spare),
        ])
      if (performance.now() - forgotAt > forgetEveryMs) {
        forgotAt = performance.now()
        // Not awaited; whatever it leaves is found the next time.
        forget().catch(() => {})
      }
      const byKey = new Map(rows.map((row) => [row.key, row]))
      return requests.map(({ key, limit }) => {
        const row = byKey.get(key.toString('hex'))
        if (row === undefined) return { error: new Error('the rate limit has no row for this key') }
        return { value: { ...row, remaining: Math.max(0, limit.calls - row.taken) } }
      })
    },
  })
  return { lease }
}
