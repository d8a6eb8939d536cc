import type { Queryable, Statement } from '../../platform/database/db.ts'
import { forgetAfterMs, knownForMs, type Tally } from './throttle.ts'

/**
 * A transaction that decides about a tally holds its lock until the commit, in any process. The locks are on keys and not on
 * rows, because most tallies have no row yet. They are taken in order, so that two transactions cannot block each other.
 */
const lockTallies: Statement = {
  name: 'attempt_tallies_lock',
  text: 'select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as key',
}

const readTallies: Statement = {
  name: 'attempt_tallies_read',
  text: `select encode(key, 'hex') as key, failures, failed_at, not_before, known_at
    from attempt_tallies where key = any($1::bytea[])`,
}

const saveTallies: Statement = {
  name: 'attempt_tallies_save',
  text: `insert into attempt_tallies (key, failures, failed_at, not_before, known_at, forget_at)
    select * from unnest($1::bytea[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
    on conflict (key) do update set failures = excluded.failures, failed_at = excluded.failed_at,
      not_before = excluded.not_before, known_at = excluded.known_at, forget_at = excluded.forget_at`,
}

const forgetTallies: Statement = {
  name: 'attempt_tallies_forget',
  text: `delete from attempt_tallies where key = any (array(
    select key from attempt_tallies where forget_at < $1 order by forget_at limit 1000 for update skip locked))
    returning 1`,
}

interface Row {
  readonly key: string
  readonly failures: number
  readonly failed_at: Date
  readonly not_before: Date | null
  readonly known_at: Date | null
}

/** The tallies of these keys (in hexadecimal), locked until the transaction ends; those without a row are left out. */
export async function lockedTallies(tx: Queryable, keys: readonly string[]): Promise<Map<string, Tally>> {
  const bytes = keys.map((key) => Buffer.from(key, 'hex'))
  const locks = bytes.map((key) => key.readBigInt64BE(0)).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const locked = tx.execute(lockTallies, [locks.map(String)])
  // A statement of its own: it sees what the one who had the locks before has committed.
  const [, rows] = await Promise.all([locked, tx.execute<Row>(readTallies, [bytes])])
  return new Map(
    rows.map((row) => [
      row.key,
      {
        failures: row.failures,
        failedAt: row.failed_at.getTime(),
        notBefore: row.not_before?.getTime() ?? null,
        knownAt: row.known_at?.getTime() ?? null,
      },
    ]),
  )
}

export async function save(tx: Queryable, tallies: ReadonlyMap<string, Tally>): Promise<void> {
  const entries = [...tallies]
  const times = (of: (tally: Tally) => number | null) =>
    entries.map(([, tally]) => {
      const at = of(tally)
      return at === null ? null : new Date(at)
    })
  await tx.execute(saveTallies, [
    entries.map(([key]) => Buffer.from(key, 'hex')),
    entries.map(([, tally]) => tally.failures),
    times((tally) => tally.failedAt),
    times((tally) => tally.notBefore),
    times((tally) => tally.knownAt),
    times((tally) =>
      Math.max(tally.failedAt + forgetAfterMs, (tally.knownAt ?? 0) + knownForMs * Number(tally.knownAt !== null)),
    ),
  ])
}

/** Deletes up to a thousand rows that no longer matter; returns whether there may be more. */
export async function forget(db: Queryable, now: Date): Promise<boolean> {
  return (await db.execute(forgetTallies, [now])).length === 1_000
}
