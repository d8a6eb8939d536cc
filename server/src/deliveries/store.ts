import type { Selectable } from 'kysely'
import type { Queryable, Statement } from '../platform/database/db.ts'
import { sql } from '../platform/database/db.ts'
import type { Schema } from '../platform/database/schema.gen.ts'
import type { Delivery, EndedAttempt, NewDelivery, Ordered, SettledAttempt, Subject } from './delivery.ts'
import { type Limits, type Receiver, unweighed } from './targets.ts'

/** A process whose clock is ahead must not hold up what another one is to send now. */
const enqueueStatement: Statement = {
  name: 'deliveries_enqueue',
  text: `
    insert into deliveries (organization_id, id, channel, subject_id, event, address, target, secret, body, traceparent, proof,
      body_bytes, retry_seconds, recovery_seconds, planned_at, changed_at, shown, due_at, lease_token, created_at,
      updated_at)
    select organization_id, id, channel, subject_id, event, address, target, secret, body, traceparent, proof, body_bytes,
      retry_seconds, recovery_seconds, created_at, changed_at, shown,
      case when lease_token is null then least(due_at, statement_timestamp()) else due_at end,
      lease_token, created_at, $2
    from json_populate_recordset(null::deliveries, $1)`,
}

/** As JSON holds bytes. */
const bytea = (bytes: Buffer | null): string | null => bytes && `\\x${bytes.toString('hex')}`

/** A delivery with a lease is sent by the process that adds it. */
export interface Due {
  readonly delivery: NewDelivery
  readonly dueAt: Date
  readonly leaseToken: string | null
}

export async function enqueue(tx: Queryable, due: readonly Due[], now: Date): Promise<void> {
  const rows = due.map(({ delivery, dueAt, leaseToken }) => ({
    organization_id: delivery.organizationId,
    id: delivery.id,
    channel: delivery.channel,
    subject_id: delivery.subjectId,
    event: delivery.event,
    changed_at: delivery.changedAt,
    shown: delivery.isShown,
    address: delivery.address,
    target: delivery.target,
    secret: bytea(delivery.secret),
    body: delivery.body,
    traceparent: delivery.traceparent,
    proof: bytea(delivery.proof),
    body_bytes: delivery.bodyBytes,
    retry_seconds: delivery.retrySeconds,
    recovery_seconds: delivery.recoverySeconds,
    created_at: delivery.createdAt,
    due_at: dueAt,
    lease_token: leaseToken,
  }))
  await tx.execute(enqueueStatement, [JSON.stringify(rows), now])
}

/** The latest attempts, which stay when a delivery is sent again on request. */
const attemptsKept = 100

const ofSubject = `a.organization_id = wanted.organization_id and a.channel = wanted.channel and a.subject_id = wanted.subject_id`

/** The settled and the failed deliveries about subjects: each has an attempt, unless it failed while it was held back. */
const idsOfSubjects = `
  select a.delivery_id from wanted cross join lateral (
    select a.delivery_id from delivery_attempts a where ${ofSubject} offset 0) a
  union
  select a.id from wanted cross join lateral (
    select a.id from deliveries a where ${ofSubject} and a.failed_at is not null offset 0) a`

const rearmStatement: Statement = {
  name: 'deliveries_rearm',
  text: `
    with wanted as materialized (
      select * from unnest($1::uuid[], $2::text[], $3::uuid[]) as wanted(organization_id, channel, subject_id)
    ), trimmed as (
      delete from delivery_attempts a
      where a.organization_id = any($1::uuid[]) and a.id = any(array(
        select old.id from wanted cross join lateral (
          select a.id from delivery_attempts a where ${ofSubject} order by a.id desc offset ${attemptsKept}) old))
    )
    update deliveries o set status = 'pending', round_attempts = 0, due_at = least($4, statement_timestamp()), lease_token = null, failed_at = null,
      not_before = null, planned_at = $4, updated_at = $4, changed_at = greatest($4, o.changed_at + interval '1 ms')
    where o.organization_id = any($1::uuid[]) and o.id = any($5::uuid[]) and (o.status <> 'pending' or o.failed_at is not null)
      and o.withdrawn_at is null
    returning o.organization_id as "organizationId", o.target`,
}

