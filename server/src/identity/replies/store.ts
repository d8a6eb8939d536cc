import type { Queryable, Statement } from '../../platform/database/db.ts'
import { type EarlierCall, mostOfCaller } from './reply.ts'

/** One call: whose, where, and under which Idempotency-Key. */
export interface CallKey {
  readonly organizationId: string
  readonly callerId: string
  readonly path: string
  readonly key: string
}

export interface Claim extends CallKey {
  readonly id: string
  readonly bodyHash: Buffer
  readonly claimedUntil: Date
  readonly expiresAt: Date
}

const takeStatement: Statement = {
  name: 'kept_replies_take',
  text: `insert into kept_replies as kept (organization_id, caller_id, path, key, id, body_hash, claimed_until, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (organization_id, caller_id, path, key) do update set id = excluded.id, body_hash = excluded.body_hash,
      reply = null, claimed_until = excluded.claimed_until, expires_at = excluded.expires_at
    where kept.expires_at <= $9 or (kept.reply is null and kept.claimed_until <= $9)
    returning 1`,
}

/** False when an earlier call has this key. */
export async function take(db: Queryable, claim: Claim, now: Date): Promise<boolean> {
  const { organizationId, callerId, path, key, id, bodyHash, claimedUntil, expiresAt } = claim
  const values = [organizationId, callerId, path, key, id, bodyHash, claimedUntil, expiresAt, now]
  return (await db.execute(takeStatement, values)).length === 1
}

const findStatement: Statement = {
  name: 'kept_replies_find',
  text: `select id, body_hash as "bodyHash", reply from kept_replies
    where organization_id = $1 and caller_id = $2 and path = $3 and key = $4`,
}

export async function find(db: Queryable, call: CallKey): Promise<EarlierCall | null> {
  const values = [call.organizationId, call.callerId, call.path, call.key]
  const [row] = await db.execute<EarlierCall>(findStatement, values)
  return row ?? null
}

/** Keeps the reply, and drops the caller's oldest ones beyond what a caller may have. */
const keepStatement: Statement = {
  name: 'kept_replies_keep',
  text: `with kept as (
      update kept_replies set reply = $3 where organization_id = $1 and id = $2 and reply is null returning id
    ), newest as (
      select id, row_number() over newest as number, sum(coalesce(octet_length(reply), 0)) over newest as bytes
      from kept_replies where organization_id = $1 and caller_id = $4
      window newest as (order by expires_at desc, id desc)
    )
    delete from kept_replies where organization_id = $1 and id = any (array(
      select id from newest where id <> $2 and (number > ${mostOfCaller.replies} or bytes > ${mostOfCaller.bytes} - $5::int)))`,
}

export async function keep(db: Queryable, { organizationId, id, callerId }: Claim, sealed: Buffer): Promise<void> {
  await db.execute(keepStatement, [organizationId, id, sealed, callerId, sealed.length])
}

const releaseStatement: Statement = {
  name: 'kept_replies_release',
  text: 'delete from kept_replies where organization_id = $1 and id = $2 and reply is null',
}

/** The call changed nothing. */
export async function release(db: Queryable, { organizationId, id }: Claim): Promise<void> {
  await db.execute(releaseStatement, [organizationId, id])
}

const forgetStatement: Statement = {
  name: 'kept_replies_forget',
  text: 'delete from kept_replies where organization_id = $1 and reply is not null',
}

/** All of an organization: what they say was erased. */
export async function forget(tx: Queryable, organizationId: string): Promise<void> {
  await tx.execute(forgetStatement, [organizationId])
}
