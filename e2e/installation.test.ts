import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { commands } from '../cli/src/commands.ts'
import { commandOf, hitl, type Running, start, temporaryFolder } from '../cli/test/hitl-process.ts'

const folder = await temporaryFolder()
const environment = { DATA_DIR: join(folder.path, 'my data'), LOG_LEVEL: 'warn' }
const started = new Set<Running>()
after(async () => {
  // Stop what a failed test left running.
  for (const { child } of started) child.kill('SIGTERM')
  await Promise.all([...started].map(({ ended }) => ended))
  await folder.remove()
})

const inFolder = (args: readonly string[], more: Readonly<Record<string, string>> = {}, input = '') =>
  hitl(args, { cwd: folder.path, environment: { ...environment, ...more }, input })

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function eventually(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const patienceEnds = performance.now() + 60_000
  while (!(await condition())) {
    assert.ok(performance.now() < patienceEnds, `60 s have passed without: ${what}`)
    await delay(30)
  }
}

/** Options of audit export that only apply to a remote service. */
const remote = ['url', 'token', 'output', 'resume', 'allow-http']
/** A valid value for each option that accepts only certain values. */
const samples: Readonly<Record<string, string>> = { organization: '01a2042e-0957-7651-ae54-55629f9f03be', after: '1' }

const hasPostgres = (): boolean => existsSync(join(environment.DATA_DIR, 'postgres', 'postmaster.pid'))

async function login(url: string, username: string, password: string): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ username, password })
  const answer = await fetch(`${url}/api/v1/auth/login`, { method: 'POST', headers, body })
  assert.equal(answer.status, 200, await answer.clone().text())
  return ((await answer.json()) as { access_token: string }).access_token
}

describe('what the command passes on, the service understands', () => {
  // With these settings nothing can start: an exit code of 78 shows that the command line was understood, and nothing is touched.
  const broken = { PORT: '99999' }
  // The others do their work themselves: from a file, or over HTTP.
  const own = commands.filter(({ path }) => path !== 'audit verify' && !path.startsWith('callbacks '))
  for (const command of own) {
    for (const { line } of command.examples.filter((example) => !example.line.includes('--url'))) {
      test(line, async () => {
        const { code, stdout, stderr } = await inFolder(commandOf(line), broken)
        assert.equal(code, 78, stderr)
        assert.match(`${stdout}${stderr}`, /PORT must be a whole number/)
      })
    }
    const required = command.options.filter((option) => option.required).map(({ name }) => `--${name}=a@example.com`)
    const isShown = (name: string): boolean => command.examples.some(({ line }) => line.includes(`--${name}`))
    const others = command.options.filter(({ name }) => !remote.includes(name) && !isShown(name))
    for (const { name, value, choices } of others) {
      test(`${command.path} --${name}`, async () => {
        const given = `--${name}${value === undefined ? '' : `=${choices?.[0] ?? samples[name] ?? 'a@example.com'}`}`
        const { code, stderr } = await inFolder([...command.path.split(' '), ...new Set([...required, given])], broken)
        assert.equal(code, 78, stderr)
      })
    }
  }
})