/** Makes these deliveries due again if they are settled or have failed, and returns their receivers. */
export function rearm(tx: Queryable, deliveries: readonly Ordered[], now: Date): Promise<readonly Receiver[]> {
  const organizationIds = deliveries.map(({ organizationId }) => organizationId)
  const channels = deliveries.map(({ channel }) => channel)
  return tx.execute<Receiver>(rearmStatement, [
    organizationIds,
    channels,
    deliveries.map(({ subjectId }) => subjectId),
    now,
    deliveries.map(({ id }) => id),
  ])
}

const withdrawStatement: Statement = {
  name: 'deliveries_withdraw',
  text: `
    with withdrawn as materialized (
      select $4::uuid as id where $4 is not null
      union
      select id from deliveries
      where organization_id = $1 and channel = $2 and subject_id = $3 and status = 'pending' and not shown
    )
    update deliveries o set shown = false, due_at = null, planned_at = null, lease_token = null,
      status = case when o.settled = 'sent' then 'sent' else 'failed' end,
      withdrawn_at = case when o.settled = 'sent' then null else $6::timestamptz end,
      -- Erasures find those that were never tried by it.
      failed_at = case when o.settled = 'sent' then null else coalesce(o.failed_at, $6) end,
      last_error = case when o.settled = 'sent' then o.last_error else $5 end,
      body_sha256 = case when o.body <> '' then sha256(convert_to(o.body, 'UTF8')) else o.body_sha256 end, body = '',
      updated_at = $6, changed_at = greatest($6, o.changed_at + interval '1 ms')
    where o.organization_id = $1 and o.id = any(array(select id from withdrawn))`,
}

/**
 * Ends those deliveries about a subject that its state does not show, and the one that it shows, `shownId`. What was received stays
 * so; an attempt under way settles nothing any more.
 */
export async function withdraw(
  tx: Queryable,
  { organizationId, channel, subjectId }: Subject,
  { shownId, reason, now }: { readonly shownId: string | null; readonly reason: string; readonly now: Date },
): Promise<void> {
  await tx.execute(withdrawStatement, [organizationId, channel, subjectId, shownId, reason, now])
}

/** A delivery as it is claimed. */
const claimed = `o.organization_id as "organizationId", o.id, o.channel, o.subject_id as "subjectId", o.event,
      o.changed_at as "changedAt", o.address, o.target, o.secret, o.body, o.traceparent, o.proof,
      o.body_bytes as "bodyBytes", o.body_sha256 as "bodySha256", o.retry_seconds as "retrySeconds",
      o.recovery_seconds as "recoverySeconds", o.attempts, o.round_attempts as "roundAttempts", o.failed_at as "failedAt",
      o.created_at as "createdAt", o.lease_token as "leaseToken"`

/**
 * Takes due deliveries by lease, at most $3 per receiver, $7 per organization and $4 in all; $5 and $8 hold other limits of
 * single receivers and organizations, $12 and $11 those of receivers that $5 does not name. Of bodies that weigh, it takes at most $9 bytes in all, and none that is larger than $10
 * holds for its organization, or $9. Steps from organization to organization and from receiver to receiver through the
 * index ("loose scans"), so a dead receiver's long backlog costs one step. It begins after the organization $6 and reaches it
 * last: in a fixed order, the first one's backlog would block all others.
 */
