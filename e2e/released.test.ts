import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import pg from 'pg'
import { hitl } from '../cli/test/hitl-process.ts'
import { decode } from '../server/src/backup/archive.ts'
import * as store from '../server/src/backup/store.ts'
import { loadMigrations, migrate } from '../server/src/platform/database/migrate.ts'
import { version } from '../server/src/version.ts'
import { eventually } from '../server/test/eventually.ts'
import { createEmptyDatabase, type TestDatabase } from '../server/test/harness.ts'
import { freePort } from '../server/test/receivers.ts'
import { databaseEnvironment, login, request, startService, untilReady } from '../server/test/service-process.ts'

// The database of every released version, as that version left it (scripts/freeze-release.ts), is started with this one.

const frozen = join(import.meta.dirname, 'released')
const versions = (await readdir(frozen)).filter((name) => name.endsWith('.backup')).map((name) => name.slice(0, -7))
const folder = await mkdtemp(join(tmpdir(), 'hitl-released-'))
after(() => rm(folder, { recursive: true, force: true }))

/** The rows and the schema as the version left them, without anything that came later. */
async function thaw(file: string): Promise<TestDatabase> {
  const database = await createEmptyDatabase()
  const { header, tables } = await decode(createReadStream(file))
  const names = header.migrations.map(({ name }) => name)
  const asThen = (await loadMigrations()).filter(({ name }) => names.includes(name))
  assert.deepEqual(
    asThen.map(({ name, checksum }) => ({ name, checksum })),
    header.migrations,
    'a released migration is never edited',
  )
  await migrate(database.connection, asThen)
  const client = new pg.Client(database.connection)
  await client.connect()
  try {
    await store.beginFilling(client)
    const known = await store.tables(client)
    for await (const { table, rows } of tables) {
      const found = known.find(({ name }) => name === table)
      assert.ok(found, table)
      await store.fillTable(client, found, rows)
    }
    await client.query('commit')
  } finally {
    await client.end()
  }
  return database
}

test('there is a frozen database of this version', () => {
  assert.ok(versions.includes(version), `run node scripts/freeze-release.ts ${version}`)
})

for (const released of versions) {
  test(`the database of ${released} starts, and everything is there`, async () => {
    const facts = JSON.parse(await readFile(join(frozen, `${released}.json`), 'utf8'))
    const database = await thaw(join(frozen, `${released}.backup`))
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const common = { ...databaseEnvironment(database.connection), SECRET_KEY: facts.secret_key, DATA_DIR: folder }
    const environment = { ...common, PORT: String(port), PUBLIC_URL: url, LOG_LEVEL: 'warn' }
    const service = startService({ cwd: folder, environment })
    try {
      await untilReady(service, url)
      const key = facts.api_key
      const admin = await login(url, 'admin@example.com', facts.password)
      await login(url, 'reviewer@example.com', facts.password)
      const get = (path: string, as = key) => request(url, 'GET', `/api/v1${path}`, { as })
      for (const [name, id] of Object.entries(facts.requests)) {
        const { status, body } = await get(`/requests/${id}`)
        assert.equal(status, 200, JSON.stringify(body))
        assert.equal(body.state, facts.states[name], name)
      }
      const certificate = await get(`/requests/${facts.requests.responded}/certificate`)
      assert.equal(certificate.body.certificate, facts.certificate, JSON.stringify(certificate.body))
      const teams = await get('/teams', admin)
      assert.match(JSON.stringify(teams.body), /Operations/)

      const respond = `/api/v1/requests/${facts.requests.pending}/respond`
      const answer = await request(url, 'POST', respond, { as: admin, body: { decision: 'approve' } })
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      const redeem = `/api/v1/requests/${facts.requests.pending}/redeem`
      assert.equal((await request(url, 'POST', redeem, { as: key, body: {} })).status, 200)
      const twice = `/api/v1/requests/${facts.requests.redeemed}/redeem`
      assert.equal((await request(url, 'POST', twice, { as: key, body: {} })).status, 409, 'it was used before')
      const body = { title: 'Is everything there?', context: {} }
      assert.equal((await request(url, 'POST', '/api/v1/requests', { as: key, body })).status, 201)

      const file = join(folder, `${released}.jsonl`)
      await eventually('the new events are sealed', async () => {
        await rm(file, { force: true })
        const exported = await hitl(['audit', 'export', '--output', file, '--json'], { cwd: folder, environment })
        assert.equal(exported.code, 0, exported.stderr)
        return JSON.parse(exported.stdout).unsealed_events === 0
      })
      const verified = await hitl(['audit', 'verify', file, '--keys', url], { cwd: folder, environment })
      assert.equal(verified.code, 0, verified.stdout + verified.stderr)
      assert.match(verified.stdout, /intact/i)
      assert.equal(await service.end('SIGTERM'), 0)
    } finally {
      service.child.kill('SIGTERM')
      await service.exited
      await database.drop()
    }
  })
}
