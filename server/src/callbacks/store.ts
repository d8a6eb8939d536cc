import type { Selectable } from 'kysely'
import type { Queryable, Statement } from '../platform/database/db.ts'
import { sql } from '../platform/database/db.ts'
import type { Schema } from '../platform/database/schema.gen.ts'
import type { Limits } from './targets.ts'

/** A callback that this process holds by lease and is to deliver now. */
export interface Lease {
  readonly organizationId: string
  readonly id: string
  readonly consultationId: string
  readonly url: string
  readonly target: string
  readonly secret: Buffer | null
  readonly body: string
  readonly retrySeconds: readonly number[]
  /** Attempts made before, in all and in this round of the retry schedule. */
  readonly attempts: number
  readonly tries: number
  /** Fences the result: a lease that another worker took over since settles nothing. */
  readonly leaseToken: string
}

export interface NewCallback extends Omit<Lease, 'leaseToken' | 'attempts' | 'tries'> {
  readonly event: string
  readonly dueAt: Date
  /** Set when the process that writes it is going to send it. */
  readonly leaseToken: string | null
  readonly createdAt: Date
}

const enqueueStatement: Statement = {
  name: 'callbacks_enqueue',
  text: `
    insert into callback_outbox (organization_id, id, consultation_id, event, url, target, secret, body, retry_seconds,
      due_at, lease_token, created_at, updated_at)
    select organization_id, id, consultation_id, event, url, target, decode(secret, 'base64'), body, retry_seconds,
      due_at, lease_token, created_at, created_at
    from json_to_recordset($1) as given(organization_id uuid, id uuid, consultation_id uuid, event text, url text,
      target text, secret text, body text, retry_seconds integer[], due_at timestamptz, lease_token uuid,
      created_at timestamptz)`,
}

export async function enqueue(tx: Queryable, callbacks: readonly NewCallback[]): Promise<void> {
  const rows = callbacks.map((callback) => ({
    organization_id: callback.organizationId,
    id: callback.id,
    consultation_id: callback.consultationId,
    event: callback.event,
    url: callback.url,
    target: callback.target,
    secret: callback.secret?.toString('base64') ?? null,
    body: callback.body,
    retry_seconds: callback.retrySeconds,
    due_at: callback.dueAt,
    lease_token: callback.leaseToken,
    created_at: callback.createdAt,
  }))
  await tx.execute(enqueueStatement, [JSON.stringify(rows)])
}

const rearmStatement: Statement = {
  name: 'callbacks_rearm',
  text: `
    update callback_outbox o set status = 'pending', tries = 0, due_at = $3, lease_token = null, updated_at = $3
    where o.organization_id = any($1::uuid[]) and o.status <> 'pending' and o.id = any(array(
      select d.callback_id from unnest($1::uuid[], $2::uuid[]) as wanted(organization_id, consultation_id)
      cross join lateral (select d.callback_id from webhook_deliveries d
        where d.organization_id = wanted.organization_id and d.consultation_id = wanted.consultation_id offset 0) d))`,
}

/** Makes the settled callbacks of these consultations due again; they are found by their attempts, of which each has one. */
export async function rearm(
  tx: Queryable,
  consultations: readonly { readonly organizationId: string; readonly id: string }[],
  now: Date,
): Promise<void> {
  const organizationIds = consultations.map(({ organizationId }) => organizationId)
  await tx.execute(rearmStatement, [organizationIds, consultations.map(({ id }) => id), now])
}

/**
 * Takes due callbacks by lease, at most $3 per receiver, $7 per organization and $4 in all; $5 and $8 hold lower limits of
 * single receivers and organizations. Steps from organization to organization and from receiver to receiver through the
 * index ("loose scans"), so a dead receiver's long backlog is one step, not a wall. It begins behind the organization $6 and
 * comes round to it last: with a fixed order, the first one's backlog would be everybody else's wall.
 */