export const claimStatement: Statement = {
  name: 'deliveries_claim',
  text: `
    with recursive ahead as (
      (select organization_id from deliveries where due_at is not null and organization_id > $6
       order by organization_id, target limit 1)
      union all
      select next.organization_id from ahead cross join lateral (
        select o.organization_id from deliveries o
        where o.due_at is not null and o.organization_id > ahead.organization_id
        order by o.organization_id, o.target limit 1) next
    ), behind as (
      (select organization_id from deliveries where due_at is not null and organization_id <= $6
       order by organization_id, target limit 1)
      union all
      select next.organization_id from behind cross join lateral (
        select o.organization_id from deliveries o
        where o.due_at is not null and o.organization_id > behind.organization_id and o.organization_id <= $6
        order by o.organization_id, o.target limit 1) next
    ), due as (
      select one.* from (table ahead union all table behind) organizations cross join lateral (
        with recursive receivers as (
          (select o.target from deliveries o
           where o.due_at is not null and o.organization_id = organizations.organization_id
           order by o.target limit 1)
          union all
          select next.target from receivers cross join lateral (
            select o.target from deliveries o
            where o.due_at is not null and o.organization_id = organizations.organization_id
              and o.target > receivers.target
            order by o.target limit 1) next
        )
        select o.* from receivers cross join lateral (
          select o.organization_id, o.id, case when o.body_bytes > ${unweighed} then o.body_bytes else 0 end as weight
          from deliveries o
          where o.organization_id = organizations.organization_id and o.target = receivers.target and o.due_at <= $1
            and o.body_bytes <= greatest(${unweighed},
              coalesce(($10::jsonb ->> organizations.organization_id::text)::bigint, $9))
          order by o.due_at
          limit least($3, coalesce(($5::jsonb ->> (organizations.organization_id || ' ' || receivers.target))::integer,
            ($11::jsonb ->> organizations.organization_id::text)::integer, $12))
          for update skip locked) o
        limit least($7, ($8::jsonb ->> organizations.organization_id::text)::integer)) one
      limit $4
    ), weighed as (
      select *, sum(weight) over (rows unbounded preceding) as sum from due
    )
    update deliveries o set due_at = $2, lease_token = gen_random_uuid(), updated_at = $1
    from weighed due where (due.weight = 0 or due.sum <= $9 or due.sum = due.weight) and o.organization_id = due.organization_id and o.id = due.id
    returning ${claimed}`,
}

export function claim(
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
): Promise<readonly Delivery[]> {
  const { now, leaseUntil, perReceiver, perOrganization, total, limits, after } = wanted
  return db.execute<Delivery>(claimStatement, [
    now,
    leaseUntil,
    perReceiver,
    total,
    JSON.stringify(limits.receivers),
    after,
    Math.min(perOrganization, limits.perOrganization),
    JSON.stringify(limits.organizations),
    limits.bytes,
    JSON.stringify(limits.organizationBytes),
    JSON.stringify(limits.newReceivers),
    limits.perNewReceiver,
  ])
}

/** How many deliveries of one receiver are held back at once. */
export const heldAtOnce = 64

const holdBackStatement: Statement = {
  name: 'deliveries_hold_back',
  text: `
    with held as materialized (
      select o.organization_id, o.id
      from json_to_recordset($1) as wanted("organizationId" uuid, target text)
      cross join lateral (
        select o.organization_id, o.id from deliveries o
        where o.organization_id = wanted."organizationId" and o.target = wanted.target and o.due_at <= $2
          and (o.failed_at is not null or o.due_at <= $2 - make_interval(secs =>
            (select coalesce(sum(wait), 0) from unnest(o.retry_seconds[o.round_attempts + 1:]) wait)))
        order by o.due_at offset 1 limit ${heldAtOnce}
        for update skip locked) o
    )
    update deliveries o set due_at = $3, lease_token = gen_random_uuid(), updated_at = $2
    from held where o.organization_id = held.organization_id and o.id = held.id
    returning ${claimed}`,
}

/**
 * Leases those due deliveries of receivers that have waited for as long as the rest of their quick retries takes. The oldest
 * of each receiver stays due, for the next probe.
 */
export function leaseWaiting(
  db: Queryable,
  receivers: readonly Receiver[],
  now: Date,
  leaseUntil: Date,
): Promise<readonly Delivery[]> {
  const named = receivers.map(({ organizationId, target }) => ({ organizationId, target }))
  return db.execute<Delivery>(holdBackStatement, [JSON.stringify(named), now, leaseUntil])
}

/** Those with more attempts keep their time: receivers that fail by turns do not keep them busy for ever. */
const broughtForward = { attempts: 100, atOnce: 1_000 } as const

