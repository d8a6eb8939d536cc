import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { watchHeldBack } from '../../src/events/seals/held-back.ts'
import { applicationRole } from '../../src/platform/database/application-role.ts'
import { openDb } from '../../src/platform/database/db.ts'
import { createLog } from '../../src/platform/log.ts'
import { cloneDatabase } from '../harness.ts'

test('a transaction that stays open in another database is one line that names its session, and a figure', async (context) => {
  const database = await cloneDatabase()
  const db = openDb({ connection: database.connection, role: applicationRole, poolSize: 1, onError: () => {} })
  const idle = new pg.Client({
    ...database.connection,
    user: 'postgres',
    database: 'postgres',
    application_name: 'a report',
  })
  await idle.connect()
  context.after(async () => {
    await idle.end()
    await db.close()
    await database.drop()
  })
  const lines: Record<string, unknown>[] = []
  const log = createLog('info', false, { write: (line) => void lines.push(JSON.parse(line)) })
  let now = 0
  const watch = watchHeldBack(db, log, () => now)
  const look = async (at: number) => {
    now = at
    await watch.loop.drain()
    return watch.seconds()
  }
  assert.equal(await look(0), null)
  await idle.query('begin')
  await idle.query('select pg_current_xact_id()')
  assert.equal(await look(2_000), null)
  assert.equal(await look(11_000), null)
  assert.equal(lines.length, 0)
  assert.equal(await look(12_000), 10)
  assert.equal(await look(30_000), 28)
  const { rows } = await idle.query('select pg_backend_pid() as pid')
  assert.deepEqual(
    lines.map(({ level, application, database, backend, open_seconds }) => [
      level,
      application,
      database,
      backend,
      open_seconds,
    ]),
    [['error', 'a report', 'postgres', rows[0].pid, 10]],
  )
  await idle.query('rollback')
  assert.equal(await look(31_000), null)
  assert.match(String(lines.at(-1)?.msg), /no longer held back/)
})
