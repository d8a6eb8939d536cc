import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { runCommand } from '../server/test/commands/command-process.ts'
import { externalDatabase } from '../server/test/service-process.ts'

const database = await externalDatabase()
const cwd = await mkdtemp(join(tmpdir(), 'hitl export '))
const environment = { ...database.environment, DATA_DIR: join(cwd, 'data'), NODE_ENV: 'development' }
after(async () => {
  await database.drop()
  await rm(cwd, { recursive: true, force: true })
})

const exported = (...args: readonly string[]) => runCommand(['audit', 'export', ...args], { environment, cwd })
const installation = '00000000-0000-0000-0000-000000000000'
let organizationId = ''

before(async () => {
  const none = await exported()
  assert.equal(none.code, 1)
  assert.match(none.stderr, /There is no organization yet/)
  const seeded = await runCommand(['seed', '--json'], { environment, cwd })
  assert.equal(seeded.code, 0, seeded.stderr)
})

test('JSONL: header, every event, seals, end; the next export has an event that this one was made', async () => {
  const { code, stdout, stderr } = await exported()
  assert.equal(code, 0, stderr)
  assert.equal(stderr, '')
  const lines = stdout.split('\n')
  assert.equal(lines.pop(), '')
  const header = JSON.parse(lines[0] ?? '')
  organizationId = header.organization_id
  assert.equal(header.first_seal, 1)
  assert.match(lines.at(-1) ?? '', /^\{"end":"/)
  const kinds = lines.flatMap((line) => JSON.parse(line).record?.kind ?? [])
  assert.ok(kinds.includes('user.registered') && kinds.includes('request.created'), kinds.join())
  const next = await exported('--after', '1')
  const events = next.stdout.split('\n').flatMap((line) => (line === '' ? [] : (JSON.parse(line).record ?? [])))
  const taken = events.find(({ kind }) => kind === 'audit.exported')
  assert.equal(taken?.actor.kind, 'system')
  assert.equal(taken?.http_request_id, 'hitl audit export')
  assert.ok(!next.stdout.includes('"user.registered"'), 'only what came later')
})

test('CSV, and the events of the installation itself', async () => {
  const csv = await exported('--format', 'csv', '--organization', organizationId)
  assert.equal(csv.code, 0, csv.stderr)
  assert.match(csv.stdout, /^"position","id","occurred_at","kind"/)
  const own = await exported('--organization', installation)
  assert.equal(own.code, 0, own.stderr)
  assert.match(own.stdout, /"signing_key\.created"/)
})

test('something that does not exist: exit 1; a wrong command line: exit 64; nothing on standard output', async () => {
  for (const [args, code, says] of [
    [['--after', '4711'], 1, /There is no seal 4711/],
    [['--organization', '01a2042e-0957-7651-ae54-55629f9f03be'], 1, /There is no organization 01a2042e/],
    [['--organization', 'Default'], 64, /a UUID/],
    [['--format', 'xml'], 64, /one of: jsonl, csv/],
    [['--after', 'x'], 64, /number of a seal/],
    [['--output', 'x'], 64, /Unknown option '--output'/],
  ] as const) {
    const ended = await exported(...args)
    assert.equal(ended.code, code, `${args}: ${ended.stderr}`)
    assert.equal(ended.stdout, '')
    assert.match(ended.stderr, says)
  }
})

test('with several organizations one must be named: exit 64 with the list of them', async () => {
  const client = new pg.Client(database.connection)
  await client.connect()
  const second = '01a2042e-0957-7651-ae54-000000000001'
  await client.query("select set_config('hitl.organization', $1, false)", [second])
  await client.query("insert into organizations (organization_id, name) values ($1, 'Second')", [second])
  await client.end()
  const { code, stderr } = await exported()
  assert.equal(code, 64)
  assert.match(stderr, /There are 2 organizations\.\nName one with --organization: /)
  assert.ok(stderr.includes(second) && stderr.includes(organizationId))
  assert.equal((await exported('--organization', second)).code, 0)
})
