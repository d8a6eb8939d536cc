import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { applicationRole } from '../../src/platform/application-role.ts'
import { sqlState } from '../../src/platform/database-errors.ts'
import type { Db, Scope } from '../../src/platform/db.ts'
import { addTenant, type Tenant } from '../authorization/tenant.ts'
import { startTestApp, type TestApp } from '../harness.ts'

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
})
after(() => t.stop())

let statements = 0
const ask = (scope: Scope, text: string, values: readonly unknown[] = []) => {
  statements += 1
  return db.within(scope).execute<Record<string, unknown>>({ name: `isolation_${statements}`, text }, values)
}
const refused = (error: unknown): boolean => sqlState(error) === '42501'

/** Tables of the installation as a whole, each with its reason. */
const withoutPolicy = new Set([
  'schema_migrations', // readable; nothing of anybody's
  'schema_access',
])

describe('the role that the statements run as', () => {
  test('is no superuser, is not exempt from row-level security, owns nothing and makes nothing', async () => {
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
  test('nothing said is nothing seen, in every table', async () => {
    for (const table of tables) assert.deepEqual(await ask({}, `select * from ${table}`), [], table)
  })

  test('one organization said is only that one seen, in every table', async () => {
    let seen = 0
    for (const table of tables) {
      const rows = await ask({ organizationId: a.organizationId }, `select organization_id from ${table}`)
      seen += rows.length
      for (const row of rows) assert.equal(row.organization_id, a.organizationId, table)
    }
    assert.ok(seen > 20, `${seen} rows`)
  })

  test("another organization's rows are not changed, deleted or made", async () => {
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

  test('background work sees what is due, no people, and makes nothing', async () => {
    const scope = { worker: true } as const
    assert.deepEqual(await ask(scope, 'select id from users'), [])
    const keys = await ask(scope, 'select warn_at from api_keys')
    assert.ok(
      keys.every((row) => row.warn_at !== null),
      'keys whose end is still to be told, no others',
    )
    assert.deepEqual(await ask(scope, 'select id from accounts'), [])
    const due = await ask(scope, 'select next_action_at from consultation_requests')
    assert.ok(due.length > 0 && due.every((row) => row.next_action_at !== null))
    assert.deepEqual(await ask(scope, `update consultation_requests set title = 'x' returning id`), [])
  })

  test('the next statement on the connection knows nothing of the scope before', async () => {
    await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const rows = await ask(n % 2 === 0 ? { organizationId: a.organizationId } : {}, 'select id from teams')
        assert.equal(rows.length, n % 2 === 0 ? 1 : 0)
      }),
    )
  })
})