describe('an installation, from nothing', () => {
  let port = 0
  before(async () => {
    port = await freePort()
  })
  const serve = (...args: readonly string[]): Running => {
    const more = { PORT: String(port) }
    const serving = start(['serve', ...args], { cwd: folder.path, environment: { ...environment, ...more } })
    started.add(serving)
    return serving
  }

  test('config check --connect: reports that there is no database yet, and makes none', async () => {
    const { code, stdout } = await inFolder(['config', 'check', '--connect'])
    assert.equal(code, 0)
    assert.match(stdout, /There is none in .*my data yet/)
    assert.ok(!existsSync(environment.DATA_DIR))
  })

  test('admin create before migrate: names the command to run first', async () => {
    const { code, stderr } = await inFolder(['admin', 'create', '--email', 'a@example.com', '--generate-password'])
    assert.equal(code, 1)
    assert.match(stderr, /The database lacks \d+ migrations.*Run "hitl migrate" first/)
  })

  test('migrate: applies every migration, and the second time none; the same with --json', async () => {
    const first = await inFolder(['migrate', '--json'])
    assert.equal(first.code, 0, first.stderr)
    assert.ok(JSON.parse(first.stdout).applied.includes('0001_ground.sql'))
    const second = await inFolder(['migrate'])
    assert.equal(second.stdout, 'The database is up to date.\n')
    assert.equal(second.stderr, '')
    assert.ok(!hasPostgres(), 'no server is left behind')
  })

  /** Exports the audit from the database and from the service over HTTP: both complete, and both verify with the service's keys. */
  const exportsAgree = async (url: string, token: string): Promise<void> => {
    const verify = (file: string) => inFolder(['audit', 'verify', file, '--keys', url, '--json'])
    const here = await inFolder(['audit', 'export', '-o', 'here.jsonl', '--json'])
    assert.equal(here.code, 0, here.stderr)
    const there = await inFolder(['audit', 'export', '--url', url, '-o', 'there.jsonl'], { HITL_TOKEN: token })
    assert.equal(there.code, 0, there.stderr)
    for (const file of ['here.jsonl', 'there.jsonl']) {
      const { code, stdout } = await verify(file)
      assert.equal(code, 0, stdout)
      assert.ok(JSON.parse(stdout).events >= 3)
    }
    const path = join(folder.path, 'here.jsonl')
    await writeFile(path, (await readFile(path, 'utf8')).replace('"role":"admin"', '"role":"owner"'))
    const changed = await verify('here.jsonl')
    assert.equal(changed.code, 2)
    assert.match(changed.stdout, /event\.edited/)
    const piped = await inFolder(['audit', 'export', '--format', 'csv'])
    assert.match(piped.stdout, /^"position",/)
  }

  test('admin create, then serve: the password signs in. Meanwhile more admins, exports that verify, new keys. Ctrl-C ends everything', async () => {
    const create = ['admin', 'create', '--email', 'ada@example.com', '--password-stdin']
    const made = await inFolder(create, {}, 'correct horse battery\nnotes of the password store\n')
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /^ada@example\.com is an admin of the organization /)
    assert.ok(!`${made.stdout}${made.stderr}`.includes('correct horse'))
    const serving = serve('--json')
    await eventually('it says that it listens', () => serving.stdout.includes('"event":"listening"'))
    const welcome = JSON.parse(serving.stdout.split('\n').find((line) => line.includes('listening')) ?? '{}')
    assert.equal(welcome.url, `http://localhost:${port}`)
    assert.equal(welcome.setup_url, undefined, 'there is an admin already')
    const url = `http://127.0.0.1:${port}`
    await login(url, 'ada@example.com', 'correct horse battery')
    const second = await inFolder(['admin', 'create', '--email', 'Bob@example.com', '--generate-password', '--json'])
    assert.equal(second.code, 0, second.stderr)
    const { password, role } = JSON.parse(second.stdout)
    assert.equal(role, 'admin')
    const token = await login(url, 'bob@example.com', password)
    await exportsAgree(url, token)
    const rotated = await inFolder(['keys', 'rotate', '--json'])
    assert.equal(rotated.code, 0, rotated.stderr)
    assert.ok(JSON.parse(rotated.stdout).signing_keys.length > 0)
    serving.child.kill('SIGINT')
    const { code, stderr } = await serving.ended
    assert.equal(code, 0, stderr)
    await eventually('PostgreSQL is gone', () => !hasPostgres())
  })

  test('SIGTERM during the start: ends properly and leaves no PostgreSQL behind', async () => {
    const serving = serve()
    await eventually('PostgreSQL has been started', hasPostgres)
    serving.child.kill('SIGTERM')
    assert.equal((await serving.ended).code, 0)
    assert.ok(!hasPostgres())
  })

  test('an interrupted command: the exit code of the signal, and no PostgreSQL is left behind', async () => {
    // The command waits half a minute until every process has the new data keys.
    const args = ['keys', 'rotate', '--only', 'data', '--new-data-keys']
    const rotating = start(args, { cwd: folder.path, environment })
    started.add(rotating)
    await eventually('it waits', () => rotating.stderr.includes('This waits half a minute'))
    assert.ok(hasPostgres())
    rotating.child.kill('SIGTERM')
    const { code, stderr } = await rotating.ended
    assert.equal(code, 143, stderr)
    assert.ok(!hasPostgres())
  })

  test('reads .env of the current folder', async () => {
    const path = join(folder.path, '.env')
    await writeFile(path, 'WORKERS=3\n')
    const { stdout } = await inFolder(['config', 'check', '--json'])
    assert.deepEqual(JSON.parse(stdout).settings.WORKERS, { value: '3', source: '.env' })
    await writeFile(path, '')
  })
})

test('five mistakes in the environment: each command reports all five, exit 78, no secret, no stack', async () => {
  const wrong = { PORT: '99999', ROLE: 'boss', SECRET_KEY: 'hunter2', WORKERS: 'many', REGISTRATION: 'maybe' }
  const lines = [['serve'], ['migrate'], ['seed'], ['config', 'check'], ['keys', 'rotate'], ['audit', 'export']]
  for (const args of [...lines, ['admin', 'create', '--email', 'a@example.com', '--generate-password']]) {
    const [text, json] = await Promise.all([inFolder(args, wrong), inFolder([...args, '--json'], wrong)])
    assert.equal(text.code, 78, args.join(' '))
    assert.equal(json.code, 78, args.join(' '))
    const said = `${text.stdout}${text.stderr}`
    for (const name of Object.keys(wrong)) assert.match(said, new RegExp(`^- ${name} `, 'm'))
    assert.doesNotMatch(`${said}${json.stdout}${json.stderr}`, /hunter2|\bat .*:\d+:\d+/)
    const told = JSON.parse(args[0] === 'config' ? json.stdout : json.stderr)
    assert.equal((told.mistakes ?? told.error.mistakes).length, 5)
  }
})

test('a database that does not respond: exit 69 and what to check', async () => {
  const away = { DATABASE_URL: `postgres://hitl:s3cret@localhost:${await freePort()}/hitl` }
  for (const args of [['migrate'], ['seed'], ['config', 'check', '--connect'], ['keys', 'rotate']]) {
    const { code, stdout, stderr } = await inFolder(args, away)
    assert.equal(code, 69, `${args.join(' ')}: ${stderr}`)
    assert.match(`${stdout}${stderr}`, /the database does not respond \(connect ECONNREFUSED/)
    assert.match(`${stdout}${stderr}`, /Check that it runs, and that DATABASE_URL names its host and port/)
    assert.doesNotMatch(`${stdout}${stderr}`, /s3cret|\bat .*:\d+:\d+/)
  }
})

test('it starts the service with the flags of npm start', async () => {
  const root = join(import.meta.dirname, '..')
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const source = await readFile(join(root, 'cli/src/service.ts'), 'utf8')
  const flags = [...source.matchAll(/'(--[a-z-]+=\d+)'/g)].map((match) => match[1])
  assert.equal(scripts.start, ['node', ...flags, 'server/start.mjs'].join(' '))
})