const bringForwardStatement: Statement = {
  name: 'deliveries_bring_forward',
  text: `
    with waiting as materialized (
      select o.organization_id, o.id from deliveries o
      where o.organization_id = $1 and o.target = $2 and o.due_at > $3 and o.lease_token is null
        and o.attempts < ${broughtForward.attempts} and coalesce(o.not_before, $3) <= $3
      order by o.due_at limit ${broughtForward.atOnce} for update skip locked
    )
    update deliveries o set due_at = $3, planned_at = $3, round_attempts = greatest(0, o.round_attempts - 1),
      updated_at = $3
    from waiting where o.organization_id = waiting.organization_id and o.id = waiting.id
    returning 1`,
}

/**
 * Makes the deliveries that wait for a receiver due now, but not those that it asked to wait. The attempt that each makes is
 * not counted, so it has as many left as before if that fails.
 */
export async function bringForward(db: Queryable, { organizationId, target }: Receiver, now: Date): Promise<void> {
  const more = async () => (await db.execute(bringForwardStatement, [organizationId, target, now])).length
  while ((await more()) === broughtForward.atOnce);
}

const moveLeasesStatement: Statement = {
  name: 'deliveries_move_leases',
  text: `
    with held as (
      select o.organization_id, o.id
      from json_populate_recordset(null::deliveries, $1) as given
      cross join lateral (
        select o.organization_id, o.id from deliveries o
        where (o.organization_id, o.id, o.lease_token) = (given.organization_id, given.id, given.lease_token)
        for update skip locked) o
    )
    update deliveries set due_at = $2
    where organization_id = any (array(select organization_id from held)) and id = any (array(select id from held))`,
}

/**
 * Renews leases (`until` in the future) or releases them (`until` now), if they are still ours. A locked row is being settled
 * or taken over and needs neither; waiting for it, in another order than the batch that settles it, could deadlock.
 */
export async function moveLeases(db: Queryable, deliveries: readonly Delivery[], until: Date): Promise<void> {
  const held = deliveries.map((delivery) => ({
    organization_id: delivery.organizationId,
    id: delivery.id,
    lease_token: delivery.leaseToken,
  }))
  await db.execute(moveLeasesStatement, [JSON.stringify(held), until])
}

const settleStatement: Statement = {
  name: 'deliveries_settle',
  text: `
    with attempt as (
      select * from json_to_recordset($1) as attempt(organization_id uuid, delivery_id uuid, channel text,
        subject_id uuid, lease_token uuid, id uuid, attempt integer, round_attempts integer, address text,
        succeeded boolean, status_code integer, duration_ms integer, reply text, error_code text, error text,
        started_at timestamptz, ended_at timestamptz, status text, due_at timestamptz, failed_at timestamptz,
        not_before timestamptz, is_held boolean, settled text, failure text)
    ), logged as (
      insert into delivery_attempts (organization_id, id, delivery_id, channel, subject_id, attempt, address, succeeded,
        status_code, duration_ms, reply, error_code, error, started_at, created_at)
      select organization_id, id, delivery_id, channel, subject_id, attempt, address, succeeded, status_code, duration_ms,
        reply, error_code, error, started_at, ended_at from attempt where not is_held
      -- Already there when it is recorded again, after the connection was lost before the commit was confirmed.
      on conflict (organization_id, id) do nothing
    )
    update deliveries o set status = attempt.status, due_at = attempt.due_at, attempts = attempt.attempt,
      round_attempts = attempt.round_attempts, lease_token = null, updated_at = attempt.ended_at,
      failed_at = case when attempt.status <> 'sent' then coalesce(o.failed_at, attempt.failed_at) end,
      not_before = attempt.not_before, planned_at = attempt.due_at,
      -- What was received once stays so, however a redelivery ends.
      settled = case when o.settled = 'sent' then 'sent' else coalesce(attempt.settled, o.settled) end,
      last_error = case when attempt.is_held then coalesce(o.last_error, attempt.failure) else attempt.failure end,
      sent_at = case when attempt.status = 'sent' then attempt.ended_at else o.sent_at end,
      changed_at = greatest($2, o.changed_at + interval '1 ms'),
      -- What was delivered is kept with the request.
      body_sha256 = case when attempt.status <> 'pending' and o.body <> '' then sha256(convert_to(o.body, 'UTF8'))
        else o.body_sha256 end,
      body = case when attempt.status = 'pending' then o.body else '' end
    from attempt
    where o.organization_id = attempt.organization_id and o.id = attempt.delivery_id
      and o.lease_token = attempt.lease_token
    returning attempt.id, o.changed_at as "changedAt", o.shown as "isShown"`,
}

