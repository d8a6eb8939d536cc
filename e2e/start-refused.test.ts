import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { runCommand } from '../server/test/commands/command-process.ts'
import { freePort } from '../server/test/receivers.ts'
import { externalDatabase, login, passedOn, request, startService, untilReady } from '../server/test/service-process.ts'

const cwd = await mkdtemp(join(tmpdir(), 'hitl refused '))
after(() => rm(cwd, { recursive: true, force: true }))

/** One that does not end by itself is killed after this time, long enough for a busy machine. */
const patienceMs = 60_000

async function refused(environment: Readonly<Record<string, string>>) {
  const service = startService({ cwd, environment: { PORT: '0', ...environment } })
  const patience = setTimeout(() => service.child.kill('SIGKILL'), patienceMs)
  const code = await service.exited
  clearTimeout(patience)
  assert.doesNotMatch(service.stderr, /\bat .*:\d+:\d+/)
  return { code, stderr: service.stderr }
}

describe('an older Node', () => {
  const start = join(import.meta.dirname, '../server/start.mjs')
  const says = async (node: string, flags: readonly string[]) => {
    const { stderr, code } = await promisify(execFile)(node, [...flags, start], {
      cwd,
      env: { PATH: passedOn.PATH },
    }).then(
      () => assert.fail('it started'),
      (error: { readonly stderr: string; readonly code: number }) => error,
    )
    assert.match(stderr, /^hitl: the service needs Node 24 or later, and this is v\d+\S*\. Run "npm start"[^\n]*\n$/)
    assert.equal(code, 78)
  }

  test('one that reports an older version: a sentence, exit 78', async () => {
    const older = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.1.0" } })'
    await says(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(older)}`])
  })

  test('every older one on this machine: the same', async () => {
    const found = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'))
    for (const node of found.filter((path) => existsSync(path))) {
      const { stdout } = await promisify(execFile)(node, ['--version'])
      if (Number.parseInt(stdout.slice(1), 10) < 24) await says(node, [])
    }
  })
})

describe('DATA_DIR where no folder can be', () => {
  for (const DATA_DIR of ['/proc/hitl', '/proc/hitl/data', '/dev/null', '/dev/null/data']) {
    test(`${DATA_DIR}: a sentence at once`, { skip: process.platform !== 'linux' }, async () => {
      const { code, stderr } = await refused({ DATA_DIR })
      assert.equal(code, 1)
      assert.match(stderr, /^hitl: The data folder \S+ (cannot be used by this account|is not a folder)\./)
    })
  }
})

describe('the place to listen', () => {
  test('a port that is taken: known before the database is made', async (context) => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    context.after(() => other.close())
    const DATA_DIR = join(cwd, 'never made')
    const { code, stderr } = await refused({ DATA_DIR, PORT: String((other.address() as AddressInfo).port) })
    assert.equal(code, 1)
    assert.match(stderr, /EADDRINUSE[^\n]*\nSet PORT to another port, or stop the program that has this one/)
    assert.ok(!existsSync(DATA_DIR))
  })

  for (const HOST of ['203.0.113.7', 'no-such-host.invalid']) {
    test(`HOST=${HOST}: exit 78, and what to set`, async () => {
      const { code, stderr } = await refused({ DATA_DIR: join(cwd, 'never made'), HOST })
      assert.equal(code, 78)
      assert.match(stderr, /^- HOST is no address of this machine \(.*\): set it to one, such as 127\.0\.0\.1/m)
    })
  }
})

test('first in development, then in production with another SECRET_KEY: exit 78 naming the key, in check as in serve', async (context) => {
  const database = await externalDatabase()
  context.after(() => database.drop())
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const environment = { ...database.environment, DATA_DIR: join(cwd, 'data'), PORT: String(port) }
  const first = startService({ cwd, environment: { ...environment, DEMO: 'true', NODE_ENV: 'development' } })
  await untilReady(first, url)
  const key = /Sample API key +(\S+)/.exec(first.stdout)?.[1] ?? assert.fail(first.stdout)
  const made = await request(url, 'POST', '/api/v1/requests', { as: key, body: { title: 'May I?', context: {} } })
  const token = await login(url, 'reviewer@example.com', 'password123')
  const path = `/api/v1/requests/${made.body.id}/respond`
  assert.equal((await request(url, 'POST', path, { as: token, body: { decision: 'approve' } })).status, 200)
  assert.equal(await first.end('SIGTERM'), 0)

  const production = { ...environment, NODE_ENV: 'production', SECRET_KEY: randomUUID() + randomUUID() }
  const mistake =
    /SECRET_KEY is not the one that data key [0-9a-f-]{36} of this database was sealed with \("secret-key"\)/
  const second = await refused({ ...production, PORT: String(port) })
  assert.equal(second.code, 78)
  assert.match(second.stderr, mistake)
  const checked = await runCommand(['config', 'check', '--connect'], { cwd, environment: production })
  assert.equal(checked.code, 78)
  assert.match(checked.stdout, mistake)
  const { SECRET_KEY: _, ...generated } = production
  const fine = await runCommand(['config', 'check', '--connect'], {
    cwd,
    environment: { ...generated, NODE_ENV: 'test' },
  })
  assert.equal(fine.code, 0, fine.stdout)
})

test('the sessions of the database say what they are and where they run', async (context) => {
  const database = await externalDatabase()
  context.after(() => database.drop())
  const port = await freePort()
  const environment = { ...database.environment, DATA_DIR: join(cwd, 'named'), PORT: String(port), ROLE: 'all' }
  const service = startService({ cwd, environment })
  await untilReady(service, `http://127.0.0.1:${port}`)
  const rows = await database.sql(
    `select distinct application_name as name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )
  assert.equal(await service.end('SIGTERM'), 0)
  assert.equal(rows.length, 1, JSON.stringify(rows))
  assert.match(String(rows[0]?.name), new RegExp(`^hitl all \\S+:${service.pid}$`))
})
