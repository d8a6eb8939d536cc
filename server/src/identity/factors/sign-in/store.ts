import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql } from '../../../platform/database/db.ts'
import { first } from '../../../platform/database/first.ts'
import type { Schema } from '../../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../../platform/names.ts'
import type { SessionsToEnd } from '../../context.ts'

/** A sign-in that waits for its second factor. */
export interface SignInChallenge {
  readonly tokenHash: Buffer
  readonly accountId: string
  /** Where the sign-in leads. */
  readonly organizationId: string
  readonly userId: string
  /** How the person has signed in so far. */
  readonly methods: readonly string[]
  readonly tries: number
  readonly expiresAt: Date
  readonly createdAt: Date
}

const challengeColumns = names(
  'token_hash, account_id, organization_id, user_id, methods, tries, expires_at, created_at',
)

export async function insertSignInChallenge(tx: Queryable, challenge: SignInChallenge): Promise<void> {
  await tx.run(sql.insertInto('sign_in_challenges').values(valuesOf(challenge, challengeColumns)))
}

function open(tokenHash: Buffer, now: Date, maxTries: number) {
  return sql
    .selectFrom('sign_in_challenges')
    .selectAll()
    .where('token_hash', '=', tokenHash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .where('tries', '<', maxTries)
}

function toChallenge(row: Selectable<Schema['sign_in_challenges']>): SignInChallenge {
  return fieldsOf(row, challengeColumns)
}

/** Null if there is none, or it has expired. The scope is a look-up of the same hash. */
export async function openSignInChallenge(
  db: Queryable,
  tokenHash: Buffer,
  now: Date,
  maxTries: number,
): Promise<SignInChallenge | null> {
  return first(db.run(open(tokenHash, now, maxTries)), toChallenge)
}

/** Counts a try before it is judged, so that parallel ones cannot be more than `maxTries`. Scope as above. */
export async function countTry(
  db: Queryable,
  tokenHash: Buffer,
  now: Date,
  maxTries: number,
): Promise<SignInChallenge | null> {
  const query = sql
    .updateTable('sign_in_challenges')
    .set((column) => ({ tries: column('tries', '+', 1) }))
    .where('token_hash', '=', tokenHash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .where('tries', '<', maxTries)
    .returningAll()
  return first(db.run(query), toChallenge)
}

// Through the index of accounts alone: the other one would lead through all of the organization.
const dropOfAccount: Statement = {
  name: 'sign_in_challenges_drop_of_account',
  text: `delete from sign_in_challenges where account_id = $1 and ($2::uuid is null or organization_id = $2)`,
}

/** The sign-ins of these people, all of whose sessions end, wait in vain. The scope is their account or their organization. */
export async function dropSignInChallenges(
  tx: Queryable,
  { accountId, organizationId, userId, exceptUserId }: SessionsToEnd,
): Promise<void> {
  if (accountId !== undefined) return void (await tx.execute(dropOfAccount, [accountId, organizationId ?? null]))
  let query = sql.deleteFrom('sign_in_challenges')
  if (organizationId !== undefined) query = query.where('organization_id', '=', organizationId)
  if (userId !== undefined) query = query.where('user_id', '=', userId)
  if (exceptUserId !== undefined) query = query.where('user_id', '<>', exceptUserId)
  await tx.run(query)
}

/** False when another try was right first, or the password that began it was changed since. */
export async function useSignInChallenge(tx: Queryable, challenge: SignInChallenge, now: Date): Promise<boolean> {
  const query = sql
    .updateTable('sign_in_challenges')
    .set({ used_at: now })
    .where('account_id', '=', challenge.accountId)
    .where('token_hash', '=', challenge.tokenHash)
    .where('used_at', 'is', null)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('accounts')
            .select('id')
            .where('id', '=', challenge.accountId)
            .where('password_changed_at', '>', challenge.createdAt),
        ),
      ),
    )
    .returning('account_id')
  return (await tx.run(query)).length === 1
}