export const claimStatement: Statement = {
  name: 'callbacks_claim',
  text: `
    with recursive ahead as (
      (select organization_id from callback_outbox where due_at is not null and organization_id > $6
       order by organization_id, target limit 1)
      union all
      select next.organization_id from ahead cross join lateral (
        select o.organization_id from callback_outbox o
        where o.due_at is not null and o.organization_id > ahead.organization_id
        order by o.organization_id, o.target limit 1) next
    ), behind as (
      (select organization_id from callback_outbox where due_at is not null and organization_id <= $6
       order by organization_id, target limit 1)
      union all
      select next.organization_id from behind cross join lateral (
        select o.organization_id from callback_outbox o
        where o.due_at is not null and o.organization_id > behind.organization_id and o.organization_id <= $6
        order by o.organization_id, o.target limit 1) next
    ), due as (
      select one.organization_id, one.id from (table ahead union all table behind) organizations cross join lateral (
        with recursive receivers as (
          (select o.target from callback_outbox o
           where o.due_at is not null and o.organization_id = organizations.organization_id
           order by o.target limit 1)
          union all
          select next.target from receivers cross join lateral (
            select o.target from callback_outbox o
            where o.due_at is not null and o.organization_id = organizations.organization_id
              and o.target > receivers.target
            order by o.target limit 1) next
        )
        select o.organization_id, o.id from receivers cross join lateral (
          select o.organization_id, o.id from callback_outbox o
          where o.organization_id = organizations.organization_id and o.target = receivers.target and o.due_at <= $1
          order by o.due_at
          limit least($3, ($5::jsonb ->> (organizations.organization_id || ' ' || receivers.target))::integer)
          for update skip locked) o
        limit least($7, ($8::jsonb ->> organizations.organization_id::text)::integer)) one
      limit $4
    )
    update callback_outbox o set due_at = $2, lease_token = gen_random_uuid(), updated_at = $1
    from due where o.organization_id = due.organization_id and o.id = due.id
    returning o.organization_id, o.id, o.consultation_id, o.url, o.target, o.secret, o.body, o.retry_seconds,
      o.attempts, o.tries, o.lease_token`,
}

interface LeaseRow {
  organization_id: string
  id: string
  consultation_id: string
  url: string
  target: string
  secret: Buffer | null
  body: string
  retry_seconds: number[]
  attempts: number
  tries: number
  lease_token: string
}

export async function claim(
  db: Queryable,
  wanted: {
    readonly now: Date
    readonly leaseUntil: Date
    readonly perReceiver: number
    readonly perOrganization: number
    readonly total: number
    readonly limits: Limits
    /** The organization whose turn was last. */
    readonly after: string
  },
): Promise<readonly Lease[]> {
  const { now, leaseUntil, perReceiver, perOrganization, total, limits, after } = wanted
  const rows = await db.execute<LeaseRow>(claimStatement, [
    now,
    leaseUntil,
    perReceiver,
    total,
    JSON.stringify(limits.receivers),
    after,
    Math.min(perOrganization, limits.perOrganization),
    JSON.stringify(limits.organizations),
  ])
  return rows.map((row) => ({
    organizationId: row.organization_id,
    id: row.id,
    consultationId: row.consultation_id,
    url: row.url,
    target: row.target,
    secret: row.secret,
    body: row.body,
    retrySeconds: row.retry_seconds,
    attempts: row.attempts,
    tries: row.tries,
    leaseToken: row.lease_token,
  }))
}

const moveLeasesStatement: Statement = {
  name: 'callbacks_move_leases',
  text: `
    with held as (
      select o.organization_id, o.id
      from json_to_recordset($1) as given(organization_id uuid, id uuid, lease_token uuid)
      join callback_outbox o using (organization_id, id, lease_token)
      for update of o skip locked
    )
    update callback_outbox o set due_at = $2 from held where o.organization_id = held.organization_id and o.id = held.id`,
}

/**
 * Keeps leases (`until` ahead) or gives them back (`until` now), where they are still ours. A locked row is being settled
 * or taken over and needs neither; waiting for it, in another order than the settling of a batch, would be a deadlock.
 */
