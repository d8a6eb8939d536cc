import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { applicationRole } from '../../../src/platform/database/application-role.ts'
import type { Db, Scope } from '../../../src/platform/database/db.ts'
import { sqlState } from '../../../src/platform/database/errors.ts'
import { addTenant, type Tenant } from '../../authorization/tenant.ts'
import { openTestSession, startTestApp, type TestApp } from '../../harness.ts'

let t: TestApp
let db: Db
let a: Tenant
let b: Tenant
let tables: readonly string[]
before(async () => {
  t = await startTestApp()
  db = t.app.db
  a = await addTenant(t)
  b = await addTenant(t)
  const found = await t.sql(
    `select table_name from information_schema.columns where column_name = 'organization_id' and table_schema = 'public'`,
  )
  tables = found.map((row) => String(row.table_name))
  await addPersonal()
})
after(() => t.stop())

/** Rows of people's accounts and of things that expire: one expired and one current of each kind. */
async function addPersonal(): Promise<void> {
  const { organizationId } = a
  // The colleagues have personal things of their own.
  const person = a.people.auditor
  const accountOf = async (id: string) =>
    (await t.sql('select account_id from users where id = $1', [id]))[0]?.account_id
  const accountId = await accountOf(person.id)
  const add = (text: string, values: readonly unknown[] = [accountId]) => t.sql(`insert into ${text}`, values)
  await add(`passkeys values ($1, gen_random_uuid(), '\\x01', '\\x01', 0, '{}', 'key', false, null, now(), now())`)
  await add(`recovery_codes values ($1, sha256('code'), null, now())`)
  await add(
    `account_links values (gen_random_uuid(), $1, 'password_reset', sha256('link'), null, now(), null, now(), null, false)`,
  )
  await add(`totp_factors (account_id, id, seed, confirmed_at, step_up_id, step_up_method, created_at, updated_at)
    values ($1, gen_random_uuid(), '\\x01', now(), gen_random_uuid(), 'sign_in', now(), now())`)
  for (const [mark, end] of [
    ['over', `now() - interval '1 minute'`],
    ['open', `now() + interval '1 minute'`],
  ]) {
    // An account can have only one that is begun, so the second belongs to another person.
    const whose = mark === 'over' ? accountId : await accountOf(b.people.auditor.id)
    await add(
      `totp_factors (account_id, id, seed, expires_at, step_up_id, step_up_method, created_at, updated_at)
       values ($1, gen_random_uuid(), '\\x01', ${end}, gen_random_uuid(), 'sign_in', now(), now())`,
      [whose],
    )
    await add(
      `passkey_challenges (challenge_hash, purpose, account_id, expires_at, created_at)
       values (sha256('${mark}'), 'step_up', $1, ${end}, now())`,
    )
    const of = [accountId, organizationId, person.id]
    await add(
      `sign_in_challenges (token_hash, account_id, organization_id, user_id, methods, expires_at, created_at)
       values (sha256('${mark}'), $1, $2, $3, '{password}', ${end}, now())`,
      of,
    )
    await add(
      `step_ups (organization_id, id, user_id, digest, method, token_hash, expires_at, created_at)
       values ($1, gen_random_uuid(), $2, sha256('act'), 'password', sha256('${mark}'), ${end}, now())`,
      [organizationId, person.id],
    )
    const sessionId = await openTestSession(t.sql, organizationId, person.id)
    await t.sql(`update sessions set expires_at = ${end} - interval '30 days' where id = $1`, [sessionId])
    await add(
      `refresh_tokens (token_hash, account_id, organization_id, session_id, generation, created_at)
       values (sha256('${mark}'), $1, $2, $3, 1, now())`,
      [accountId, organizationId, sessionId],
    )
  }
  await add(
    `step_ups (organization_id, id, user_id, digest, method, used_at, expires_at, created_at)
     values ($1, gen_random_uuid(), $2, sha256('act'), 'sign_in', now(), now() - interval '1 minute', now())`,
    [organizationId, person.id],
  )
  await add(
    `organizations (organization_id, name, delete_after, deleted_at, cleared_at)
     values (gen_random_uuid(), 'gone', now(), now(), now())`,
    [],
  )
}

