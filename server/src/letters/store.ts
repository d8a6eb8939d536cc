import { type Queryable, type Statement, sql } from '../platform/database/db.ts'
import { installationId } from '../platform/ids.ts'
import type { Letter, LetterKind, Outcome } from './letter.ts'

/** A letter as it is inserted: sealed. */
export interface SealedLetter {
  readonly organization_id: string
  readonly id: string
  readonly kind: LetterKind
  readonly subject_kind: string
  readonly subject_id: string
  readonly account_id: string | null
  readonly recipient: Buffer
  readonly body: Buffer
  readonly due_at: Date
  readonly useful_until: Date
  readonly created_at: Date
  readonly updated_at: Date
}

export async function insert(tx: Queryable, letter: SealedLetter): Promise<void> {
  await tx.run(sql.insertInto('letters').values(letter))
}

/** How many letters of a kind an account has caused since then, in whatever organization. The scope is the account. */
export async function countOf(db: Queryable, accountId: string, kind: LetterKind, since: Date): Promise<number> {
  const query = sql
    .selectFrom('letters')
    .select('id')
    .where('account_id', '=', accountId)
    .where('kind', '=', kind)
    .where('created_at', '>', since)
  return (await db.run(query)).length
}

/**
 * Takes due letters by lease: at most $3, those of the installation first; of the organizations at most $4, one of each, in
 * turn after the organization $5. Steps from organization to organization through the index, so a long backlog costs one step.
 */
const claimStatement: Statement = {
  name: 'letters_claim',
  text: `
    with recursive organizations as (
      (select organization_id from letters where due_at is not null and organization_id > $5
       order by organization_id limit 1)
      union all
      select next.organization_id from organizations cross join lateral (
        select l.organization_id from letters l
        where l.due_at is not null and l.organization_id > organizations.organization_id
        order by l.organization_id limit 1) next
    ), due as (
      select * from (
        (select * from (select organization_id, id from letters
          where organization_id = '${installationId}' and due_at <= $1
          order by due_at limit $3 for update skip locked) first)
        union all
        (select one.organization_id, one.id from organizations cross join lateral (
          select l.organization_id, l.id from letters l
          where l.organization_id = organizations.organization_id and l.due_at <= $1
          order by l.due_at limit 1 for update skip locked) one
         limit $4)
      ) in_turn limit $3
    )
    update letters l set due_at = $2, lease_token = gen_random_uuid(), attempts = attempts + 1, updated_at = $1
    from due where l.organization_id = due.organization_id and l.id = due.id
    returning l.organization_id as "organizationId", l.id, l.kind, l.subject_kind as "subjectKind",
      l.subject_id as "subjectId", l.recipient, l.body, l.attempts, l.useful_until as "usefulUntil",
      l.lease_token as "leaseToken"`,
}

export interface WantedLetters {
  readonly now: Date
  readonly leaseUntil: Date
  readonly atMost: number
  readonly ofOrganizations: number
  /** The organization whose turn was last. */
  readonly after: string
}

export function claim(db: Queryable, wanted: WantedLetters): Promise<readonly Letter[]> {
  const { now, leaseUntil, atMost, ofOrganizations, after } = wanted
  return db.execute<Letter>(claimStatement, [now, leaseUntil, atMost, ofOrganizations, after])
}

const countForStatement: Statement = {
  name: 'letters_count_for',
  text: `
    select count(*)::integer as count from (
      select from letters where recipient = $1 and kind = $2 and updated_at > $3
        and (status = 'sent' or lease_token is not null and id < $4)
      limit $5) counted`,
}

/** How many letters of this kind the address was sent since then, at most `atMost`; of those under way, the earlier ones count. */
export async function countFor(
  db: Queryable,
  { recipient, kind, id }: Letter,
  since: Date,
  atMost: number,
): Promise<number> {
  const [row] = await db.execute<{ count: number }>(countForStatement, [recipient, kind, since, id, atMost])
  return row?.count ?? 0
}

/** Ends the lease; false when another worker has taken it over. What is over keeps no body. */
export async function settle(db: Queryable, letter: Letter, outcome: Outcome, now: Date): Promise<boolean> {
  const isPending = outcome.status === 'pending'
  const query = sql
    .updateTable('letters')
    .set({
      status: outcome.status,
      due_at: isPending ? outcome.dueAt : null,
      ...(isPending ? {} : { body: null }),
      lease_token: null,
      updated_at: now,
    })
    .where('organization_id', '=', letter.organizationId)
    .where('id', '=', letter.id)
    .where('lease_token', '=', letter.leaseToken)
    .returning('id')
  return (await db.run(query)).length === 1
}

const sweepStatement: Statement = {
  name: 'letters_sweep',
  text: `
    delete from letters where ctid = any (array(
      select ctid from letters where due_at is null and updated_at < $1 order by updated_at limit $2))
    returning 1`,
}

/** Deletes letters that were settled before; returns whether there may be more. */
export async function sweep(db: Queryable, before: Date, atMost: number): Promise<boolean> {
  return (await db.execute(sweepStatement, [before, atMost])).length === atMost
}
