import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import pg from 'pg'
import { testServer } from '../harness.ts'
import { freePort } from '../receivers.ts'
import { eventually, externalDatabase, request, startService, untilReady } from '../service-process.ts'
import { runCommand } from './command-process.ts'

const database = await externalDatabase()
const cwd = await mkdtemp(join(tmpdir(), 'hitl serve '))
const role = `serves_${randomUUID().slice(0, 8)}`
const { connection } = testServer()

/** As the administrator of the database server. */
async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ ...connection, database: 'postgres' })
  await client.connect()
  await client.query(statement)
  await client.end()
}

await administer(`create role ${role} login password 'serves' in role hitl_app`)
after(async () => {
  await database.drop()
  await administer(`drop role ${role}`)
  await rm(cwd, { recursive: true, force: true })
})

/** The same database, signed in as a role that may change rows and not the schema. */
function asServer(): Readonly<Record<string, string>> {
  const url = new URL(database.environment.DATABASE_URL)
  url.searchParams.set('user', role)
  url.searchParams.set('password', 'serves')
  return { DATABASE_URL: url.href, DATA_DIR: join(cwd, 'data'), LOG_LEVEL: 'warn' }
}

test('as a role that may not change the schema: serves what another one has migrated, and other commands work', async () => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const service = startService({ cwd, environment: { ...asServer(), PORT: String(port) } })
  try {
    await untilReady(service, url)
    await eventually('it has said so', () => service.stdout.includes('is listening.'))
    const token = /\/setup#(\S+)/.exec(service.stdout)?.[1]
    const account = { email: 'first@example.com', password: 'correct horse battery', invitation: token }
    const registered = await request(url, 'POST', '/api/v1/auth/register', { body: account })
    assert.equal(registered.status, 201, JSON.stringify(registered.body))
    const line = ['admin', 'create', '--email', 'second@example.com', '--generate-password']
    const made = await runCommand(line, { environment: asServer(), cwd })
    assert.equal(made.code, 0, made.stderr)
    const checked = await runCommand(['config', 'check', '--connect', '--json'], { environment: asServer(), cwd })
    assert.equal(checked.code, 0, checked.stdout)
    assert.equal(JSON.parse(checked.stdout).database.user, role)
  } finally {
    assert.equal(await service.end('SIGTERM'), 0)
  }
})

test('the same when the database lacks a migration: exit 1, and which command comes first', async () => {
  await database.sql('delete from schema_migrations where name = (select max(name) from schema_migrations)')
  const port = await freePort()
  const service = startService({ cwd, environment: { ...asServer(), PORT: String(port) } })
  assert.equal(await service.exited, 1)
  assert.match(service.stderr, /The database lacks \d{4}_\S+\. Run "hitl migrate" first/)
  assert.doesNotMatch(service.stderr, /\bat .*:\d+:\d+/)
  const migrated = await runCommand(['migrate'], { environment: asServer(), cwd })
  assert.equal(migrated.code, 78, 'it may not either')
  assert.match(migrated.stderr, /The database refuses us: permission denied/)
})

test('--json: the welcome as one line, between log lines that are JSON too', async () => {
  const other = await externalDatabase()
  const port = await freePort()
  const environment = { ...other.environment, DATA_DIR: join(cwd, 'other'), PORT: String(port) }
  const service = startService({ cwd, environment, command: 'serve', more: ['--json'] })
  try {
    await eventually('it has said so', () => service.stdout.includes('"event":"listening"'))
    const welcome = service.log.find((line) => line.event === 'listening')
    assert.equal(welcome?.url, `http://localhost:${port}`)
    assert.match(String(welcome?.setup_url), /\/setup#/)
  } finally {
    assert.equal(await service.end('SIGTERM'), 0)
    await other.drop()
  }
  for (const line of service.stdout.split('\n').filter((text) => text !== '')) JSON.parse(line)
})
