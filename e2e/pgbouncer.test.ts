import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { runCommand } from '../server/test/commands/command-process.ts'
import { eventually } from '../server/test/eventually.ts'
import { cloneDatabase } from '../server/test/harness.ts'
import { freePort, startReceiver } from '../server/test/receivers.ts'
import { login, request, type ServiceProcess, startService, untilReady } from '../server/test/service-process.ts'
import { createPooler, type Front, type Pooled } from './bad-day/fronts.ts'

/** The test server listens on a Unix socket that only its own account can use, and the pooler runs under another account. */
async function startRelay({ host, port }: pg.ClientConfig): Promise<Server> {
  const relay = createServer((inbound) => {
    const outbound = connect(`${host}/.s.PGSQL.${port}`)
    inbound.pipe(outbound).pipe(inbound)
    for (const socket of [inbound, outbound]) socket.on('error', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return relay
}

describe('behind PgBouncer in transaction mode', () => {
  let folder: string
  let database: Awaited<ReturnType<typeof cloneDatabase>>
  let relay: Server
  let pooler: Front
  let pooled: Pooled
  let service: ServiceProcess
  let url: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hitl-pooler-'))
    // The account of the pooler passes through it.
    await chmod(folder, 0o755)
    database = await cloneDatabase()
    relay = await startRelay(database.connection)
    const { user, password, database: name } = database.connection
    const { port: relayPort } = relay.address() as { port: number }
    pooled = { port: relayPort, user: String(user), password: String(password), database: String(name) }
    // Fewer connections than the service opens to it.
    pooler = await createPooler(join(folder, 'pooler'), pooled, 3)
    await pooler.start()
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    service = startService({
      cwd: folder,
      environment: {
        PORT: String(port),
        DEMO: 'true',
        DATA_DIR: folder,
        DATABASE_URL: `postgres://any@127.0.0.1:${pooler.port}/hitl`,
        DATABASE_PREPARE: 'false',
        SECRET_KEY: 'a key of the tests that is long enough, and of no use elsewhere',
      },
    })
    await untilReady(service, url)
  })
  after(async () => {
    await service?.end('SIGTERM')
    await pooler?.stop()
    relay?.close()
    await database?.drop()
    await rm(folder, { recursive: true, force: true })
  })

  test('40 lifecycles at once: each is created, answered and called back once', async () => {
    const receiver = await startReceiver()
    const key = /Sample API key +(hitl_\w+)/.exec(service.stdout)?.[1] ?? assert.fail(service.stdout)
    const token = await login(url, 'reviewer@example.com', 'password123')
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        request(url, 'POST', '/api/v1/requests', {
          as: key,
          body: {
            title: `Number ${n}`,
            context: { n },
            callback_webhook: receiver.url,
            callback_secret: 'whsec_c2VjcmV0',
          },
        }),
      ),
    )
    for (const reply of made) assert.equal(reply.status, 201, JSON.stringify(reply.body))
    const answers = await Promise.all(
      made.map(({ body }) =>
        request(url, 'POST', `/api/v1/requests/${body.id}/respond`, { as: token, body: { decision: 'approve' } }),
      ),
    )
    for (const reply of answers) assert.equal(reply.status, 200, JSON.stringify(reply.body))
    await eventually('every request is called back', async () => {
      const page = await request(url, 'GET', '/api/v1/requests?state=callback_sent&limit=100', { as: key })
      return page.body.total === 40
    })
    assert.equal(receiver.requests.length, 40)
    await receiver.close()
  })

  test('hitl doctor finds that nobody is notified through it, and names the mode that the pooler needs', async () => {
    const environment = { PORT: '1', DATA_DIR: folder, DATABASE_URL: `postgres://any@127.0.0.1:${pooler.port}/hitl` }
    const found = async (more: Record<string, string>): Promise<readonly string[]> => {
      const SECRET_KEY = 'a key of the tests that is long enough, and of no use elsewhere'
      const options = { cwd: folder, environment: { ...environment, SECRET_KEY, ...more } }
      const { stdout } = await runCommand(['doctor', '--json'], options)
      return JSON.parse(stdout).findings.map(({ check }: { check: string }) => check)
    }
    const prepared = await found({})
    assert.ok(prepared.includes('database.refused-start'), prepared.join())
    const shared = await found({ DATABASE_PREPARE: 'false' })
    assert.ok(shared.includes('database.listen') && !shared.includes('database.refused-start'), shared.join())
  })

  describe('without DATABASE_PREPARE=false', () => {
    const mistake = /DATABASE_PREPARE must be false: a pooler in front of the database \(PgBouncer\)/
    const refuses = async (pooled: number) => {
      const environment = {
        PORT: '0',
        DATA_DIR: folder,
        DATABASE_URL: `postgres://any@127.0.0.1:${pooled}/hitl`,
        SECRET_KEY: 'a key of the tests that is long enough, and of no use elsewhere',
      }
      const serving = startService({ cwd: folder, environment })
      assert.equal(await serving.exited, 78, serving.stderr)
      assert.match(serving.stderr, mistake)
      const checked = await runCommand(['config', 'check', '--connect'], { cwd: folder, environment })
      assert.equal(checked.code, 78, checked.stdout)
      assert.match(checked.stdout, mistake)
    }

    test('a pooler that refuses what the service sets at the start of a session: exit 78, in check as in serve', () =>
      refuses(pooler.port))

    test('a pooler that ignores it: the same', async (context) => {
      const ignored = 'ignore_startup_parameters = options,statement_timeout,idle_in_transaction_session_timeout\n'
      const lenient = await createPooler(join(folder, 'lenient'), pooled, 3, ignored)
      context.after(lenient.stop)
      await lenient.start()
      await refuses(lenient.port)
    })
  })

  test('no server connection keeps a scope, a role or a setting of an earlier call', async () => {
    const client = new pg.Client({ ...database.connection, user: 'postgres' })
    await client.connect()
    const { rows } = await client.query(
      `select count(*)::int as connections from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
      [database.connection.database],
    )
    await client.end()
    assert.ok(rows[0].connections <= 3, `${rows[0].connections} server connections`)
    // The connections of the service are idle now, so this client gets one that they used.
    for (let look = 0; look < 20; look += 1) {
      const pooled = new pg.Client({ host: '127.0.0.1', port: pooler.port, user: 'any', database: 'hitl' })
      await pooled.connect()
      const left = await pooled.query(
        `select coalesce(current_setting('hitl.organization', true), '') as organization, current_user as role,
           current_setting('enable_seqscan') as seqscan, (select count(*)::int from consultation_requests) as seen`,
      )
      await pooled.end()
      assert.deepEqual(left.rows, [{ organization: '', role: database.connection.user, seqscan: 'on', seen: 0 }])
    }
  })
})
