import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { runCommand } from '../server/test/commands/command-process.ts'
import { eventually } from '../server/test/eventually.ts'
import { testServer } from '../server/test/harness.ts'
import { freePort } from '../server/test/receivers.ts'
import { externalDatabase, request, startService, untilReady } from '../server/test/service-process.ts'

const database = await externalDatabase()
const cwd = await mkdtemp(join(tmpdir(), 'hitl serve '))
const role = `serves_${randomUUID().slice(0, 8)}`
const { connection } = testServer()

/** Runs SQL as the administrator of the database server. */
async function administer(statement: string, user = connection.user): Promise<void> {
  const client = new pg.Client({ ...connection, user, database: 'postgres' })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

await administer(`create role ${role} login password 'serves' in role hitl_app`)
after(async () => {
  await database.drop()
  await administer(`drop role ${role}`)
  await rm(cwd, { recursive: true, force: true })
})

/** The same database as a role that may change rows but not the schema. */
function asServer(): Readonly<Record<string, string>> {
  const url = new URL(database.environment.DATABASE_URL)
  url.searchParams.set('user', role)
  url.searchParams.set('password', 'serves')
  return { DATABASE_URL: url.href, DATA_DIR: join(cwd, 'data'), LOG_LEVEL: 'warn' }
}

test('as a role that may not change the schema: serves after another role migrated, and other commands work', async () => {
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

test('the same when the database lacks a migration: exit 1, and the command to run first', async () => {
  await database.sql('delete from schema_migrations where name = (select max(name) from schema_migrations)')
  const port = await freePort()
  const service = startService({ cwd, environment: { ...asServer(), PORT: String(port) } })
  assert.equal(await service.exited, 1)
  assert.match(service.stderr, /The database lacks \d{4}_\S+\. Run "hitl migrate" first/)
  assert.doesNotMatch(service.stderr, /\bat .*:\d+:\d+/)
  const migrated = await runCommand(['migrate'], { environment: asServer(), cwd })
  assert.equal(migrated.code, 78, 'it may not either')
  assert.match(migrated.stderr, /The database refuses the connection: permission denied/)
})

describe('as the owner of the tables, who cannot take the application role', () => {
  const owner = `${role}_owner`
  before(async () => {
    await administer(`create role ${owner} login password 'serves'`)
    await administer(`grant ${owner} to current_user`)
    await administer(`create database ${owner} owner ${owner}`)
  })
  after(async () => {
    // As the superuser, because only a superuser may end a vacuum that has just begun.
    await administer(`drop database ${owner} with (force)`, 'postgres')
    await administer(`drop role ${owner}`)
  })
  const url = new URL(asServer().DATABASE_URL ?? '')
  url.pathname = `/${owner}`
  url.searchParams.set('user', owner)
  const SECRET_KEY = randomUUID() + randomUUID()
  const environment = async (NODE_ENV: string) => {
    const PORT = String(await freePort())
    return { DATABASE_URL: url.href, DATA_DIR: join(cwd, 'owner'), LOG_LEVEL: 'warn', SECRET_KEY, NODE_ENV, PORT }
  }
  const statements = [`create role hitl_app nologin`, `grant hitl_app to "${owner}"`]
  const check = async (NODE_ENV: string) => {
    const ended = await runCommand(['config', 'check', '--connect', '--json'], {
      environment: await environment(NODE_ENV),
      cwd,
    })
    return { code: ended.code, report: JSON.parse(ended.stdout) }
  }
  const told = (text: string) =>
    assert.ok(
      statements.every((statement) => text.includes(statement)),
      text,
    )
  const serves = async (NODE_ENV: string) => {
    const settings = await environment(NODE_ENV)
    const service = startService({ cwd, environment: settings })
    try {
      await untilReady(service, `http://127.0.0.1:${settings.PORT}`)
    } finally {
      assert.equal(await service.end('SIGTERM'), 0)
    }
    return service
  }

  test('development: it serves and warns; config check warns', async () => {
    const service = await serves('development')
    const warnings = service.log.filter((line) => String(line.msg).includes('cannot take the role'))
    assert.equal(warnings.length, 1)
    told(String(warnings[0]?.msg))
    const { code, report } = await check('development')
    assert.equal(code, 0)
    told(report.warnings.map((warning: { message: string }) => warning.message).join())
  })

  test('production: exit 78 with the SQL that an administrator runs; config check too', async () => {
    const service = startService({ cwd, environment: await environment('production') })
    assert.equal(await service.exited, 78)
    told(service.stderr)
    assert.doesNotMatch(service.stderr, /\bat .*:\d+:\d+/)
    const { code, report } = await check('production')
    assert.equal(code, 78)
    assert.equal(report.ok, false)
    told(report.database.error.message)
  })

  test('production: config check exits with 78 before the first migration too', async () => {
    await administer(`create database ${owner}_new owner ${owner}`)
    url.pathname = `/${owner}_new`
    const { code, report } = await check('production')
    url.pathname = `/${owner}`
    await administer(`drop database ${owner}_new`)
    assert.equal(code, 78)
    told(report.database.error.message)
  })

  test('production: serves once that SQL was run', async () => {
    await administer(statements[1] ?? '')
    await serves('production')
    const { code, report } = await check('production')
    assert.equal(code, 0, JSON.stringify(report))
  })
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
