import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { samples } from '../server/src/samples.ts'
import { eventually } from '../server/test/eventually.ts'
import { freePort } from '../server/test/receivers.ts'
import {
  externalDatabase,
  isRunning,
  login,
  postmasterOf,
  request,
  type ServiceOptions,
  type ServiceProcess,
  startService,
  untilReady,
} from '../server/test/service-process.ts'

const base = await mkdtemp(join(tmpdir(), 'hitl processes ü '))
const services = new Set<ServiceProcess>()

after(async () => {
  // Stop what a failed test left behind, gracefully, so that their databases stop too.
  for (const service of services) if (await isRunning(service.pid)) service.child.kill('SIGTERM')
  await Promise.all([...services].map((service) => service.exited))
  await rm(base, { recursive: true, force: true })
})

let folders = 0
async function newFolder(): Promise<string> {
  folders += 1
  const folder = join(base, `number ${folders}`)
  await mkdir(folder)
  return folder
}

function start(options: ServiceOptions): ServiceProcess {
  const service = startService(options)
  services.add(service)
  return service
}

/** A running service on its own port. */
async function running(options: ServiceOptions) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const service = start({ ...options, environment: { PORT: String(port), ...options.environment } })
  await untilReady(service, url)
  await eventually('it has said so', () => service.stdout.includes('is listening.'))
  return { service, url, port }
}

const createBody = { title: 'May I?', context: {} }

/** A call whose body is sent later, so that it is under way until `finish`. */
async function callUnderWay(port: number, key: string) {
  const body = JSON.stringify(createBody)
  const socket = connect(port, '127.0.0.1')
  const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve))
  await once(socket, 'connect')
  let reply = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    reply += text
  })
  socket.write(
    `POST /api/v1/requests HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key}\r\nexpect: 100-continue\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`,
  )
  await eventually('the head has been read', () => reply.startsWith('HTTP/1.1 100'))
  return {
    finish: async () => {
      socket.write(body)
      await closed
      return reply.replace('HTTP/1.1 100 Continue\r\n\r\n', '')
    },
  }
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return once(socket, 'connect').then(
    () => {
      socket.destroy()
      return false
    },
    () => true,
  )
}

