import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import pg from 'pg'
import { backUp } from '../../src/backup/backup.ts'
import { type RestoreOptions, restore } from '../../src/backup/restore.ts'
import { inOrder, readRows, type Table, tables } from '../../src/backup/store.ts'
import { ConfigError } from '../../src/config.ts'
import type { Connection } from '../../src/platform/database/db.ts'
import { secretKeyCheckOf } from '../../src/platform/secrets/secret-key-check.ts'
import { keysThatBackupLacks } from '../../src/secrets.ts'
import {
  createEmptyDatabase,
  secretKey,
  startTestApp,
  type TestApp,
  type TestDatabase,
  testConfig,
} from '../harness.ts'

let t: TestApp
let file: Buffer
const databases: TestDatabase[] = []
before(async () => {
  t = await startTestApp()
  await t.app.drain()
  file = await backUpNow(t.connection)
})
after(async () => {
  await t.stop()
  for (const database of databases) await database.drop()
})

async function backUpNow(connection: Connection): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  await backUp({ connection, version: '1.2.3', secretKeyCheck: secretKeyCheckOf(secretKey) }, async (source) => {
    bytes = await buffer(source)
  })
  return bytes
}

async function emptyDatabase(): Promise<Connection> {
  const database = await createEmptyDatabase()
  databases.push(database)
  return database.connection
}

async function rowsOf(connection: Connection, query: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ ...connection, user: 'postgres' })
  await client.connect()
  try {
    return (await client.query(query)).rows
  } finally {
    await client.end()
  }
}

const config = testConfig()

const restoreInto = (connection: Connection, bytes: Buffer, key = secretKey, settings = config) => {
  const pieces = Array.from({ length: Math.ceil(bytes.length / 1_000) }, (_, at) =>
    bytes.subarray(at * 1_000, at * 1_000 + 1_000),
  )
  const refuseKeys: RestoreOptions['refuseKeys'] = (keys, check) => {
    const mistakes = keysThatBackupLacks(keys, check, key, settings)
    if (mistakes.length > 0) throw new ConfigError(mistakes)
  }
  return restore({ connection, refuseKeys, clock: t.clock }, Readable.from(pieces))
}

/** Every row of every table of the service, as text. */
async function contents(connection: Connection): Promise<Readonly<Record<string, readonly string[]>>> {
  const names = await rowsOf(
    connection,
    `select relname from pg_class where relnamespace = 'public'::regnamespace
    and relkind = 'r' and relpersistence = 'p' and relname not like 'schema\\_%' order by relname`,
  )
  const all: Record<string, readonly string[]> = {}
  for (const { relname } of names) {
    const rows = await rowsOf(connection, `select t::text as row from ${relname} t order by 1`)
    all[String(relname)] = rows.map(({ row }) => String(row))
  }
  return all
}

test('a restored database has every row of the original, and in addition that it was restored', async () => {
  const copy = await emptyDatabase()
  const done = await restoreInto(copy, file)
  const [before, after] = [await contents(t.connection), await contents(copy)]
  assert.ok(Object.keys(before).length > 30)
  assert.equal(done.rows, Object.values(before).flat().length)
  const { events, restored_copies: copies, ...others } = after
  const { events: original, restored_copies: _, ...rest } = before
  assert.deepEqual(others, rest)
  assert.equal(copies?.length, 1)
  assert.deepEqual(
    events?.filter((row) => !row.includes('audit.restored')),
    original,
  )
  const restored = await rowsOf(copy, "select organization_id, era, record from events where kind = 'audit.restored'")
  assert.deepEqual(restored.map((row) => [row.organization_id, row.era]).sort(), [
    ['00000000-0000-0000-0000-000000000000', 1],
    [t.organizationId, 1],
  ])
})

