import type { Queryable } from '../platform/database/db.ts'

export type DeliveryStatus = 'pending' | 'delivering' | 'sent' | 'failed' | 'withdrawn'

export interface DeliveryFilter {
  readonly organizationId: string
  readonly channel: string
  readonly status: DeliveryStatus | null
  readonly target: string | null
  /** Only what first fell due at this time or later. */
  readonly since: Date | null
  /** Only ids below this one: the cursor. */
  readonly before: string | null
  readonly limit: number
}

export interface ListedDelivery {
  readonly id: string
  readonly subjectId: string
  readonly event: string
  readonly address: string
  readonly target: string
  readonly status: DeliveryStatus
  readonly attempts: number
  /** Null while it is tried, and when nothing more is due. */
  readonly nextAttemptAt: Date | null
  /** Of the last attempt, unless it was sent. */
  readonly lastError: string | null
  readonly lastStatusCode: number | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface DeliveryPage {
  readonly items: readonly ListedDelivery[]
  /** The id that the next page begins behind; null when there is none. */
  readonly next: string | null
}

/** A page looks through so many deliveries, and the next one goes on from there. */
export const lookedThrough = 2_000
/** Ids are made a little later than the times that they are listed by. */
const slackMs = 3_600_000
const highest = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The status of the delivery `o`, as others see it. */
export const statusOf = (o: string): string =>
  `case when ${o}.status = 'sent' then 'sent' when ${o}.withdrawn_at is not null then 'withdrawn' when ${o}.failed_at is not null or ${o}.status = 'failed' then 'failed'
      when ${o}.round_attempts > 0 then 'delivering' when ${o}.status = 'pending' then 'pending' end`
const status = statusOf('o')

/** Newest first. Those that failed have an index of their own. */
export async function list(db: Queryable, filter: DeliveryFilter): Promise<DeliveryPage> {
  const { organizationId, channel, since, limit } = filter
  const failed = filter.status === 'failed' ? 'failed' : 'all'
  const rows = await db.execute<
    { readonly end: string | null; readonly endAt: Date | null; readonly looked: number } & (
      | ListedDelivery
      | { readonly id: null }
    )
  >(
    {
      name: `deliveries_list_${failed}`,
      text: `
        with looked as materialized (
          select o.id, o.channel, o.subject_id, o.event, o.address, o.target, ${status} as status, o.attempts, o.lease_token,
            o.last_error, o.due_at, o.created_at, o.updated_at
          from deliveries o where o.organization_id = $1 and o.id < $2${failed === 'failed' ? ' and o.failed_at is not null and o.withdrawn_at is null' : ''}
          order by o.id desc limit ${lookedThrough}
        ), matching as (
          select * from looked where channel = $3 and ($4::text is null or status = $4)
            and ($5::text is null or target = $5) and ($6::timestamptz is null or created_at >= $6)
          order by id desc limit $7
        ), "end" as (select id, created_at from looked order by id limit 1)
        select (select id from "end") as "end", (select created_at from "end") as "endAt",
          (select count(*)::int from looked) as looked, m.id, m.subject_id as "subjectId", m.event, m.address, m.target, m.status,
          m.attempts, case when m.lease_token is null then m.due_at end as "nextAttemptAt", case when m.status = 'withdrawn' then m.last_error else coalesce(last.error, m.last_error) end as "lastError",
          last.status_code as "lastStatusCode",
          m.created_at as "createdAt", m.updated_at as "updatedAt"
        from (select 1) one left join matching m on true
        left join lateral (select a.error, a.status_code from delivery_attempts a where a.organization_id = $1 and a.channel = m.channel
          and a.subject_id = m.subject_id and a.delivery_id = m.id order by a.id desc limit 1) last on m.status not in ('sent', 'withdrawn')
        order by m.id desc`,
    },
    [organizationId, filter.before ?? highest, channel, filter.status, filter.target, since, limit + 1],
  )
  const found = rows.flatMap((row) => (row.id === null ? [] : [row]))
  const items = found.slice(0, limit).map(({ end, endAt, looked, ...item }) => item)
  if (found.length > limit) return { items, next: items.at(-1)?.id ?? null }
  const [{ end, endAt, looked } = { end: null, endAt: null, looked: 0 }] = rows
  const isBefore = since !== null && endAt !== null && endAt.getTime() < since.getTime() - slackMs
  return { items, next: looked < lookedThrough || isBefore ? null : end }
}
