import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import { mayEnter } from '../accounts/store.ts'
import type { SessionForAuthentication, SessionOfPerson } from '../authenticate.ts'
import type { EndOfSession, SessionsToEnd } from '../context.ts'
import type { RefreshToken, Session } from './session.ts'

const sessionColumns = names(
  'id, account_id, organization_id, user_id, kind, identity_provider_id, sso_identity_id, signed_in_with, signed_in_at, network, user_agent, last_used_at, idle_until, expires_at, revoked_at',
)

function toSession(row: Selectable<Schema['sessions']>): Session {
  return fieldsOf(row, sessionColumns)
}

export async function insertSession(tx: Queryable, session: Session): Promise<void> {
  await tx.run(sql.insertInto('sessions').values(valuesOf(session, sessionColumns)))
}

const forAuthentication: Statement = {
  name: 'sessions_for_authentication',
  text: `select asked.id as "sessionId", found.*
    from unnest($2::uuid[], $3::uuid[]) as asked(user_id, id)
    cross join lateral (
      select u.account_id as "accountId", u.role, u.name, ${mayEnter} as "isActive", s.signed_in_with as "signedInWith",
        s.signed_in_at as "signedInAt", s.revoked_at as "revokedAt", least(s.expires_at, s.idle_until) as "expiresAt"
      from sessions s
      join users u on u.organization_id = s.organization_id and u.id = s.user_id and u.account_id = s.account_id
      join organizations o on o.organization_id = s.organization_id
      where s.organization_id = $1 and s.user_id = asked.user_id and s.id = asked.id offset 0) found`,
}

/** The current state of sessions of one organization, by their ids. */
export async function sessionsForAuthentication(
  db: Queryable,
  organizationId: string,
  sessions: readonly SessionOfPerson[],
): Promise<ReadonlyMap<string, SessionForAuthentication>> {
  const [userIds, ids] = [sessions.map(({ userId }) => userId), sessions.map(({ sessionId }) => sessionId)]
  const rows = await db.execute<SessionForAuthentication & Pick<SessionOfPerson, 'sessionId'>>(forAuthentication, [
    organizationId,
    userIds,
    ids,
  ])
  return new Map(rows.map(({ sessionId, ...found }) => [sessionId, found]))
}

export async function sessionById(db: Queryable, accountId: string, id: string): Promise<Session | null> {
  const query = sql.selectFrom('sessions').selectAll().where('account_id', '=', accountId).where('id', '=', id)
  return first(db.run(query), toSession)
}

/** Where an account has sessions that have not ended, always in the same order; the scope is the account. */
export async function membershipsWithSessions(
  tx: Queryable,
  accountId: string,
): Promise<readonly { readonly organizationId: string; readonly userId: string }[]> {
  const query = sql
    .selectFrom('sessions')
    .select(['organization_id', 'user_id'])
    .distinct()
    .where('account_id', '=', accountId)
    .where('revoked_at', 'is', null)
    .orderBy('organization_id')
  return (await tx.run(query)).map((row) => ({ organizationId: row.organization_id, userId: row.user_id }))
}

export async function lockSession(tx: Queryable, accountId: string, id: string): Promise<Session | null> {
  const query = sql.selectFrom('sessions').selectAll().where('account_id', '=', accountId).where('id', '=', id)
  return first(tx.run(query.forUpdate()), toSession)
}

/** Live sessions, newest first: of one account (its scope) or, with `userId`, of one member (the organization's scope). */
export async function liveSessions(
  db: Queryable,
  of: { readonly accountId: string } | { readonly organizationId: string; readonly userId: string },
  now: Date,
): Promise<readonly Session[]> {
  const live = sql
    .selectFrom('sessions')
    .selectAll()
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .where('idle_until', '>', now)
    .orderBy('id', 'desc')
    .limit(200)
  const query =
    'accountId' in of
      ? live.where('account_id', '=', of.accountId)
      : live.where('organization_id', '=', of.organizationId).where('user_id', '=', of.userId)
  return (await db.run(query)).map(toSession)
}

