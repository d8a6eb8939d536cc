import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { Agent, request } from 'undici'
import { warningsOf } from '../../src/commands/config-check-database.ts'
import { databaseFindings } from '../../src/commands/doctor/database.ts'
import type { Finding } from '../../src/commands/doctor/finding.ts'
import { machineFindings } from '../../src/commands/doctor/machine.ts'
import { networkFindings } from '../../src/commands/doctor/network.ts'
import { settingsFindings } from '../../src/commands/doctor/settings.ts'
import { examine } from '../../src/commands/doctor.ts'
import { loadConfig } from '../../src/config.ts'
import { createAuthority } from '../certificates.ts'
import { cloneDatabase, secretKey, startTestApp, type TestApp } from '../harness.ts'
import { startMailRelay } from '../platform/mail-relay.ts'
import { databaseEnvironment } from '../service-process.ts'
import { runCommand } from './command-process.ts'

type Environment = Readonly<Record<string, string>>

const machine = { cores: 64, openFiles: 1_048_576 }
const read = (environment: Environment) => loadConfig(environment, '/nonexistent/.env')

describe('of settings', () => {
  const sound = {
    NODE_ENV: 'production',
    HOST: '0.0.0.0',
    PUBLIC_URL: 'https://hitl.example.com',
    TRUSTED_PROXIES: '10.0.0.0/8',
    DATABASE_URL: 'postgres://hitl:Xw7-q@db.internal/hitl?sslmode=verify-full',
    SECRET_KEY: 'k3Jf9sLq2Vx8Zr1Tn6Wb4Yc7Hd0Mg5Pp',
    SMTP_URL: 'smtps://mail.example.com',
    MAIL_FROM: 'hitl@example.com',
  }
  const metrics = { METRICS_PORT: '9464', METRICS_HOST: '0.0.0.0' }
  for (const [what, environment, found, on] of [
    ['a sound one', {}, [], machine],
    ['a secret that is a pattern', { SECRET_KEY: 'abcabcab'.repeat(5) }, ['settings.weak-secret'], machine],
    ['a secret with a word', { SECRET_KEY: `My-Password-2026-${sound.SECRET_KEY}` }, ['settings.weak-secret'], machine],
    [
      'a password that everybody tries',
      { DATABASE_URL: 'postgres://hitl:postgres@db.internal/hitl?sslmode=verify-full' },
      ['settings.weak-database-password'],
      machine,
    ],
    ['metrics for everybody', metrics, ['settings.metrics-open'], machine],
    ['the same with a token', { ...metrics, METRICS_TOKEN: 'f3a1-77c0-9b2e-40d5' }, [], machine],
    ['a token that is a pattern', { METRICS_TOKEN: 'aaaaaaaabbbbbbbb' }, ['settings.weak-metrics-token'], machine],
    ['more processes than cores', { WORKERS: '8' }, ['settings.workers'], { ...machine, cores: 2 }],
    ['two connections', { DATABASE_POOL: '2' }, ['settings.small-pool'], machine],
    ['few files', {}, ['machine.open-files'], { ...machine, openFiles: 1_024 }],
    ['no mail', { SMTP_URL: '' }, ['mail.none'], machine],
    ['a proxy that is not named', { TRUSTED_PROXIES: '' }, ['settings.TRUSTED_PROXIES'], machine],
    ['open registration', { REGISTRATION: 'open' }, ['settings.REGISTRATION'], machine],
    ['pages of everybody', { CORS_ORIGINS: '*' }, ['settings.CORS_ORIGINS'], machine],
  ] as const) {
    test(`${what}: ${found.join(', ') || 'nothing'}`, () => {
      const config = read({ ...sound, ...environment })
      assert.deepEqual(
        settingsFindings(config, on).map(({ check }) => check),
        found,
      )
    })
  }

  test('a PostgreSQL that is too old, and a clock that differs', () => {
    const report = {
      version: '14.9',
      major: 14,
      user: 'hitl',
      database: 'hitl',
      tls: null,
      superuser: true,
      makesRoles: true,
      clockOffsetMs: 90_000,
    }
    const messages = warningsOf(report, null).map(({ message }) => message)
    assert.equal(messages.length, 3)
    assert.match(messages.join('\n'), /PostgreSQL 14\.9.*\n.*superuser.*\n.*90 s off/)
  })
})

