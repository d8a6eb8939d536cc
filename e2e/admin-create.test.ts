import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import pg from 'pg'
import { type Ended, runCommand } from '../server/test/commands/command-process.ts'
import { eventually } from '../server/test/eventually.ts'
import { freePort } from '../server/test/receivers.ts'
import {
  externalDatabase,
  login,
  request,
  type ServiceProcess,
  startService,
  untilReady,
} from '../server/test/service-process.ts'

const database = await externalDatabase()
const cwd = await mkdtemp(join(tmpdir(), 'hitl admin '))
const services = new Set<ServiceProcess>()
after(async () => {
  // Stop what a failed test left running.
  for (const service of services) service.child.kill('SIGTERM')
  await Promise.all([...services].map((service) => service.exited))
  await database.drop()
  await rm(cwd, { recursive: true, force: true })
})
const environment = { ...database.environment, DATA_DIR: join(cwd, 'data') }
const password = 'correct horse battery'

function create(email: string, args: readonly string[] = [], input = `${password}\n`): Promise<Ended> {
  const how = args.includes('--generate-password') ? [] : ['--password-stdin']
  return runCommand(['admin', 'create', '--email', email, ...how, ...args], { environment, cwd, input })
}

/** The audit of the organization as text. It sets the scope, because row-level security is forced on the owner too. */
async function auditOf(organizationId: string): Promise<string> {
  const client = new pg.Client(database.connection)
  await client.connect()
  await client.query("select set_config('hitl.organization', $1, false)", [organizationId])
  const { rows } = await client.query("select kind, record, erasable from events where kind = 'user.registered'")
  await client.end()
  return JSON.stringify(rows)
}

async function running() {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const service = startService({ cwd, environment: { ...environment, PORT: String(port), LOG_LEVEL: 'warn' } })
  services.add(service)
  await untilReady(service, url)
  await eventually('it has said so', () => service.stdout.includes('is listening.'))
  return { service, url }
}

test('before there is any account: creates an admin and reports it; the next start prints no set-up link', async () => {
  const { code, stdout, stderr } = await create('ada@example.com', ['--name', 'Ada Lovelace'])
  assert.equal(code, 0, stderr)
  assert.match(
    stdout,
    /^ada@example\.com is an admin of the organization [0-9a-f-]{36}\.\nThey sign in at http.*\/docs/,
  )
  assert.equal(stderr, '')
  const { service, url } = await running()
  assert.doesNotMatch(service.stdout, /setup#/)
  const me = await request(url, 'GET', '/api/v1/auth/me', { as: await login(url, 'ADA@example.com', password) })
  assert.equal(me.body.name, 'Ada Lovelace')
  assert.equal(me.body.role, 'admin')
  assert.equal(await service.end('SIGTERM'), 0)
})

test('while the service runs: the new owner can sign in at once, and the audit records the command', async () => {
  const { service, url } = await running()
  const made = await create('olga@example.com', ['--role', 'owner', '--generate-password', '--json'], '')
  assert.equal(made.code, 0, made.stderr)
  const facts = JSON.parse(made.stdout)
  assert.equal(facts.role, 'owner')
  const token = await login(url, 'olga@example.com', facts.password)
  const me = await request(url, 'GET', '/api/v1/auth/me', { as: token })
  assert.equal(me.body.id, facts.id)
  assert.equal(await service.end('SIGTERM'), 0)
  const events = await auditOf(facts.organization_id)
  assert.ok(events.includes(facts.id))
  assert.match(events, /hitl admin create/)
  assert.ok(!events.includes(facts.password))
})

describe('refused, exit 1, nothing changed and no password repeated', () => {
  for (const [what, email, args, input, says] of [
    [
      'somebody who is there already',
      'Ada@Example.com',
      [],
      'another password\n',
      /There is already an account Ada@Example\.com/,
    ],
    ['a second owner', 'otto@example.com', ['--role', 'owner'], undefined, /has an owner already/],
    [
      'an organization that is not there',
      'otto@example.com',
      ['--organization', '01a2042e-0957-7651-ae54-55629f9f03be'],
      undefined,
      /no organization 01a2042e/,
    ],
    ['a password that is too short', 'otto@example.com', [], 'sh0rt\n', /password must be/],
    ['a password that is too long', 'otto@example.com', [], `${'l0ng'.repeat(20)}\n`, /password must be/],
    ['no address', 'otto', [], undefined, /email must be an email address/],
  ] as const) {
    test(what, async () => {
      const { code, stdout, stderr } = await create(email, args, input)
      assert.equal(code, 1, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, says)
      assert.doesNotMatch(stderr, /sh0rt|l0ngl0ng|another password|\bat .*:\d+:\d+/)
    })
  }

  test('and the first password still works', async () => {
    const { service, url } = await running()
    await login(url, 'ada@example.com', password)
    assert.equal(await service.end('SIGTERM'), 0)
  })
})

describe('a command line that cannot work: exit 64', () => {
  for (const [what, args, input, says] of [
    [
      'no terminal and no other way to a password',
      [],
      '',
      /no terminal to ask.*\n.*--password-stdin.*--generate-password/,
    ],
    ['two ways to a password', ['--password-stdin', '--generate-password'], '', /not both/],
    ['nothing on standard input', ['--password-stdin'], '', /Standard input held no password/],
    ['an organization that is no id', ['--organization', 'Default', '--generate-password'], '', /a UUID/],
    ['an unknown role', ['--role', 'root', '--generate-password'], '', /one of: owner, admin/],
    ['a password as an option', ['--password', 'hunter2-hunter2'], '', /Unknown option '--password'/],
  ] as const) {
    test(what, async () => {
      const line = ['admin', 'create', '--email', 'otto@example.com', ...args]
      const { code, stdout, stderr } = await runCommand(line, { environment, cwd, input })
      assert.equal(code, 64, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, says)
      assert.ok(!stderr.includes('hunter2'))
    })
  }
})

test('a database that lacks migrations: exit 1, and the message names hitl migrate', async (c) => {
  const behind = await externalDatabase()
  c.after(() => behind.drop())
  await behind.sql("delete from schema_migrations where name >= '0006'")
  const line = ['admin', 'create', '--email', 'otto@example.com', '--generate-password', '--json']
  const { code, stdout, stderr } = await runCommand(line, {
    environment: { ...environment, ...behind.environment },
    cwd,
  })
  assert.equal(code, 1)
  assert.equal(stdout, '', 'no password for nobody')
  const { error } = JSON.parse(stderr)
  assert.equal(error.code, 'database.behind')
  assert.match(error.message, /Run "hitl migrate" first/)
})