let statements = 0
const ask = (scope: Scope, text: string, values: readonly unknown[] = []) => {
  statements += 1
  return db.within(scope).execute<Record<string, unknown>>({ name: `isolation_${statements}`, text }, values)
}
const refused = (error: unknown): boolean => sqlState(error) === '42501'

/** Tables of the installation as a whole, each with its reason. */
const withoutPolicy = new Set([
  'schema_migrations', // readable, and about no organization
  'schema_access',
])

/** Tables with a policy for all rows: they count before the caller is known, under keys that reveal nothing (0010_limits.sql). */
const forEverybody = new Set(['rate_limits', 'attempt_tallies'])

/** The rows of each table that background work can see. It sees nothing of all other tables. */
const due: Readonly<Record<string, string>> = {
  organizations: 'cleared_at is null',
  consultation_requests: 'next_action_at is not null',
  deliveries: 'due_at is not null',
  api_keys: 'warn_at is not null',
  audit_policies: 'retention_days is not null',
  // They hold only hashes, and the last one of each organization is needed for the next.
  audit_seals: 'true',
  // An address is counted over all organizations; the texts are sealed.
  letters: 'true',
  attachments: 'discard_at is not null',
  // Numbers and ids: what is deleted is counted and noted in the transaction that deletes it.
  attachment_usage: 'true',
  discarded_objects: 'true',
  sessions: `expires_at < now() - interval '30 days'`,
  totp_factors: 'expires_at < now()',
  passkey_challenges: 'expires_at < now()',
  sign_in_challenges: 'expires_at < now()',
  step_ups: 'expires_at < now() and used_at is null',
}
/** Tables with rows of both kinds. */
const withBoth = ['organizations', 'sessions', 'totp_factors', 'passkey_challenges', 'sign_in_challenges', 'step_ups']

describe('the role that the statements run as', () => {
  test('is no superuser, is not exempt from row-level security, owns nothing and can create nothing', async () => {
    const [me] = await ask(
      {},
      'select current_user as name, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname = current_user',
    )
    assert.deepEqual(me, {
      name: applicationRole,
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      rolcreatedb: false,
    })
    const owned = await ask({}, `select relname from pg_class where relowner = $1::regrole`, [applicationRole])
    assert.deepEqual(owned, [])
    await assert.rejects(ask({}, 'create table mine (id integer)'), refused)
    await assert.rejects(ask({}, 'alter table users disable row level security'), refused)
    await assert.rejects(ask({}, `insert into schema_migrations (name, checksum) values ('x', 'x')`), refused)
  })

  test('may add to the audit and read it, and nothing else', async () => {
    const scope = { organizationId: a.organizationId }
    await assert.rejects(ask(scope, `update events set record = '{}'`), refused)
    await assert.rejects(ask(scope, 'delete from events'), refused)
    await assert.rejects(ask(scope, 'truncate events'), refused)
  })
})

test('row-level security is forced on every table, with a policy', async () => {
  const open = await t.sql(
    `select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
       and not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy p where p.polrelid = c.oid))`,
  )
  assert.deepEqual(
    open.map((row) => String(row.relname)).filter((name) => !withoutPolicy.has(name)),
    [],
  )
})

