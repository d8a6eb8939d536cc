import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { createApp } from '../../../src/app.ts'
import { createLog } from '../../../src/platform/log.ts'
import { eventually } from '../../eventually.ts'
import { cloneDatabase, secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'

interface Line {
  readonly level: string
  readonly msg: string
  readonly seconds?: number
  readonly loop?: string
  readonly route?: string
}

const collect = () => {
  const lines: Line[] = []
  const log = createLog('debug', false, { write: (line) => void lines.push(JSON.parse(line)) })
  /** What is above the lines of calls, and about the database. */
  const said = () =>
    lines.filter(({ level, msg }) => level === 'warn' || level === 'error' || msg.includes('can be used again'))
  return { lines, log, said }
}

/** Passes connections on to the database, until it is cut. */
async function startRelay(to: { readonly host: string; readonly port: number }) {
  const sockets = new Set<Socket>()
  let isCut = false
  let refused = 0
  const server = createServer((inbound) => {
    if (isCut) {
      refused += 1
      inbound.destroy()
      return
    }
    const outbound = to.host.startsWith('/') ? connect(`${to.host}/.s.PGSQL.${to.port}`) : connect(to.port, to.host)
    inbound.pipe(outbound).pipe(inbound)
    for (const socket of [inbound, outbound]) sockets.add(socket.on('error', () => {}))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    port: address.port,
    refused: () => refused,
    cut: (): void => {
      isCut = true
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    },
    mend: (): void => {
      isCut = false
    },
    close: (): void => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

test('while the database is away, all loops, calls and checks together make one line, and one when it is over', async (context) => {
  const database = await cloneDatabase()
  const { host, port } = database.connection as { host: string; port: number }
  const relay = await startRelay({ host, port })
  const { lines, log, said } = collect()
  const app = await createApp({
    config: testConfig(),
    secretKey,
    connection: { ...database.connection, host: '127.0.0.1', port: relay.port },
    log,
  })
  context.after(async () => {
    await app.stop()
    relay.close()
    await database.drop()
  })
  const get = (url: string) => app.http.inject({ url })
  assert.equal((await get('/readyz')).statusCode, 200)
  relay.cut()
  // Every loop runs its first round at once.
  app.startWorkers()
  await eventually('many failures', async () => {
    assert.equal((await get('/readyz')).statusCode, 503)
    await app.http.inject({ url: '/api/v1/requests', headers: { authorization: `Bearer hitl_${'a'.repeat(48)}` } })
    return relay.refused() > 100
  })
  assert.deepEqual(
    said().map(({ level, msg, loop }) => [level, msg, loop]),
    [['error', 'the database does not respond', undefined]],
  )
  relay.mend()
  await eventually('the end of the outage', () => said().length > 1)
  const ready = await get('/readyz')
  assert.equal(ready.statusCode, 200, JSON.stringify([ready.json(), said()]))
  const [, over, ...more] = said()
  assert.deepEqual([over?.level, over?.msg, more], ['info', 'the database can be used again', []])
  assert.ok((over?.seconds ?? 0) > 0)
  assert.ok(!lines.some(({ msg }) => msg.includes('background')))
})

describe('a database that is there, but cannot be used', () => {
  let t: TestApp
  let superuser: pg.Client
  const { log, said } = collect()
  before(async () => {
    t = await startTestApp({ log, workers: false })
    superuser = new pg.Client({ ...t.connection, user: 'postgres', database: 'postgres' })
    await superuser.connect()
  })
  after(async () => {
    await superuser.end()
    await t.stop()
  })
  const name = () => String(t.connection.database)
  const disconnect = () =>
    superuser.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1 and usename <> 'postgres'`,
      [name()],
    )
  const ready = async () => {
    const reply = await t.call('GET', '/readyz')
    return [reply.status, reply.body.checks.database]
  }
  const create = () => t.call('POST', '/api/v1/requests', { as: t.apiKey, body: { title: 'May I?', context: {} } })
  const isReadyAgain = () =>
    eventually('readiness', async () => (await ready())[0] === 200 && said().at(-1)?.msg.includes('again') === true)

  test('disk full: not ready, and the refusal names the disk; ready again by itself', async () => {
    await ready()
    // Its data directory is the folder that a server runs in.
    const folder = `/proc/${(await superuser.query('select pg_backend_pid() as pid')).rows[0].pid}/cwd`
    const oid = (await superuser.query('select oid from pg_database where datname = $1', [name()])).rows[0].oid
    // Every write to /dev/full fails with ENOSPC. A new table's empty file becomes that, and so do the next temporary files.
    await t.sql('create table overflow (filler text)')
    await t.sql(`grant insert on overflow to public`)
    const [{ file }] = (await t.sql(`select pg_relation_filenode('overflow') as file`)) as [{ file: string }]
    const path = join(folder, 'base', String(oid), String(file))
    await t.sql(`create function overflow() returns trigger language plpgsql as $$
      begin insert into overflow values ('x'); return new; end $$`)
    await t.sql(
      `create trigger overflow before insert on consultation_requests for each row execute function overflow()`,
    )
    rmSync(path)
    symlinkSync('/dev/full', path)
    const temporary = join(folder, 'base/pgsql_tmp')
    mkdirSync(temporary, { recursive: true })
    const pids = await superuser.query('select pid from pg_stat_activity where datname = $1', [name()])
    const links = pids.rows.flatMap(({ pid }) =>
      Array.from({ length: 200 }, (_, place) => join(temporary, `pgsql_tmp${pid}.${place}`)),
    )
    for (const link of links) if (!existsSync(link)) symlinkSync('/dev/full', link)
    const refused = await create()
    assert.equal(refused.status, 503)
    assert.match(refused.body.detail, /disk is full/)
    assert.deepEqual(await ready(), [503, 'disk_full'])
    assert.match(said().at(-1)?.msg ?? '', /disk is full/)
    for (const link of links) rmSync(link, { force: true })
    await t.sql('drop trigger overflow on consultation_requests')
    await isReadyAgain()
    assert.equal((await create()).status, 201)
  })

  test('a primary that was lost: not ready, and the refusal says that it can only be read', async () => {
    await superuser.query(`alter database ${name()} set default_transaction_read_only = on`)
    await disconnect()
    const refused = await eventually('a refusal', async () => {
      const reply = await create()
      return reply.status === 503 && /only be read/.test(reply.body.detail) ? reply : null
    })
    assert.equal(refused.body.code, 'service.unavailable')
    await eventually('unreadiness', async () => (await ready())[1] === 'read_only')
    assert.match(said().at(-1)?.msg ?? '', /no writes/)
    await superuser.query(`alter database ${name()} reset default_transaction_read_only`)
    await disconnect()
    await isReadyAgain()
  })

  test('too many connections: not ready, and the refusal says so', async () => {
    await superuser.query(`alter database ${name()} connection limit 0`)
    await disconnect()
    await eventually('unreadiness', async () => (await ready())[1] === 'too_many_connections')
    assert.match((await create()).body.detail, /no more connections/)
    await superuser.query(`alter database ${name()} connection limit -1`)
    await isReadyAgain()
  })

  test('a session that the server ends: the refusal says that it is stopping', async () => {
    const ending = t.app.db.transaction({ organizationId: t.organizationId }, (tx) =>
      tx.execute({ name: 'slow', text: 'select pg_sleep(60)' }, []),
    )
    ending.catch(() => {})
    await eventually('the call', async () => {
      const { rows } = await superuser.query(
        `select from pg_stat_activity where datname = $1 and wait_event = 'PgSleep'`,
        [name()],
      )
      return rows.length > 0
    })
    await disconnect()
    await assert.rejects(ending, /stopping or starting/)
    await isReadyAgain()
  })
})