export async function moveLeases(db: Queryable, leases: readonly Lease[], until: Date): Promise<void> {
  const held = leases.map((lease) => ({
    organization_id: lease.organizationId,
    id: lease.id,
    lease_token: lease.leaseToken,
  }))
  await db.execute(moveLeasesStatement, [JSON.stringify(held), until])
}

/** One attempt and what it means for its callback. */
export interface Attempt {
  readonly lease: Lease
  readonly id: string
  readonly startedAt: Date
  readonly endedAt: Date
  readonly durationMs: number
  readonly statusCode: number | null
  readonly reply: string
  readonly errorCode: string | null
  readonly error: string | null
  readonly status: 'pending' | 'sent' | 'failed'
  readonly dueAt: Date | null
}

const settleStatement: Statement = {
  name: 'callbacks_settle',
  text: `
    with attempt as (
      select * from json_to_recordset($1) as attempt(organization_id uuid, callback_id uuid, consultation_id uuid,
        lease_token uuid, id uuid, attempt integer, tries integer, url text, succeeded boolean, status_code integer,
        duration_ms integer, reply text, error_code text, error text, started_at timestamptz, ended_at timestamptz,
        status text, due_at timestamptz)
    ), logged as (
      insert into webhook_deliveries (organization_id, id, callback_id, consultation_id, attempt, url, succeeded,
        status_code, duration_ms, reply, error_code, error, started_at, created_at)
      select organization_id, id, callback_id, consultation_id, attempt, url, succeeded, status_code, duration_ms, reply,
        error_code, error, started_at, ended_at from attempt
      -- There already: told again, because the connection was lost together with the commit's answer.
      on conflict (organization_id, id) do nothing
    )
    update callback_outbox o set status = attempt.status, due_at = attempt.due_at, attempts = attempt.attempt,
      tries = attempt.tries, lease_token = null, updated_at = attempt.ended_at
    from attempt
    where o.organization_id = attempt.organization_id and o.id = attempt.callback_id
      and o.lease_token = attempt.lease_token
    returning attempt.id`,
}

/** Logs every attempt, and settles those whose lease still holds; answers the ids of the latter. */
export async function settle(tx: Queryable, attempts: readonly Attempt[]): Promise<ReadonlySet<string>> {
  const rows = attempts.map((attempt) => ({
    organization_id: attempt.lease.organizationId,
    callback_id: attempt.lease.id,
    consultation_id: attempt.lease.consultationId,
    lease_token: attempt.lease.leaseToken,
    id: attempt.id,
    attempt: attempt.lease.attempts + 1,
    tries: attempt.lease.tries + 1,
    url: attempt.lease.url,
    succeeded: attempt.status === 'sent',
    status_code: attempt.statusCode,
    duration_ms: attempt.durationMs,
    reply: attempt.reply,
    error_code: attempt.errorCode,
    error: attempt.error,
    started_at: attempt.startedAt,
    ended_at: attempt.endedAt,
    status: attempt.status,
    due_at: attempt.dueAt,
  }))
  const settled = await tx.execute<{ id: string }>(settleStatement, [JSON.stringify(rows)])
  return new Set(settled.map((row) => row.id))
}

const notifyStatement: Statement = { name: 'callbacks_notify', text: `select pg_notify($1, '')` }

/** The channel on which a process without a worker of its own hints that there is something to deliver. */
export const channel = 'hitl_callbacks'

export async function hint(tx: Queryable): Promise<void> {
  await tx.execute(notifyStatement, [channel])
}

export type Delivery = Selectable<Schema['webhook_deliveries']>

/** The attempts of one consultation's callbacks, newest first; at most the latest 1 000. */
export function deliveries(
  db: Queryable,
  organizationId: string,
  consultationId: string,
): Promise<readonly Delivery[]> {
  return db.run(
    sql
      .selectFrom('webhook_deliveries')
      .selectAll()
      .where('organization_id', '=', organizationId)
      .where('consultation_id', '=', consultationId)
      .orderBy('id', 'desc')
      .limit(1_000),
  )
}