describe('with a statement that has no filter of its own', () => {
  test('a transaction without a scope sees nothing, in every table', async () => {
    for (const table of tables) assert.deepEqual(await ask({}, `select * from ${table}`), [], table)
  })

  test("a transaction without a scope sees nothing of people's accounts, which have rows of every kind", async () => {
    const all = await t.sql(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
    )
    const personal = all
      .map((row) => String(row.relname))
      .filter((name) => !tables.includes(name) && !withoutPolicy.has(name) && !forEverybody.has(name))
    assert.ok(personal.includes('accounts'))
    for (const table of [...personal, 'sessions', 'refresh_tokens', 'sign_in_challenges', 'step_ups']) {
      assert.ok((await t.sql(`select from ${table}`)).length > 0, `${table} has no rows`)
      assert.deepEqual(await ask({}, `select * from ${table}`), [], table)
    }
  })

  test('a transaction with the scope of an organization sees only that one, in every table', async () => {
    let seen = 0
    for (const table of tables) {
      const rows = await ask({ organizationId: a.organizationId }, `select organization_id from ${table}`)
      seen += rows.length
      for (const row of rows) assert.equal(row.organization_id, a.organizationId, table)
    }
    assert.ok(seen > 20, `${seen} rows`)
  })

  test("another organization's rows cannot be changed, deleted or created", async () => {
    const scope = { organizationId: a.organizationId }
    const count = async () => t.sql('select name from teams where organization_id = $1', [b.organizationId])
    const before = await count()
    assert.deepEqual(
      await ask(scope, `update teams set name = 'taken over' where id = $1 returning id`, [b.ids.teams]),
      [],
    )
    assert.deepEqual(await ask(scope, 'delete from teams where id = $1 returning id', [b.ids.teams]), [])
    const insert = `insert into teams (organization_id, id, name, created_at, updated_at)
      values ($1, gen_random_uuid(), 'planted', now(), now())`
    await assert.rejects(ask(scope, insert, [b.organizationId]), refused)
    await assert.rejects(ask(scope, 'update teams set organization_id = $1', [b.organizationId]), refused)
    assert.deepEqual(await count(), before)
  })

  test('a look-up sees the one row that it names', async () => {
    const rows = await ask({ lookUp: a.key.id }, 'select id from api_keys')
    assert.deepEqual(rows, [{ id: a.key.id }])
    assert.deepEqual(await ask({ lookUp: a.key.id }, 'select id from users'), [])
    assert.deepEqual(await ask({ lookUp: '%' }, 'select id from api_keys'), [])
  })

  test('an account sees its own memberships and organizations', async () => {
    const rows = await ask({ accountId: a.colleague.id }, 'select id from users')
    assert.deepEqual(rows, [{ id: a.colleague.id }])
    const names = await ask({ accountId: a.colleague.id }, 'select name from organizations')
    assert.deepEqual(names, [{ name: a.mark }])
  })

  test('background work sees what is due but no people, and can create nothing', async () => {
    const scope = { worker: true } as const
    const all = await t.sql(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
    )
    for (const table of all.map((row) => String(row.relname))) {
      if (withoutPolicy.has(table) || forEverybody.has(table)) continue
      const [there] = await t.sql(
        `select count(*) filter (where ${due[table] ?? 'false'}) as due, count(*) as all from ${table}`,
      )
      if (withBoth.includes(table)) assert.ok(Number(there?.due) > 0 && Number(there?.due) < Number(there?.all), table)
      const [seen] = await ask(scope, `select count(*) as rows from ${table}`)
      assert.equal(Number(seen?.rows), Number(there?.due), table)
    }
    const requests = await ask(scope, 'select next_action_at from consultation_requests')
    assert.ok(requests.length > 0)
    assert.deepEqual(await ask(scope, `update consultation_requests set title = 'x' returning id`), [])
    assert.deepEqual(await ask(scope, `update totp_factors set seed = '\\x02' returning id`), [])
  })

  test('background work can delete only what has expired', async () => {
    for (const table of ['sessions', 'totp_factors', 'passkey_challenges', 'sign_in_challenges', 'step_ups']) {
      const left = `select count(*) as rows from ${table} where not (${due[table]}) or (${due[table]}) is null`
      const before = await t.sql(left)
      // Without a condition PostgreSQL only applies the policy for deletions.
      await ask({ worker: true }, `delete from ${table}`)
      assert.deepEqual(await t.sql(left), before, table)
      assert.deepEqual(await t.sql(`select from ${table} where ${due[table]}`), [], table)
    }
  })

  test('re-encryption sees the seeds of authenticator apps, but no people', async () => {
    const scope = { resealer: true } as const
    assert.ok((await ask(scope, 'select id from totp_factors')).length > 1)
    for (const table of ['accounts', 'users', 'sessions', 'passkeys', 'recovery_codes']) {
      assert.deepEqual(await ask(scope, `select * from ${table}`), [], table)
    }
  })

  test('the next transaction on the connection does not inherit the scope', async () => {
    await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const rows = await ask(n % 2 === 0 ? { organizationId: a.organizationId } : {}, 'select id from teams')
        assert.equal(rows.length, n % 2 === 0 ? 1 : 0)
      }),
    )
  })
})
