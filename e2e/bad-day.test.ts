import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, glob, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { Agent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { start as runHitl } from '../cli/test/hitl-process.ts'
import { requestsAsShown } from '../server/test/consultations/table-contents.ts'
import { eventually } from '../server/test/eventually.ts'
import { freePort, type Receiver, startReceiver } from '../server/test/receivers.ts'
import { request, startService, untilReady } from '../server/test/service-process.ts'
import { type Entry, type Fleet, startFleet, verifyCallbacks } from './bad-day/fleet.ts'
import { createPooler, createProxy, type Front } from './bad-day/fronts.ts'
import { type DatabaseServer, databaseName, databaseUser, startDatabaseServer } from './bad-day/postgres.ts'
import { createMember, type Member, watchLogs } from './bad-day/processes.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
const admin = { ADMIN_EMAIL: 'admin@bad-day.example', ADMIN_PASSWORD: 'correct horse battery' }

/** The sources of the newest release, or, before there is one, of this commit: the roll is then between equals. */
async function earlierRelease(folder: string) {
  const tags = await run('git', ['tag', '--list', '--sort=-version:refname'], { cwd: root })
  const name = tags.stdout.split('\n').find((tag) => /^v?\d+\.\d+\.\d+$/.test(tag)) ?? 'HEAD'
  const copy = join(folder, 'earlier')
  await mkdir(copy)
  const archive = join(folder, 'earlier.tar')
  await run('git', ['archive', '--output', archive, name, 'package.json', 'server'], { cwd: root })
  await run('tar', ['-xf', archive, '-C', copy])
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  return { name, main: join(copy, 'server/src/main.ts') }
}

/** What the reviewer and the agents of the fleet sign in with. */
async function credentials(certificate: string, url: string) {
  const agent = new Agent({ ca: certificate })
  const body = { username: admin.ADMIN_EMAIL, password: admin.ADMIN_PASSWORD }
  const login = await request(url, 'POST', '/api/v1/auth/login', { body, agent })
  assert.equal(login.status, 200, JSON.stringify(login.body))
  const token: string = login.body.access_token
  const made = await request(url, 'POST', '/api/v1/api-keys', { as: token, body: { name: 'fleet' }, agent })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  return { token, key: made.body.key as string }
}

/**
 * One day of an installation: two processes that serve calls, a worker, a PostgreSQL elsewhere behind PgBouncer, nginx with TLS
 * and a path in front. Agents and a reviewer work all day; each test is a fault, and sees it come and go.
 */
describe('a bad day', () => {
  let folder: string
  let disk: string | null = null
  let database: DatabaseServer
  let pooler: Front
  let proxy: Awaited<ReturnType<typeof createProxy>>
  let members: readonly Member[]
  let servers: readonly [Member, Member]
  let worker: Member
  let environment: Readonly<Record<string, string>>
  let receiver: Receiver
  let fleet: Fleet
  let publicUrl: string
  let key: string
  /** The release that the day begins with. */
  let began: { readonly name: string; readonly main: string }

  const allReady = () => Promise.all(members.map((member) => member.untilReadiness(200)))
  /** The load works again, through every process in front. */
  const goesOn = async () => {
    await allReady()
    const { finished } = fleet
    await eventually('the fleet goes on', () => fleet.finished >= finished + 20)
    assert.deepEqual(fleet.surprises.splice(0), [])
  }
  const calledBack = (entries: readonly Entry[]) => {
    const received = new Set(
      [...new Set(entries.map((entry) => entry.receiver))].flatMap(({ requests }) =>
        requests.map(({ body }) => JSON.parse(body.toString()).request_id),
      ),
    )
    return entries.every(({ id }) => received.has(id))
  }
  const newMember = async (name: string, role: string, port: number) => {
    const cwd = join(folder, name)
    await mkdir(cwd)
    return createMember(name, port, cwd, { ...environment, ROLE: role, DATA_DIR: cwd })
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hitl-bad-day-'))
    // The accounts of the database server, the pooler and the proxy pass through it.
    await chmod(folder, 0o755)
    const databaseFolder = join(folder, 'disk')
    await mkdir(databaseFolder)
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=400m,mode=755', 'tmpfs', databaseFolder]).then(
      () => true,
      () => false,
    )
    if (mounted) disk = databaseFolder
    database = await startDatabaseServer(databaseFolder)
    const pooled = { port: database.port, password: database.password, user: databaseUser, database: databaseName }
    pooler = await createPooler(join(folder, 'pooler'), pooled, 12, 'server_login_retry = 1\n')
    await pooler.start()
    const ports = [await freePort(), await freePort()] as const
    proxy = await createProxy(join(folder, 'proxy'), '/hitl', ports)
    await proxy.start()
    publicUrl = `https://localhost:${proxy.port}/hitl`
    environment = {
      ...admin,
      NODE_ENV: 'production',
      PUBLIC_URL: publicUrl,
      TRUSTED_PROXIES: '127.0.0.0/8',
      DATABASE_URL: `postgres://any@127.0.0.1:${pooler.port}/hitl`,
      DATABASE_PREPARE: 'false',
      DATABASE_POOL: '5',
      SECRET_KEY: 'a key of this day that is long enough, and of no use elsewhere',
      ACCESS_TOKEN_EXPIRE_MINUTES: '1440',
      CALLBACK_RETRY_SECONDS: '1,1',
      CALLBACK_RECOVERY_SECONDS: '2,2,4,8,16,32',
      CALLBACK_TIMEOUT_SECONDS: '2',
    }
    servers = [await newMember('first', 'api', ports[0]), await newMember('second', 'api', ports[1])]
    worker = await newMember('worker', 'worker', await freePort())
    members = [...servers, worker]
    began = await earlierRelease(folder)
    for (const member of members) {
      member.start({ main: began.main })
      await member.untilReady()
    }
    receiver = await startReceiver()
    const options = { url: publicUrl, certificate: proxy.certificate, receiver }
    const { token, key: agentKey } = await credentials(proxy.certificate, publicUrl)
    key = agentKey
    fleet = startFleet({ ...options, token, key })
    await goesOn()
  })

  after(async () => {
    await fleet?.stop()
    for (const member of members ?? []) member.current.child.kill('SIGKILL')
    await proxy?.stop()
    await pooler?.stop()
    await database?.stop('immediate')
    await receiver?.close()
    if (disk !== null) await run('umount', [disk])
    await rm(folder, { recursive: true, force: true })
  })

  test('a rolling upgrade: no call fails, and nothing complains', async (t) => {
    t.diagnostic(`from ${began.name}`)
    const logs = watchLogs(members)
    const before = fleet.failures.length
    for (const member of [...servers, worker]) await member.restart()
    await goesOn()
    assert.deepEqual(logs.warnings(), [])
    assert.deepEqual(fleet.failures.slice(before), [])
  })

  test('a rolling restart: the same', async () => {
    const logs = watchLogs(members)
    const before = fleet.failures.length
    for (const member of members) {
      await member.restart()
      await goesOn()
    }
    assert.deepEqual(logs.warnings(), [])
    assert.deepEqual(fleet.failures.slice(before), [])
  })

  test('kill -9 of each process: the others do not complain, and what it had begun is done', async () => {
    for (const member of members) {
      const logs = watchLogs(members)
      const entries = [...fleet.entries]
      await member.kill()
      member.start()
      await goesOn()
      await eventually('what was begun is called back', () => calledBack(entries))
      assert.deepEqual(logs.warnings(), [])
    }
  })

  /** The database is away; what the processes say while it is, and after. */
  const outage = async (away: () => Promise<void>, back: () => Promise<void>) => {
    const logs = watchLogs(members)
    await away()
    for (const member of members) await member.untilReadiness(503)
    const failures = fleet.failures.length
    await eventually('the outage has lasted', () => fleet.failures.length >= failures + 100)
    await back()
    await Promise.all(members.map((member) => logs.until(/can be used again/, member)))
    await goesOn()
    const warnings = logs.warnings()
    for (const { name } of members) {
      const lines = warnings.filter((line) => line.startsWith(`${name}: `))
      assert.ok(lines.length >= 1, `${name} says nothing of the outage`)
      assert.ok(lines.length <= 3, `${lines.length} lines of one outage:\n${lines.join('\n')}`)
    }
  }
  test('the database stopped fast, and lost for a while', () => outage(() => database.stop('fast'), database.start))
  test('the database stopped as by a power cut', () => outage(() => database.stop('immediate'), database.start))
  test('PgBouncer restarted', () => outage(pooler.stop, pooler.start))

  test('a full disk of the database: readiness and the refusals name it', async (t) => {
    if (disk === null) return t.skip('this account may not mount a small file system to fill: the fault was not tried')
    const logs = watchLogs(members)
    const free = await database.fillDisk()
    try {
      for (const member of members) {
        const checks = await member.untilReadiness(503)
        assert.equal(checks.database, 'disk_full', `${member.name}: ${JSON.stringify(checks)}`)
      }
      await eventually('a refusal names the disk', () => fleet.failures.some((line) => /disk/.test(line)))
    } finally {
      await free()
    }
    await Promise.all(members.map((member) => logs.until(/can be used again/, member)))
    await goesOn()
    assert.ok(logs.warnings().length <= 9, logs.warnings().join('\n'))
  })

  test('a receiver that hangs, one that replies 500 and one that is away: others are not late, and all are called back once they are well', async () => {
    const hanging = await startReceiver({ behaviour: () => {} })
    const failing = await startReceiver({ behaviour: { status: 500 } })
    const away = await freePort()
    const gone = { ...failing, url: `http://127.0.0.1:${away}`, requests: [] as Receiver['requests'][number][] }
    const logs = watchLogs(members)
    const sick = await Promise.all(
      [hanging, failing, gone].flatMap((each) => Array.from({ length: 4 }, () => fleet.lifecycle(each))),
    )
    const stateOf = async ({ id }: Entry) =>
      (await fleet.call('GET', `/requests/${id}`, { as: key })).body.callback.status
    const states = async () => new Set(await Promise.all(sick.map(stateOf)))
    await eventually('all their callbacks have failed', async () => {
      const now = await states()
      return now.size === 1 && now.has('failed')
    })
    const well = [...fleet.entries].filter((entry) => entry.receiver === receiver && entry.decided)
    await eventually('the others are called back', () => calledBack(well))
    assert.ok(logs.warnings().length >= 1 && logs.warnings().length <= 30, logs.warnings().join('\n'))

    hanging.behave({ status: 200 })
    failing.behave({ status: 204 })
    const back = createServer((request, response) => {
      const chunks: Buffer[] = []
      request
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => {
          const { method = '', url: path = '', headers } = request
          gone.requests.push({ method, path, headers, body: Buffer.concat(chunks), at: Date.now(), connection: 1 })
          response.end()
        })
    }).listen(away, '127.0.0.1')
    back.unref()
    await eventually('all are recovered', async () => {
      const now = await states()
      return now.size === 1 && now.has('sent')
    })
    await goesOn()
  })

  test('a process with another SECRET_KEY is refused with 78 and a sentence', async () => {
    const cwd = join(folder, 'wrong')
    await mkdir(cwd)
    const settings = { ...environment, SECRET_KEY: 'another key that is long enough, and not the right one' }
    const port = String(await freePort())
    const wrong = startService({ cwd, environment: { ...settings, ROLE: 'api', DATA_DIR: cwd, PORT: port } })
    const served = untilReady(wrong, `http://127.0.0.1:${port}`).then(
      () => 'it serves',
      () => wrong.exited,
    )
    assert.equal(await served, 78, wrong.stderr)
    assert.match(wrong.stderr, /key/i)
    await goesOn()
  })

  test('the clock of a server jumps forwards, that of a worker back', async (t) => {
    const library = (await glob('/usr/lib/*/faketime/libfaketimeMT.so.1')[Symbol.asyncIterator]().next()).value
    if (library === undefined) return t.skip('libfaketime is not installed: the fault was not tried')
    const clock = join(folder, 'clock')
    const set = (offset: string) => writeFile(clock, `${offset}\n`)
    await set('+0')
    const fake = { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: '1' }
    for (const [member, offset] of [
      [servers[1], '+1h'],
      [worker, '-1h'],
    ] as const) {
      await member.restart({ environment: { ...fake, FAKETIME_DONT_FAKE_MONOTONIC: '1' } })
      const logs = watchLogs(members)
      const jump = watchLogs([member])
      await set(offset)
      await jump.until(/clock is not the database's/, member)
      const entry = await fleet.lifecycle()
      await set('+0')
      await jump.until(/clock agrees with the database's again/, member)
      await eventually('it is called back', () => calledBack([entry]))
      await goesOn()
      assert.equal(logs.warnings().length, 1, logs.warnings().join('\n'))
      await member.restart()
    }
    await goesOn()
  })

  test('in the evening: nothing acknowledged is lost, each has one outcome, and the audit is intact', async (t) => {
    await fleet.stop()
    const { entries, failures } = fleet
    assert.deepEqual(fleet.surprises, [])
    await eventually('every request has been called back', async () => {
      const rows =
        await database.sql(`select count(*)::int as waiting from ${requestsAsShown} where shown <> 'callback_sent'
        and not (shown = 'cancelled' and callback_sent_at is not null)`)
      return rows[0]?.waiting === 0
    })
    verifyCallbacks(entries)
    const [kept] = await database.sql('select count(*)::int as requests from consultation_requests')
    assert.equal(kept?.requests, entries.length)
    const perRequest = await database.sql(`
      select subject_id, count(*) filter (where kind = 'request.created')::int as created,
        count(*) filter (where kind in ('request.responded', 'request.cancelled', 'request.timed_out'))::int as outcomes
      from events where subject_kind = 'request' group by 1`)
    assert.equal(perRequest.length, entries.length)
    for (const { created, outcomes } of perRequest) assert.deepEqual([created, outcomes], [1, 1])
    await eventually('the audit is intact', async () => (await verifyAudit()) === 0)
    for (const member of members) assert.equal(await member.current.end('SIGTERM'), 0, member.current.stderr)
    t.diagnostic(`${entries.length} requests, ${receiver.requests.length} callbacks, ${failures.length} calls repeated`)
  })

  const verifyAudit = async () => {
    const file = join(folder, `audit-${Date.now()}.jsonl`)
    const given = {
      environment: { ...environment, DATA_DIR: folder, NODE_EXTRA_CA_CERTS: proxy.certificateFile },
      cwd: folder,
    }
    const exported = await runHitl(['audit', 'export', '--output', file], given).ended
    assert.equal(exported.code, 0, exported.stderr)
    const verified = await runHitl(['audit', 'verify', file, '--keys', publicUrl], given).ended
    assert.notEqual(verified.code, 2, verified.stdout)
    return verified.code
  }
})