/** Ends those that are live, and returns them. */
export async function revokeSessions(
  tx: Queryable,
  which: SessionsToEnd,
  cause: EndOfSession,
  now: Date,
): Promise<readonly Session[]> {
  let query = sql
    .updateTable('sessions')
    .set({ revoked_at: now, revoked_because: cause })
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .returningAll()
  if (which.accountId !== undefined) query = query.where('account_id', '=', which.accountId)
  if (which.organizationId !== undefined) query = query.where('organization_id', '=', which.organizationId)
  if (which.userId !== undefined) query = query.where('user_id', '=', which.userId)
  if (which.id !== undefined) query = query.where('id', '=', which.id)
  if (which.identityProviderId !== undefined) {
    query = query.where('identity_provider_id', '=', which.identityProviderId)
  }
  if (which.ssoIdentityId !== undefined) query = query.where('sso_identity_id', '=', which.ssoIdentityId)
  if (which.exceptUserId !== undefined) query = query.where('user_id', '<>', which.exceptUserId)
  if (which.exceptSessionId !== undefined) query = query.where('id', '<>', which.exceptSessionId)
  return (await tx.run(query)).map(toSession)
}

export async function renewSession(
  tx: Queryable,
  session: Session,
  renewed: { readonly at: Date; readonly idleUntil: Date; readonly network: string | null },
): Promise<void> {
  await tx.run(
    sql
      .updateTable('sessions')
      .set({ last_used_at: renewed.at, idle_until: renewed.idleUntil, network: renewed.network })
      .where('account_id', '=', session.accountId)
      .where('id', '=', session.id),
  )
}

/** The session of a refresh token; the scope is a look-up of its hash in hex. */
export async function findRefreshToken(
  db: Queryable,
  hash: Buffer,
): Promise<{
  readonly accountId: string
  readonly organizationId: string
  readonly sessionId: string
  /** When a newer one took its place. */
  readonly replacedAt: Date | null
} | null> {
  const [row] = await db.run(sql.selectFrom('refresh_tokens').selectAll().where('token_hash', '=', hash))
  if (row === undefined) return null
  return {
    accountId: row.account_id,
    organizationId: row.organization_id,
    sessionId: row.session_id,
    replacedAt: row.replaced_at,
  }
}

/** The token's state and the newest generation of its session. The session must be locked. */
export async function refreshState(
  tx: Queryable,
  sessionId: string,
  hash: Buffer,
): Promise<{ readonly token: RefreshToken | null; readonly newest: number }> {
  const rows = await tx.run(
    sql
      .selectFrom('refresh_tokens')
      .select(['generation', 'replaced_at', 'token_hash'])
      .where('session_id', '=', sessionId)
      .where((where) => where.or([where('token_hash', '=', hash), where('replaced_at', 'is', null)])),
  )
  const found = rows.find((row) => row.token_hash.equals(hash))
  const newest = Math.max(0, ...rows.map((row) => row.generation))
  return { token: found === undefined ? null : { generation: found.generation, replacedAt: found.replaced_at }, newest }
}

export async function insertRefreshToken(
  tx: Queryable,
  session: Session,
  token: { readonly hash: Buffer; readonly generation: number; readonly createdAt: Date },
): Promise<void> {
  await tx.run(
    sql
      .updateTable('refresh_tokens')
      .set({ replaced_at: token.createdAt })
      .where('session_id', '=', session.id)
      .where('generation', '<', token.generation)
      .where('replaced_at', 'is', null),
  )
  await tx.run(
    sql.insertInto('refresh_tokens').values({
      token_hash: token.hash,
      account_id: session.accountId,
      organization_id: session.organizationId,
      session_id: session.id,
      generation: token.generation,
      replaced_at: null,
      created_at: token.createdAt,
    }),
  )
}

/** Deletes at most `limit` sessions that ended before then, with their tokens; returns how many. For the worker. */
export async function deleteSessionsEndedBefore(db: Queryable, before: Date, limit: number): Promise<number> {
  const over = sql.selectFrom('sessions').select('id').where('expires_at', '<', before).limit(limit)
  return (await db.run(sql.deleteFrom('sessions').where('id', 'in', over).returning('id'))).length
}
