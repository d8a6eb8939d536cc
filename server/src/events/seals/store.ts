import type { Queryable, Statement } from '../../platform/database/db.ts'
import type { Batch, PublicHead, Seal } from './seal.ts'

const lockStatement: Statement = {
  name: 'audit_lock_chain',
  text: `select pg_advisory_xact_lock(hashtextextended('hitl audit ' || $1::uuid, 0))`,
}

/** Locks the chain: until the transaction ends, no other one seals, purges or erases events of the organization, or changes its policy. */
export async function lockChain(tx: Queryable, organizationId: string): Promise<void> {
  await tx.execute(lockStatement, [organizationId])
}

const unsealedStatement: Statement = {
  name: 'audit_unsealed',
  text: 'select organization_id from hitl_audit_unsealed($1, $2) as organization_id',
}

/** Organizations with settled events that are not sealed, in order, after `after`; in the scope of a worker. */
export async function unsealed(tx: Queryable, after: string | null, atMost: number): Promise<readonly string[]> {
  const rows = await tx.execute<{ organization_id: string }>(unsealedStatement, [after, atMost])
  return rows.map((row) => row.organization_id)
}

interface BatchRow {
  organization_id: string
  number: number
  first_position: number
  last_position: number
  last_era: number
  last_xact: string
  last_id: string
  first_occurred_at: Date
  last_occurred_at: Date
  leaves: Buffer
  root: Buffer
  link: Buffer
  previous_head: string | null
  previous_link: Buffer | null
  misfits: number
}

const nextBatchesStatement: Statement = {
  name: 'audit_next_batches',
  text: 'select * from hitl_audit_next_batches($1, $2)',
}

/** The next batch of each, unless another process has it; locked until the transaction ends. In the scope of a worker. */
export async function nextBatches(
  tx: Queryable,
  organizationIds: readonly string[],
  maxEvents: number,
): Promise<readonly Batch[]> {
  const rows = await tx.execute<BatchRow>(nextBatchesStatement, [organizationIds, maxEvents])
  return rows.map((row) => ({
    organizationId: row.organization_id,
    number: row.number,
    firstPosition: row.first_position,
    lastPosition: row.last_position,
    last: { era: row.last_era, xact: row.last_xact, id: row.last_id },
    firstOccurredAt: row.first_occurred_at,
    lastOccurredAt: row.last_occurred_at,
    leaves: row.leaves,
    root: row.root,
    link: row.link,
    previousHead: row.previous_head,
    previousLink: row.previous_link,
    misfits: row.misfits,
  }))
}

const insertStatement: Statement = {
  name: 'audit_seals_insert',
  text: `
    insert into audit_seals (organization_id, number, first_position, last_position, last_era, last_xact, last_id,
      first_occurred_at, last_occurred_at, leaves, root, link, head, sealed_at)
    select organization_id, number, first_position, last_position, last_era, last_xact, last_id, first_occurred_at,
      last_occurred_at, decode(leaves, 'base64'), decode(root, 'base64'), decode(link, 'base64'), head, sealed_at
    from json_to_recordset($1) as seal(organization_id uuid, number bigint, first_position bigint,
      last_position bigint, last_era smallint, last_xact xid8, last_id uuid, first_occurred_at timestamptz,
      last_occurred_at timestamptz, leaves text, root text, link text, head text, sealed_at timestamptz)`,
}

export async function insertSeals(tx: Queryable, seals: readonly Seal[]): Promise<void> {
  const rows = seals.map((seal) => ({
    organization_id: seal.organizationId,
    number: seal.number,
    first_position: seal.firstPosition,
    last_position: seal.lastPosition,
    last_era: seal.last.era,
    last_xact: seal.last.xact,
    last_id: seal.last.id,
    first_occurred_at: seal.firstOccurredAt,
    last_occurred_at: seal.lastOccurredAt,
    leaves: seal.leaves.toString('base64'),
    root: seal.root.toString('base64'),
    link: seal.link.toString('base64'),
    head: seal.head,
    sealed_at: seal.sealedAt,
  }))
  await tx.execute(insertStatement, [JSON.stringify(rows)])
}

const lastHeadsStatement: Statement = {
  name: 'audit_last_heads',
  text: `
    with recursive sealed as (
      (select organization_id, 1 as place from audit_seals where organization_id >= $1 order by organization_id limit 1)
      union all
      select (select s.organization_id from audit_seals s where s.organization_id > t.organization_id
        order by s.organization_id limit 1), t.place + 1 from sealed t where t.organization_id is not null and t.place < $2
    )
    select last.organization_id, last.number, last.head from sealed cross join lateral (
      select s.organization_id, s.number, s.head from audit_seals s where s.organization_id = sealed.organization_id
      order by s.number desc limit 1) last
    order by 1`,
}

/** The last head of each of the next organizations, from `from` on; in the scope of a worker. */
export async function lastHeads(db: Queryable, from: string, atMost: number): Promise<readonly PublicHead[]> {
  return (await db.execute<HeadRow>(lastHeadsStatement, [from, atMost])).map(toHead)
}

interface HeadRow {
  organization_id: string
  number: number
  head: string
}

const toHead = ({ organization_id: organizationId, number, head }: HeadRow): PublicHead => ({
  organizationId,
  number,
  head,
})

const unpublishedStatement: Statement = {
  name: 'audit_seals_unpublished',
  text: `select organization_id, number, head from audit_seals
    where published_at is null and sealed_at < $1 order by organization_id, number limit $2`,
}

/** Heads that were sealed before `before` and are not known to be written outside. */
export async function unpublished(db: Queryable, before: Date, limit: number): Promise<readonly PublicHead[]> {
  return (await db.execute<HeadRow>(unpublishedStatement, [before, limit])).map(toHead)
}

const markStatement: Statement = {
  name: 'audit_seals_published',
  text: `update audit_seals s set published_at = $2
    from json_to_recordset($1) as done(organization_id uuid, number bigint)
    where s.organization_id = done.organization_id and s.number = done.number and s.published_at is null`,
}

export async function markPublished(db: Queryable, heads: readonly PublicHead[], now: Date): Promise<void> {
  const done = heads.map(({ organizationId, number }) => ({ organization_id: organizationId, number }))
  await db.execute(markStatement, [JSON.stringify(done), now])
}