describe('the first start in an empty folder with spaces in its path', () => {
  test('prints a set-up link that creates one admin; the next start uses the same data', async () => {
    const cwd = await newFolder()
    await writeFile(join(cwd, '.env'), 'DATA_DIR=./my data\nLOG_LEVEL=warn\n')
    const dataDir = join(cwd, 'my data')
    const first = await running({ cwd, environment: { LOG_LEVEL: '' } })
    const token = /\/setup#(\S+)/.exec(first.service.stdout)?.[1]
    assert.ok(token, first.service.stdout)
    assert.match(first.service.stdout, new RegExp(`Service +http://localhost:${first.port}\n`))
    const account = { email: 'first@example.com', password: 'correct horse', invitation: token }
    const registered = await request(first.url, 'POST', '/api/v1/auth/register', { body: account })
    assert.equal(registered.status, 201, JSON.stringify(registered.body))
    assert.equal(registered.body.role, 'admin')
    const again = { ...account, email: 'second@example.com' }
    const refused = await request(first.url, 'POST', '/api/v1/auth/register', { body: again })
    assert.ok(refused.status === 403 || refused.status === 422, `${refused.status}: the link works once`)
    const accessToken = await login(first.url, account.email, account.password)
    const postgres = await postmasterOf(dataDir)
    assert.ok(postgres > 0)
    assert.equal(await first.service.end('SIGTERM'), 0)
    assert.equal(first.service.stderr, '')
    await eventually('PostgreSQL is gone', async () => !(await isRunning(postgres)))
    assert.equal(await postmasterOf(dataDir), 0)

    const second = await running({ cwd, environment: { LOG_LEVEL: '' } })
    assert.doesNotMatch(second.service.stdout, /setup#/)
    const me = await request(second.url, 'GET', '/api/v1/auth/me', { as: accessToken })
    assert.equal(me.status, 200, 'the generated SECRET_KEY has stayed')
    assert.equal(me.body.email, account.email)
    assert.equal(await second.service.end('SIGINT'), 0)
    assert.equal(await postmasterOf(dataDir), 0)
  })

  test('from a copy of the program whose path has spaces: serves', async (c) => {
    const cwd = await newFolder()
    const copy = join(cwd, 'a copy of it')
    const server = join(import.meta.dirname, '../server')
    for (const name of ['src', 'migrations', 'package.json'])
      await cp(join(server, name), join(copy, 'server', name), { recursive: true })
    await symlink(join(server, '..', 'node_modules'), join(copy, 'node_modules'))
    const database = await externalDatabase()
    c.after(() => database.drop())
    const main = join(copy, 'server', 'src', 'main.ts')
    const { service, url } = await running({ cwd, main, environment: database.environment })
    assert.equal((await request(url, 'GET', '/docs')).status, 200)
    assert.equal(await service.end('SIGTERM'), 0)
  })
})

describe('the commands', () => {
  test('migrate brings an empty database up to date, and changes nothing the second time; seed twice makes no duplicates', async () => {
    const cwd = await newFolder()
    const environment = { DATA_DIR: 'data' }
    const migrated = start({ cwd, environment, command: 'migrate' })
    assert.equal(await migrated.exited, 0, migrated.stderr)
    assert.match(migrated.stdout, /Applied 0001_\S+, 0002_/)
    const again = start({ cwd, environment, command: 'migrate' })
    assert.equal(await again.exited, 0, again.stderr)
    assert.match(again.stdout, /The database is up to date\./)
    const keys: unknown[] = []
    for (const _ of [1, 2]) {
      const seeded = start({ cwd, environment, command: 'seed' })
      assert.equal(await seeded.exited, 0, seeded.stderr)
      assert.match(seeded.stdout, /admin@example\.com and reviewer@example\.com, password password123/)
      keys.push(/Sample API key +(\S+)/.exec(seeded.stdout)?.[1])
    }
    assert.equal(await postmasterOf(join(cwd, 'data')), 0, 'no server is left behind')
    const { service, url } = await running({ cwd, environment })
    const token = await login(url, 'admin@example.com', 'password123')
    const requests = await request(url, 'GET', '/api/v1/requests', { as: token })
    assert.equal(requests.body.total, samples.length)
    const apiKeys = await request(url, 'GET', '/api/v1/api-keys', { as: token })
    assert.equal(apiKeys.body.length, new Set(samples.map(({ by }) => by)).size)
    assert.equal(keys[0], keys[1])
    const created = await request(url, 'POST', '/api/v1/requests', { as: String(keys[0]), body: createBody })
    assert.equal(created.status, 201)
    assert.equal(await service.end('SIGTERM'), 0)
  })

  test('an unknown one: exit 64 with the list of commands', async () => {
    const service = start({ cwd: await newFolder(), command: 'sede' as 'seed' })
    assert.equal(await service.exited, 64)
    assert.match(service.stderr, /Unknown command "sede". Use serve/)
  })

  test('mistakes in the configuration: all of them at once, exit 78, nothing is created', async () => {
    const environment = { PORT: '99999', ROLE: 'boss', SECRET_KEY: 'short', WORKERS: 'many', DATA_DIR: 'data' }
    for (const command of ['serve', 'migrate', 'seed'] as const) {
      const service = start({ cwd: await newFolder(), command, environment })
      assert.equal(await service.exited, 78)
      assert.match(service.stderr, /The configuration has 4 mistakes:\n/)
      for (const name of ['PORT', 'ROLE', 'SECRET_KEY', 'WORKERS'])
        assert.match(service.stderr, new RegExp(`^- ${name} `, 'm'))
      assert.doesNotMatch(service.stderr, /short|at .*\.ts/, 'neither the secret nor a stack')
    }
  })

  test('seed in production: refused, exit 78', async () => {
    const environment = { NODE_ENV: 'production' }
    const service = start({ cwd: await newFolder(), command: 'seed', environment })
    assert.equal(await service.exited, 78)
    assert.match(service.stderr, /refused when NODE_ENV is production/)
  })
})

test('DEMO=true prints logins and a key that work, over HTTP', async (c) => {
  const database = await externalDatabase()
  c.after(() => database.drop())
  const environment = { ...database.environment, DEMO: 'true' }
  const { service, url } = await running({ cwd: await newFolder(), environment })
  const logins = /Sample logins +(\S+) and (\S+), password (\S+)/.exec(service.stdout)
  const key = /Sample API key +(\S+)/.exec(service.stdout)?.[1] ?? ''
  assert.ok(logins, service.stdout)
  const created = await request(url, 'POST', '/api/v1/requests', { as: key, body: createBody })
  assert.equal(created.status, 201, JSON.stringify(created.body))
  for (const email of logins.slice(1, 3)) {
    const token = await login(url, email, logins[3] ?? '')
    const list = await request(url, 'GET', '/api/v1/requests', { as: token })
    assert.equal(list.body.total, samples.length + 1)
  }
  const lines = service.log.map((line) => JSON.stringify(line)).join('\n')
  assert.ok(!lines.includes(key.slice(-20)) && !lines.includes('password123'), 'no log line shows them')
  assert.equal(await service.end('SIGTERM'), 0)
})

describe('one process', () => {
  test('SIGTERM: no new calls are accepted, calls under way get their reply, exit code 0', async (c) => {
    const database = await externalDatabase()
    c.after(() => database.drop())
    const environment = { ...database.environment, DEMO: 'true' }
    const { service, url, port } = await running({ cwd: await newFolder(), environment })
    const key = /Sample API key +(\S+)/.exec(service.stdout)?.[1] ?? ''
    const call = await callUnderWay(port, key)
    service.child.kill('SIGTERM')
    await eventually('new connections are refused', () => isRefused(port))
    assert.equal(await isRunning(service.pid), true)
    assert.match(await call.finish(), /^HTTP\/1\.1 201 Created\r\n/)
    assert.equal(await service.exited, 0, service.stderr)
    await assert.rejects(request(url, 'GET', '/livez'))
    const [rows] = await database.sql('select count(*)::int from consultation_requests')
    assert.equal(rows?.count, samples.length + 1)
    const [sessions] = await database.sql(
      "select count(*)::int from pg_stat_activity where datname = current_database() and application_name like 'hitl%'",
    )
    assert.equal(sessions?.count, 0)
  })

  test('signals that come together are one stop; another one a second later exits at once', async (c) => {
    const database = await externalDatabase()
    c.after(() => database.drop())
    const environment = { ...database.environment, DEMO: 'true' }
    const { service, port } = await running({ cwd: await newFolder(), environment })
    const call = await callUnderWay(port, /Sample API key +(\S+)/.exec(service.stdout)?.[1] ?? '')
    service.child.kill('SIGTERM')
    service.child.kill('SIGINT')
    await eventually('new connections are refused', () => isRefused(port))
    assert.equal(await isRunning(service.pid), true)
    await eventually('a later signal ends it', async () => {
      service.child.kill('SIGTERM')
      return !(await isRunning(service.pid))
    })
    assert.equal(await service.exited, 1)
    assert.equal(await call.finish(), '')
  })

  test('a signal during the start: shuts down properly and leaves no PostgreSQL behind', async () => {
    const cwd = await newFolder()
    const service = start({ cwd, environment: { DATA_DIR: 'data', PORT: String(await freePort()) } })
    await eventually('PostgreSQL has been started', async () => (await postmasterOf(join(cwd, 'data'))) > 0)
    assert.equal(await service.end('SIGTERM'), 0, service.stderr)
    assert.equal(await postmasterOf(join(cwd, 'data')), 0)
  })

  for (const workers of ['1', '2']) {
    test(`a port that is taken, WORKERS=${workers}: says so and ends`, async (c) => {
      const database = await externalDatabase()
      c.after(() => database.drop())
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      c.after(() => other.close())
      const { port } = other.address() as { port: number }
      const environment = { ...database.environment, PORT: String(port), WORKERS: workers }
      const service = start({ cwd: await newFolder(), environment })
      assert.equal(await service.exited, 1)
      assert.match(service.stderr, /EADDRINUSE/)
    })
  }
})

describe('WORKERS=2', () => {
  const metricsToken = 'metrics-of-a-test-0123456789'

  /** Two processes on one port, and the pids that have served calls so far. */
  async function cluster() {
    const cwd = await newFolder()
    const environment = { WORKERS: '2', DATA_DIR: 'data', DEMO: 'true', METRICS_TOKEN: metricsToken }
    const { service, url, port } = await running({ cwd, environment })
    const key = /Sample API key +(\S+)/.exec(service.stdout)?.[1] ?? ''
    const answering = () => {
      const lines = service.log.filter((line) => line.msg === 'answered')
      return new Set(lines.map((line) => Number(line.pid)))
    }
    /** On separate connections, which the parent distributes to its children in turn. */
    const call = () => request(url, 'GET', '/api/v1/requests', { as: key })
    /** How many of those calls the metrics of all processes count, and how many processes they are of. */
    const counted = async () => {
      const reply = await fetch(`${url}/metrics`, {
        headers: { authorization: `Bearer ${metricsToken}`, connection: 'close' },
      })
      const text = await reply.text()
      const value = (series: string) =>
        Number(
          text
            .split('\n')
            .find((line) => line.startsWith(`${series} `))
            ?.split(' ')[1],
        )
      const calls = value('hitl_http_requests_total{route="/api/v1/requests",method="GET",status="2xx"}')
      return { calls, processes: value('hitl_processes') }
    }
    return { service, url, port, key, answering, call, counted, dataDir: join(cwd, 'data') }
  }

  test('both serve calls; a killed one is replaced while the service stays up; SIGTERM drains and leaves nothing behind', async () => {
    const { service, port, key, answering, call, counted, dataDir } = await cluster()
    let served = 0
    const serve = async () => {
      const { status } = await call()
      if (status === 200) served += 1
      return status
    }
    await eventually('both have answered', async () => (await serve()) === 200 && answering().size === 2)
    // Whichever process is scraped. Its own call is over a moment after its reply.
    const agree = async (processes: number) => {
      const found = await counted()
      return found.calls === served && found.processes === processes
    }
    await eventually('the metrics are of both', () => agree(2))
    const levels = (level: string) =>
      new Set(service.log.filter((line) => line.log_level === level).map(({ pid }) => pid as number))
    process.kill(service.pid, 'SIGUSR2')
    await eventually('the parent and both log debug', () => levels('debug').size === 3)
    const [victim, survivor] = [...answering()] as [number, number]
    assert.ok(!answering().has(service.pid))
    process.kill(victim, 'SIGKILL')
    await eventually('it is gone', async () => !(await isRunning(victim)))
    const statuses: unknown[] = []
    for (let calls = 0; calls < 20; calls += 1) statuses.push(await serve().catch(() => 'lost'))
    // A connection that the parent was just passing on is lost with the process; Node does not pass it to another.
    const lost = statuses.filter((status) => status === 'lost').length
    assert.ok(lost <= 1, `${lost} calls were lost`)
    assert.equal(statuses.filter((status) => status === 200).length, 20 - lost)
    await eventually('a third process answers', async () => (await serve()) === 200 && answering().size === 3)
    await eventually('the metrics have what the killed one had counted', () => agree(2))
    await eventually('the third one logs debug too', () => levels('debug').size === 4)
    process.kill(service.pid, 'SIGUSR2')
    await eventually('those that are left log as before', () => levels('info').size === 3)
    const died = service.log.filter((line) => line.msg === 'a process died and is replaced')
    assert.deepEqual(
      died.map((line) => line.worker),
      [victim],
    )

    const postgres = await postmasterOf(dataDir)
    const pids = [service.pid, postgres, survivor, ...[...answering()].filter((pid) => pid !== victim)]
    const calls = await Promise.all([callUnderWay(port, key), callUnderWay(port, key)])
    service.child.kill('SIGTERM')
    await eventually('new connections are refused', () => isRefused(port))
    for (const { finish } of calls) assert.match(await finish(), /^HTTP\/1\.1 201 Created\r\n/)
    assert.equal(await service.exited, 0, service.stderr)
    for (const pid of pids) await eventually(`process ${pid} is gone`, async () => !(await isRunning(pid)))
  })

  test('Ctrl-C, which reaches every process at once, drains too', async () => {
    const { service, port, key, answering, call, dataDir } = await cluster()
    await eventually('both have answered', async () => (await call()).status === 200 && answering().size === 2)
    const calls = await Promise.all([callUnderWay(port, key), callUnderWay(port, key)])
    for (const pid of [service.pid, ...answering()]) process.kill(pid, 'SIGINT')
    await eventually('new connections are refused', () => isRefused(port))
    for (const { finish } of calls) assert.match(await finish(), /^HTTP\/1\.1 201 Created\r\n/)
    assert.equal(await service.exited, 0, service.stderr)
    assert.deepEqual(
      service.log.filter((line) => line.msg === 'a process died and is replaced'),
      [],
    )
    assert.equal(await postmasterOf(dataDir), 0)
  })
})