/**
 * Logs every attempt, and settles the deliveries whose lease still holds; returns the ids of the latter's attempts, with what
 * their rows say then.
 */
export async function settle(
  tx: Queryable,
  attempts: readonly EndedAttempt[],
  now: Date,
): Promise<ReadonlyMap<string, Pick<SettledAttempt, 'changedAt' | 'isShown'>>> {
  // In the order of their subjects, as an act that locks several deliveries does.
  const inOrder = attempts.toSorted((a, b) => (a.delivery.subjectId < b.delivery.subjectId ? -1 : 1))
  const rows = inOrder.map(({ delivery, id, startedAt, endedAt, result, dueAt, isHeld = false }) => ({
    organization_id: delivery.organizationId,
    delivery_id: delivery.id,
    channel: delivery.channel,
    subject_id: delivery.subjectId,
    lease_token: delivery.leaseToken,
    id,
    attempt: delivery.attempts + (isHeld ? 0 : 1),
    round_attempts: delivery.roundAttempts + (isHeld ? 0 : 1),
    address: delivery.address,
    succeeded: result.next.kind === 'sent',
    status_code: result.statusCode,
    duration_ms: result.durationMs,
    reply: result.reply,
    error_code: result.errorCode,
    error: result.error,
    started_at: startedAt,
    ended_at: endedAt,
    status: result.next.kind === 'retry' ? 'pending' : result.next.kind,
    due_at: dueAt,
    failed_at:
      result.next.kind === 'failed' || (result.next.kind === 'retry' && result.next.isRecovery) ? endedAt : null,
    not_before: result.next.kind === 'retry' && result.next.isAsked ? dueAt : null,
    is_held: isHeld,
    settled: result.next.kind !== 'retry' ? result.next.kind : result.next.isRecovery ? 'failed' : null,
    failure: result.next.kind === 'sent' ? null : result.next.error,
  }))
  type Settled = Pick<SettledAttempt, 'id' | 'changedAt' | 'isShown'>
  const settled = await tx.execute<Settled>(settleStatement, [JSON.stringify(rows), now])
  return new Map(settled.map((row) => [row.id, row]))
}

const notifyStatement: Statement = { name: 'deliveries_notify', text: `select pg_notify($1, '')` }

/** The channel on which a process without a worker announces new deliveries. */
export const dueNotification = 'hitl_deliveries'

export async function notifyDue(tx: Queryable): Promise<void> {
  await tx.execute(notifyStatement, [dueNotification])
}

export type Attempt = Selectable<Schema['delivery_attempts']>

/** The attempts of the deliveries about one subject, newest first; at most the latest 1 000. */
export function attempts(db: Queryable, { organizationId, channel, subjectId }: Subject): Promise<readonly Attempt[]> {
  return db.run(
    sql
      .selectFrom('delivery_attempts')
      .selectAll()
      .where('organization_id', '=', organizationId)
      .where('channel', '=', channel)
      .where('subject_id', '=', subjectId)
      .orderBy('id', 'desc')
      .limit(1_000),
  )
}

const eraseStatement: Statement = {
  name: 'deliveries_erase',
  text: `
    with wanted as materialized (
      select $1::uuid as organization_id, $2::text as channel, $3::uuid as subject_id
    ), attempts as (
      update delivery_attempts a set address = '', reply = '', error = null from wanted where ${ofSubject}
    )
    update deliveries d set address = '', target = '', secret = null, body = '', body_sha256 = null, last_error = null
    where d.organization_id = $1 and d.status <> 'pending' and d.id = any(array(${idsOfSubjects}))`,
}

/** Empties what was sent about a subject, and what came back; when and how it ended stays. */
export async function erase(tx: Queryable, { organizationId, channel, subjectId }: Subject): Promise<void> {
  await tx.execute(eraseStatement, [organizationId, channel, subjectId])
}