describe('a file that is not what was written', () => {
  const refused = async (bytes: Buffer, code: string | RegExp, key?: string): Promise<void> => {
    const copy = await emptyDatabase()
    await assert.rejects(restoreInto(copy, bytes, key), (error: Error & { code?: string }) => {
      assert.match(`${error.code} ${error.message}`, new RegExp(code))
      return true
    })
    const [tables] = await rowsOf(
      copy,
      "select count(*)::int as n from pg_class where relnamespace = 'public'::regnamespace",
    )
    assert.equal(tables?.n, 0, 'nothing is left of it')
  }
  const text = () => gunzipSync(file).toString('latin1')
  const packed = (changed: string) => gzipSync(Buffer.from(changed, 'latin1'))
  const endLine = /\{"end".*\n$/

  test('cut at any place: refused', async () => {
    for (const part of [0.5, 0.7, 0.95])
      await refused(file.subarray(0, file.length * part), 'backup.damaged .*ends too early')
    await refused(file.subarray(0, 30), 'backup.foreign')
    await refused(packed(text().replace(endLine, '')), 'backup.damaged .*ends too early')
  })

  test('one byte changed, as it is stored: refused', async () => {
    for (const part of [0.3, 0.7, 0.99]) {
      const changed = Buffer.from(file)
      const at = Math.floor(file.length * part)
      changed[at] = (changed[at] ?? 0) ^ 0x10
      await refused(changed, 'backup.(damaged|foreign)')
    }
  })

  test('a row changed, unpacked and packed again: refused', async () => {
    await refused(packed(text().replace('admin@example.com', 'thief@example.com')), 'backup.damaged .*was changed')
  })

  test('a table left out, with the right hash: refused', async () => {
    const without = text()
      .replace(/\{"table":"audit_policies".*\n0\n/, '')
      .replace(endLine, '')
    assert.ok(!without.includes('audit_policies'))
    const sha256 = createHash('sha256').update(without, 'latin1').digest('hex')
    await refused(
      packed(`${without}{"end":{"rows":1,"sha256":"${sha256}"}}\n`),
      'backup.damaged .*lacks the tables audit_policies',
    )
  })

  test('something behind its end: refused', async () => {
    await refused(packed(`${text()}more`), 'backup.damaged .*follows its end')
  })

  test('no backup at all: refused', async () => {
    await refused(Buffer.from('-- PostgreSQL database dump'), 'backup.foreign')
    await refused(Buffer.alloc(0), 'backup.foreign')
    await refused(gzipSync('{"hitl_backup":2}\n'), 'backup.foreign')
  })

  test('of a newer version: refused, and it says which', async () => {
    const newer = text().replace(
      '{"name":"0001_ground.sql"',
      `{"name":"0999_later.sql","checksum":"${'0'.repeat(64)}"},$&`,
    )
    await refused(packed(newer), 'backup.damaged .*version .* made it.*0999_later.sql')
  })

  test('with other keys than the installation had: refused, and it names the setting', async () => {
    await refused(file, 'SECRET_KEY.* is not the one that data key', 'another secret key that is long enough for this')
  })

  test('with the key that seals, and another SECRET_KEY: refused; with the right one as SECRET_KEY_PREVIOUS: restored', async () => {
    const sealing = { KEY_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}` }
    const other = await startTestApp({ environment: sealing })
    const backup = await backUpNow(other.connection)
    await other.stop()
    const another = 'another secret key that is long enough for this'
    const restored = (more: Readonly<Record<string, string>>) => async () =>
      restoreInto(await emptyDatabase(), backup, another, testConfig({ ...sealing, ...more }))
    await assert.rejects(restored({}), /SECRET_KEY.* is not the one of the installation that was backed up/)
    await restored({ SECRET_KEY_PREVIOUS: secretKey })()
  })
})

test('a database that has tables already: refused', async () => {
  const copy = await emptyDatabase()
  await restoreInto(copy, file)
  const before = await contents(copy)
  await assert.rejects(restoreInto(copy, file), { code: 'restore.not_empty' })
  assert.deepEqual(await contents(copy), before)
})

test('a role that row-level security limits: refused, and it says what to do', async () => {
  const connection = { ...t.connection, options: '-c role=hitl_app' }
  await assert.rejects(backUpNow(connection), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'backup.rows_hidden')
    assert.match(error.message, /create role hitl_backup login bypassrls/)
    return true
  })
})

test('a role that is exempt from row-level security reads the same rows as the owner', async () => {
  const ends = [file, await backUpNow({ ...t.connection, user: 'postgres' })].map((bytes) => {
    const lines = gunzipSync(bytes).toString('latin1').split('\n')
    return lines.slice(1, -2)
  })
  assert.deepEqual(ends[1], ends[0])
})

test('a table of a later migration is in the backup by itself, and an owner sees its rows', async () => {
  const client = new pg.Client(t.connection)
  await client.connect()
  try {
    await client.query('begin')
    await client.query(
      'create table later_things (id integer primary key, twice integer generated always as (id * 2) stored)',
    )
    await client.query('alter table later_things enable row level security')
    await client.query('alter table later_things force row level security')
    const access = await readFile(join(import.meta.dirname, '../../migrations/access.sql'), 'utf8')
    await client.query(access)
    await client.query('alter table later_things no force row level security')
    await client.query('insert into later_things values (1), (2)')
    await client.query('alter table later_things force row level security')
    const later = (await tables(client)).find(({ name }) => name === 'later_things')
    assert.deepEqual(later, { name: 'later_things', columns: ['id'], references: [], isLimited: false })
    await client.query("set local hitl.backup = 'on'")
    const rows: string[] = []
    for await (const some of readRows(client, later as Table)) rows.push(...some.map(String))
    assert.deepEqual(rows, ['1\n', '2\n'])
  } finally {
    await client.query('rollback')
    await client.end()
  }
})

test('every table is in the file, after those that it refers to', async () => {
  const inFile = [
    ...gunzipSync(file)
      .toString('latin1')
      .matchAll(/^\{"table":"(\w+)"/gm),
  ].map(([, name]) => name)
  assert.deepEqual([...inFile].sort(), Object.keys(await contents(t.connection)).sort())
  const references = await rowsOf(
    t.connection,
    "select conrelid::regclass::text as table, confrelid::regclass::text as other from pg_constraint where contype = 'f' and conrelid <> confrelid",
  )
  for (const { table, other } of references) {
    assert.ok(inFile.indexOf(String(other)) < inFile.indexOf(String(table)), `${table} refers to ${other}`)
  }
  const loop = ['a', 'b'].map((name) => ({
    name,
    columns: [],
    references: [name === 'a' ? 'b' : 'a'],
    isLimited: false,
  }))
  assert.throws(() => inOrder(loop), /in a circle/)
})