/** What a proxy does to a call on its way, and to the reply on its way back. */
interface Proxy {
  readonly forwardedFor?: (given: string | undefined) => string
  readonly reply?: (path: string, response: ServerResponse) => boolean
  readonly without?: string
}

describe('planted', () => {
  let t: TestApp
  let folder: string
  let sound: Environment
  let proxy: Proxy = {}
  let relay: Awaited<ReturnType<typeof startMailRelay>>
  let port: number
  let kids: readonly string[]
  const servers: Server[] = []
  const fromProxy = new Agent({ localAddress: '127.0.0.2' })

  const listen = async (server: Server): Promise<number> => {
    servers.push(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return (server.address() as AddressInfo).port
  }

  /** An honest proxy at 127.0.0.2, whose caller is elsewhere, unless a case says otherwise. */
  async function pass(call: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '', headers } = call
    if (proxy.reply?.(url, response) === true) return
    const given = headers['x-forwarded-for'] as string | undefined
    const append = (text: string | undefined): string => (text === undefined ? '198.51.100.7' : `${text}, 198.51.100.7`)
    const forwarded = (proxy.forwardedFor ?? append)(given)
    const found = await request(`http://127.0.0.1:${port}${url}`, {
      headers: { 'x-forwarded-for': forwarded },
      dispatcher: fromProxy,
    })
    for (const [name, value] of Object.entries(found.headers))
      if (value !== undefined && name !== proxy.without && !['connection', 'transfer-encoding'].includes(name))
        response.setHeader(name, value)
    response.writeHead(found.statusCode).end(await found.body.text())
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hitl-doctor-'))
    await chmod(folder, 0o700)
    relay = await startMailRelay()
    t = await startTestApp({ environment: { TRUSTED_PROXIES: '127.0.0.2/32' } })
    // Its signing keys.
    await t.app.drain()
    await t.app.http.listen({ host: '127.0.0.1', port: 0 })
    port = (t.app.http.server.address() as AddressInfo).port
    const outside = await listen(createServer((call, response) => void pass(call, response)))
    sound = {
      NODE_ENV: 'production',
      ...databaseEnvironment(t.connection),
      DATA_DIR: folder,
      SECRET_KEY: secretKey,
      PORT: String(port),
      PUBLIC_URL: `http://127.0.0.1:${outside}`,
      TRUSTED_PROXIES: '127.0.0.2/32',
      DATA_DIR_FREE_MEBIBYTES: '1',
      MAX_CONNECTIONS: '1000',
      MOST_WAITS: '100',
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'hitl@example.com',
    }
  })
  before(async () => {
    kids = (await t.sql('select kid from signing_keys')).map(({ kid }) => String(kid))
  })
  after(async () => {
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
    await fromProxy.close()
    await relay.close()
    await t.stop()
    await rm(folder, { recursive: true })
  })

  /** The test's server syncs nothing to disk, which the doctor finds each time. */
  const always = 'database.not-durable'
  const checksOf = async (environment: Environment, area?: string, patience?: number): Promise<readonly string[]> => {
    const config = read({ ...sound, ...environment })
    const looks: Readonly<Record<string, () => Promise<readonly Finding[]>>> = {
      machine: () => machineFindings(config, new Date()),
      database: async () => (await databaseFindings(config, patience)).findings,
      network: () => networkFindings(config, kids),
      all: () => examine(config, machine),
    }
    const findings = (await looks[area ?? 'all']?.()) ?? []
    for (const { found, next } of findings) assert.ok(found.length > 20 && /^[A-Z].{10}/.test(next), `${found} ${next}`)
    return findings.map(({ check }) => check).filter((check) => check !== always)
  }

  test('nothing: nothing is found, but that the server of the tests would not survive a power cut', async () => {
    assert.deepEqual(await checksOf({}), [])
    const { findings } = await databaseFindings(read(sound))
    assert.ok(kids.length > 0)
    assert.deepEqual(
      findings.map(({ check, severity }) => [check, severity]),
      [[always, 'wrong']],
    )
  })

  /** Plants it, and takes it out again. */
  type Plant = () => Promise<() => Promise<unknown>>
  const statement =
    (text: () => string, undo: () => string): Plant =>
    async () => {
      await t.sql(text())
      return () => t.sql(undo())
    }
  const setting = (name: string, value: string): Plant => {
    const name_ = (): string => String(t.connection.database)
    return statement(
      () => `alter role hitl in database ${name_()} set ${name} = ${value}`,
      () => `alter role hitl in database ${name_()} reset ${name}`,
    )
  }
  const mode =
    (path: () => string, planted: number, well: number): Plant =>
    async () => {
      await chmod(path(), planted)
      return () => chmod(path(), well)
    }
  const file =
    (name: string, text: string): Plant =>
    async () => {
      await writeFile(join(folder, name), text, { mode: 0o644 })
      return () => rm(join(folder, name))
    }
  const badProxy =
    (bad: Proxy): Plant =>
    async () => {
      proxy = bad
      return async () => {
        proxy = {}
      }
    }
  const replying = (status: number, headers: Environment = {}, body = 'Welcome!'): Plant =>
    badProxy({ reply: (_path, response) => Boolean(response.writeHead(status, headers).end(body)) })
  const replaced = (path: string, body: object): Plant =>
    badProxy({
      reply: (asked, response) =>
        asked === path &&
        Boolean(response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))),
    })
  const nothing: Plant = async () => async () => {}
  const openTransaction: Plant = async () => {
    const client = new pg.Client({ ...t.connection, application_name: 'forgotten' })
    await client.connect()
    await client.query('begin; select 1')
    return () => client.end()
  }
  const deadRows: Plant = async () => {
    await t.sql('create table doctor_bloat (n integer) with (autovacuum_enabled = false)')
    await t.sql('insert into doctor_bloat select generate_series(1, 12000)')
    await t.sql('delete from doctor_bloat')
    await t.sql('select pg_stat_force_next_flush()')
    // With the next statement.
    await t.sql('select 1')
    return () => t.sql('drop table doctor_bloat')
  }
  const s3 = { S3_BUCKET: 'files', S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'word', S3_ALLOW_HTTP: 'true' }
  const away = 'http://127.0.0.1:1'

  const areas = { machine: true, database: true }

  const planted: readonly (readonly [
    what: string,
    found: readonly string[],
    plant: Plant,
    environment?: Environment | (() => Environment),
    patience?: number,
  ])[] = [
    ['DATA_DIR for everybody', ['machine.data-dir-open'], mode(() => folder, 0o755, 0o700)],
    ['a secret key for everybody', ['machine.secret-key-open'], file('secret-key', 'x')],
    ['a disk that is nearly full', ['machine.low-disk'], nothing, { DATA_DIR_FREE_MEBIBYTES: '16777216' }],
    ['no folder for heads', ['machine.heads-file'], nothing, { AUDIT_HEADS_FILE: '/nonexistent/heads.jsonl' }],
    ['a CA that is not there', ['machine.certificate-unreadable'], nothing, { SSO_CA: '/nonexistent/ca.pem' }],
    [
      'a database that is away',
      ['database.unavailable'],
      nothing,
      { DATABASE_URL: 'postgres://hitl:Xw7q@127.0.0.1:1/x' },
    ],
    [
      'a role that may not take hitl_app',
      ['database.refused-start'],
      statement(
        () =>
          `create role doctor login password '${t.connection.password}'; grant select on all tables in schema public to doctor`,
        () => 'drop owned by doctor; drop role doctor',
      ),
      () => databaseEnvironment({ ...t.connection, user: 'doctor' }),
    ],
    [
      'a right that was taken away',
      ['database.grants'],
      statement(
        () => 'revoke select on attachments from hitl_app',
        () => 'grant select on attachments to hitl_app',
      ),
    ],
    [
      'a database of a newer version',
      ['database.failed'],
      statement(
        () => `insert into schema_migrations values ('9999_later.sql', 'x')`,
        () => `delete from schema_migrations where name = '9999_later.sql'`,
      ),
    ],
    [
      'a restored copy',
      ['database.restored-copy'],
      statement(
        () =>
          `insert into restored_copies values ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), now(), sha256('x'), now())`,
        () => 'delete from restored_copies',
      ),
    ],
    ['another SECRET_KEY', ['database.refused-start'], nothing, { SECRET_KEY: 'k3Jf9sLq2Vx8Zr1Tn6Wb4Yc7Hd0Mg5Pp' }],
    ['more connections than there are', ['database.connections'], nothing, { DATABASE_POOL: '200' }],
    ['a database that only reads', ['database.read-only'], setting('default_transaction_read_only', 'on')],
    ['a short statement_timeout', ['database.statement-timeout'], setting('statement_timeout', "'5s'")],
    ['a short lock_timeout', ['database.lock-timeout'], setting('lock_timeout', "'200ms'")],
    ['an idle_session_timeout', ['database.idle-session-timeout'], setting('idle_session_timeout', "'1h'")],
    ['a transaction that is open', ['database.stuck-transaction'], openTransaction, {}, 0],
    ['dead rows, and no autovacuum', ['database.bloat', 'database.autovacuum'], deadRows],
    ['a PUBLIC_URL where nothing is', ['public-url.unreachable'], nothing, { PUBLIC_URL: away }],
    ['something else at PUBLIC_URL', ['public-url.unreachable'], replying(200)],
    ['a redirect at PUBLIC_URL', ['public-url.unreachable'], replying(301, { location: 'https://hitl.example.com' })],
    ['a proxy that does not reach it', ['public-url.unreachable'], replying(502)],
    ['a proxy that does not know the path', ['public-url.unreachable'], replying(404)],
    [
      'another installation at PUBLIC_URL',
      ['public-url.another'],
      replaced('/.well-known/jwks.json', { keys: [{ kid: 'theirs' }] }),
    ],
    ['an older process at PUBLIC_URL', ['public-url.version'], replaced('/health', { version: '0.1.0' })],
    [
      'a proxy that passes on what callers say of their address',
      ['proxy.forwarded-for'],
      badProxy({ forwardedFor: (given) => given ?? '198.51.100.7' }),
    ],
    ['a proxy that takes headers away', ['proxy.headers'], badProxy({ without: 'ratelimit' })],
    ['a service that is down', ['service.down'], nothing, { PORT: '1', PUBLIC_URL: away }],
    ['a mail relay that is away', ['mail.unusable'], nothing, { SMTP_URL: 'smtp://127.0.0.1:1' }],
    ['a store that is away', ['attachments.store'], nothing, { S3_ENDPOINT: away, ...s3 }],
  ]
  for (const [what, found, plant, environment = {}, patience] of planted) {
    test(`${what}: ${found.join(', ')}`, async () => {
      const takeOut = await plant()
      try {
        const given = typeof environment === 'function' ? environment() : environment
        // All areas at once take four times as long.
        const [area = ''] = found[0]?.split('.') ?? []
        assert.deepEqual(await checksOf(given, area in areas ? area : 'network', patience), found)
      } finally {
        await takeOut()
      }
    })
  }

  test('synchronous_commit is named beside what else is not durable', async () => {
    const takeOut = await setting('synchronous_commit', 'off')()
    const { findings } = await databaseFindings(read(sound))
    await takeOut()
    assert.match(findings[0]?.found ?? '', /fsync.*synchronous_commit off/)
  })

  test('a database that lacks migrations', async (c) => {
    const older = await cloneDatabase()
    const client = new pg.Client({ ...older.connection, user: 'postgres' })
    c.after(() => older.drop())
    await client.connect()
    await client.query(`delete from schema_migrations where name >= '0032'`)
    await client.end()
    assert.deepEqual(await checksOf(databaseEnvironment(older.connection), 'database'), ['database.migrations'])
  })

  test('certificates: one that nobody trusts and that expires soon at PUBLIC_URL, one in a file', async () => {
    const authority = createAuthority()
    const outside = await listen(createTlsServer(authority.issue(['127.0.0.1']), (_call, response) => response.end()))
    await writeFile(join(folder, 'ca.pem'), authority.cert)
    const environment = { PUBLIC_URL: `https://127.0.0.1:${outside}`, SSO_CA: join(folder, 'ca.pem') }
    assert.deepEqual(await checksOf(environment), [
      'machine.certificate-expires',
      'public-url.unreachable',
      'public-url.certificate-expires',
    ])
  })

  test('a mail relay that refuses the password', async (c) => {
    const strict = await startMailRelay({ login: { user: 'hitl', password: 'right' } })
    c.after(() => strict.close())
    const SMTP_URL = `smtp://hitl:wr0ng-word@127.0.0.1:${strict.port}`
    const [finding] = await networkFindings(read({ ...sound, SMTP_URL }), kids)
    assert.equal(finding?.check, 'mail.unusable')
    assert.match(finding.found, /EAUTH 535/)
    assert.doesNotMatch(finding.found, /wr0ng-word/)
  })

  test('the command: exit 1, or 78 with mistakes; status shows what waits', async () => {
    await writeFile(join(folder, '.env'), 'SECRET_KEY=k3Jf9sLq2Vx8Zr1Tn6Wb4Yc7Hd0Mg5Pp\n', { mode: 0o644 })
    await chmod(join(folder, '.env'), 0o644)
    const run = (args: readonly string[], environment: Environment) => runCommand(args, { cwd: folder, environment })
    await t.app.drain()
    const [status, plain] = await Promise.all([
      run(['status', '--json', `--backups=${folder}`], sound),
      run(['status'], sound),
    ])
    const [mistaken, text] = await Promise.all([
      run(['doctor', '--json'], { ...sound, PORT: 'x' }),
      run(['doctor'], sound),
    ])
    await rm(join(folder, '.env'))
    assert.equal(mistaken.code, 78, mistaken.stderr)
    const report = JSON.parse(mistaken.stdout)
    assert.equal(report.ok, false)
    assert.deepEqual(
      report.findings.map(({ check }: { check: string }) => check),
      ['settings.mistake', 'settings.env-file-open'],
    )
    assert.equal(text.code, 1)
    assert.match(text.stdout, /^Wrong \(\d+\)\n(.*\n)*- fsync/)
    assert.match(text.stdout, /\[database\.not-durable\]/)

    assert.equal(status.code, 0, status.stderr)
    const facts = JSON.parse(status.stdout)
    assert.equal(facts.service.status, 'healthy')
    assert.deepEqual(facts.database.missing_migrations, [])
    const [open] = await t.sql(`select count(*)::int as total from consultation_requests where state = 'pending'`)
    assert.equal(facts.requests.open.other, open?.total)
    assert.ok(facts.requests.oldest_seconds.other >= 0)
    assert.deepEqual(facts.seals, { unsealed_events: 0, oldest_unsealed_seconds: null })
    assert.equal(facts.callbacks.due, 0)
    assert.deepEqual(facts.callbacks.failing_receivers, [])
    const kids = await t.sql('select kid from signing_keys where retired_at is null')
    assert.deepEqual(
      facts.keys.signing.map(({ kid }: { kid: string }) => kid).sort(),
      kids.map(({ kid }) => kid).sort(),
    )
    assert.equal(facts.last_backup, null)
    assert.equal(plain.code, 0, plain.stderr)
    assert.match(plain.stdout, /^requests\.open\.other +\d+$/m)
  })
})
