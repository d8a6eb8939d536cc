import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { createLog } from '../../../src/platform/log.ts'
import { eventually } from '../../eventually.ts'
import { startTestApp } from '../../harness.ts'

test('a session that holds locks is named in one line, and not in one for each call that waits for it', async (context) => {
  const lines: Record<string, unknown>[] = []
  const log = createLog('info', false, { write: (line) => void lines.push(JSON.parse(line)) })
  const t = await startTestApp({ log, workers: false, environment: { DATABASE_STATEMENT_SECONDS: '1' } })
  const forgotten = new pg.Client({ ...t.connection, user: 'postgres', application_name: 'psql of somebody' })
  await forgotten.connect()
  context.after(async () => {
    await forgotten.end()
    await t.stop()
  })
  const said = () => lines.filter(({ level }) => level === 'warn' || level === 'error')
  const read = () => t.call('GET', '/api/v1/requests', { as: t.apiKey })
  await forgotten.query('begin')
  await forgotten.query('lock table consultation_requests')
  const { rows } = await forgotten.query('select pg_backend_pid() as pid')
  let refused = 0
  await eventually('the line', async () => {
    const replies = await Promise.all([read(), read(), read()])
    for (const { status, body } of replies) assert.deepEqual([status, body.code], [503, 'service.unavailable'])
    refused += replies.length
    return said().some(({ backend }) => backend !== undefined)
  })
  const named = said().filter(({ backend }) => backend !== undefined)
  assert.deepEqual(
    named.map(({ level, backend, application, database }) => [level, backend, application, database]),
    [['error', rows[0].pid, 'psql of somebody', t.connection.database]],
  )
  assert.match(String(named[0]?.msg), /end it$/)
  // At most the other sentence too, where nothing waited at the first look.
  assert.ok(said().length <= 2 && refused >= 3, JSON.stringify(said().map(({ msg }) => msg)))
})
