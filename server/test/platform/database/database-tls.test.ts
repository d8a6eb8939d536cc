import assert from 'node:assert/strict'
import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { outcomeOf } from '../../../src/commands/outcome.ts'
import { openDatabase } from '../../../src/database.ts'
import { reportOn } from '../../../src/platform/database/report.ts'
import { databaseTransport } from '../../../src/platform/database/transport.ts'
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../src/platform/embedded-postgres/embedded-postgres.ts'
import { createLog } from '../../../src/platform/log.ts'
import { createAuthority } from '../../certificates.ts'
import { testConfig } from '../../harness.ts'
import { freePort } from '../../receivers.ts'

const authority = createAuthority()
let folder: string
let port: number
let server: EmbeddedPostgres
/** A PostgreSQL on TCP with a certificate of a private authority, for `localhost` and not for 127.0.0.1. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hitl-tls-'))
  port = await freePort()
  const settings = { listen_addresses: '127.0.0.1', port: String(port) }
  server = await startEmbeddedPostgres({ dataDir: folder, durable: false, settings, log: () => {} })
  const cluster = join(folder, 'postgres')
  const { uid, gid } = await stat(cluster)
  const { cert, key } = authority.issue(['localhost'])
  for (const [name, text] of Object.entries({ 'server.crt': cert, 'server.key': key, 'ca.crt': authority.cert })) {
    await writeFile(join(cluster, name), text, { mode: 0o600 })
    await chown(join(cluster, name), uid, gid)
  }
  await writeFile(join(folder, 'ca.pem'), authority.cert)
  await writeFile(join(folder, 'other-ca.pem'), createAuthority('Another Authority').cert)
  await administer(`alter system set ssl_ca_file = 'ca.crt'`)
  await serveTls(true)
})
after(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

const administer = async (...statements: readonly string[]): Promise<void> => {
  const client = new pg.Client({ ...server.connection, user: 'postgres' })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
/** Changes a setting; new connections use it as soon as the server has reloaded its settings. */
const serveTls = async (on: boolean): Promise<void> => {
  await administer(`alter system set ssl = ${on ? 'on' : 'off'}`, 'select pg_reload_conf()')
  const deadline = performance.now() + 10_000
  for (;;) {
    const client = new pg.Client({ ...server.connection, user: 'postgres' })
    await client.connect()
    const { rows } = await client.query('show ssl')
    await client.end()
    if (rows[0].ssl === (on ? 'on' : 'off')) return
    assert.ok(performance.now() < deadline, 'the server did not read its settings')
  }
}

/** Connects as the service does in production. */
const open = async (host: string, query: string, ca: string | null) => {
  const { user, password, database } = server.connection
  const url = `postgres://${user}:${password}@${host}:${port}/${database}${query}`
  const environment = { NODE_ENV: 'production', SECRET_KEY: 'k3Jf9sLq2Vx8Zr1Tn6Wb4Yc7Hd0Mg5Pp', DATABASE_URL: url }
  const trusted = ca === null ? {} : { DATABASE_CA: join(folder, ca) }
  return (await openDatabase(testConfig({ ...environment, ...trusted }), createLog('silent', false))).connection
}
const connect = async (...to: Parameters<typeof open>) => reportOn(await open(...to))
const refused = (what: RegExp) => (error: unknown) => {
  const { exitCode, code, message } = outcomeOf(error)
  assert.deepEqual([exitCode, code], [78, 'database.refused'])
  assert.match(message, what)
  return true
}
/** Everything in a URL that would override a configured authority in the driver. */
const contradictions = [
  '',
  '?ssl=0',
  '?ssl=false',
  '?ssl=no-verify',
  '?sslmode=disable',
  '?sslmode=no-verify',
  '?sslmode=require&uselibpqcompat=true',
  '?sslmode=verify-full',
  '?sslrootcert=system',
  '?sslrootcert=/nonexistent/ca.pem&ssl=0',
  '?ssl=0&ssl=0',
]

describe('a database with DATABASE_CA', () => {
  for (const query of contradictions) {
    test(`is reached by TLS that is verified, whatever the URL says: "${query}"`, async () => {
      const { tls } = await connect('localhost', query, 'ca.pem')
      assert.match(String(tls), /^TLSv1\.[23]$/)
      await assert.rejects(connect('localhost', query, 'other-ca.pem'), refused(/certificate/))
      await assert.rejects(connect('127.0.0.1', query, 'ca.pem'), refused(/altnames|certificate/))
      assert.equal(databaseTransport(`postgres://u:p@db.internal/hitl${query}`, '/ca.pem'), 'verified')
    })
  }

  test('is not reached if it has no TLS', async (context) => {
    context.after(() => serveTls(true))
    await serveTls(false)
    for (const query of contradictions) {
      await assert.rejects(connect('localhost', query, 'ca.pem'), refused(/does not support SSL/), query)
    }
    assert.equal((await connect('localhost', '', null)).tls, null, 'without an authority it would be')
  })

  test('gets the client certificate that the URL names', async () => {
    const { cert, key } = authority.issue(['the service'])
    await writeFile(join(folder, 'client.crt'), cert)
    await writeFile(join(folder, 'client.key'), key)
    const query = `?sslcert=${join(folder, 'client.crt')}&sslkey=${join(folder, 'client.key')}`
    const client = new pg.Client(await open('localhost', query, 'ca.pem'))
    await client.connect()
    const { rows } = await client.query('select client_dn from pg_stat_ssl where pid = pg_backend_pid()')
    await client.end()
    assert.deepEqual(rows, [{ client_dn: '/CN=the service' }])
    await assert.rejects(connect('localhost', query, 'other-ca.pem'), refused(/certificate/))
  })
})

test('sslmode=verify-full alone accepts only publicly trusted authorities', async () => {
  await assert.rejects(connect('localhost', '?sslmode=verify-full', null), refused(/certificate/))
  const named = `?sslmode=verify-full&sslrootcert=${join(folder, 'ca.pem')}`
  assert.match(String((await connect('localhost', named, null)).tls), /^TLSv1/)
  await assert.rejects(connect('127.0.0.1', named, null), refused(/altnames|certificate/))
})
