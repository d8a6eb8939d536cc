import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { eventually } from '../server/test/eventually.ts'
import { freePort, startReceiver } from '../server/test/receivers.ts'
import { login, request, type ServiceProcess, startService, untilReady } from '../server/test/service-process.ts'
import { commandsOf } from './document-commands.ts'

// The oldest PostgreSQL that the README names, as Debian packages it, with its own pg_dump: the service lives on it, and moves by
// the document's commands to another server and by a backup to the embedded one.

const programs = '/usr/lib/postgresql/15/bin'
const SECRET_KEY = 'the secret key of an installation on an older database'
const folder = await mkdtemp(join(tmpdir(), 'hitl-oldest-'))
// The server's account passes through it.
await chmod(folder, 0o755)
const { block, done } = await commandsOf('docs/operations.md', folder)

/** PostgreSQL does not run as root. */
const account = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
function idOf(which: '-u' | '-g'): number {
  return Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }))
}

async function startPostgres(name: string) {
  const place = join(folder, name)
  await mkdir(place)
  if (account.uid !== undefined) await chown(place, account.uid, account.gid)
  const options = { cwd: place, ...account }
  const data = join(place, 'data')
  await promisify(execFile)(join(programs, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-N'], options)
  const port = await freePort()
  const settings = ['-p', String(port), '-k', place, '-c', 'fsync=off']
  const server = spawn(join(programs, 'postgres'), ['-D', data, ...settings], { ...options, stdio: 'ignore' })
  const ended = once(server, 'exit')
  const sql = async (text: string, database = 'postgres') => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database })
    await client.connect()
    try {
      // One by one: databases are made outside transactions.
      for (const statement of text.split(';').filter((part) => part.trim() !== '')) await client.query(statement)
    } finally {
      await client.end()
    }
  }
  await eventually('PostgreSQL accepts connections', () =>
    sql('select 1').then(
      () => true,
      () => false,
    ),
  )
  return {
    sql,
    url: (role: string) => `postgres://${role}:choose%20one@127.0.0.1:${port}/hitl`,
    stop: async () => {
      server.kill('SIGINT')
      await ended
    },
  }
}

let servers: readonly Awaited<ReturnType<typeof startPostgres>>[]
const services = new Set<ServiceProcess>()
before(async () => {
  servers = await Promise.all(['old', 'new'].map(startPostgres))
})
after(async () => {
  for (const service of services) service.child.kill('SIGTERM')
  await Promise.all([...services].map(({ exited }) => exited))
  await Promise.all((servers ?? []).map(({ stop }) => stop()))
  await rm(folder, { recursive: true, force: true })
})

async function serve(url: string, environment: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const port = new URL(url).port
  const common = { PORT: port, PUBLIC_URL: url, SECRET_KEY, CALLBACK_ALLOW: '127.0.0.0/8', LOG_LEVEL: 'warn' }
  const service = startService({ cwd: folder, environment: { ...common, ...environment } })
  services.add(service)
  await untilReady(service, url)
  return service
}

test('PostgreSQL 15: asked, decided, called back, proven; dumped and restored on another server, backed up to the embedded one', async () => {
  const [old, next] = servers
  assert.ok(old && next)
  const receiver = await startReceiver()
  const url = `http://127.0.0.1:${await freePort()}`
  const common = { SECRET_KEY, PUBLIC_URL: url, BACKUPS: folder, PATH: `${programs}${delimiter}${process.env.PATH}` }
  await old.sql(block('run=dump-roles'))
  const first = { DATABASE_URL: old.url('hitl'), DATA_DIR: join(folder, 'files') }
  const original = await serve(url, { ...first, DEMO: 'true' })
  await eventually('it says its key', () => /Sample API key +\S+/.test(original.stdout))
  const key = /Sample API key +(\S+)/.exec(original.stdout)?.[1] ?? ''
  const ask = async () => {
    const body = { title: 'May I?', context: {}, callback_webhook: receiver.url, callback_secret: 'c4llback-word' }
    const reply = await request(url, 'POST', '/api/v1/requests', { as: key, body })
    assert.equal(reply.status, 201, JSON.stringify(reply.body))
    return reply.body.id as string
  }
  const read = async (id: string) => (await request(url, 'GET', `/api/v1/requests/${id}`, { as: key })).body
  const decide = async (id: string): Promise<void> => {
    const as = await login(url, 'reviewer@example.com', 'password123')
    const reply = await request(url, 'POST', `/api/v1/requests/${id}/respond`, { as, body: { decision: 'approve' } })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
  }
  const isSent = (id: string) =>
    eventually('the callback is sent', async () => (await read(id)).state === 'callback_sent')
  const [decided, open] = [await ask(), await ask()]
  await decide(decided)
  await isSent(decided)
  const asDecided = await read(decided)

  await old.sql(block('run=backup-role'))
  await done('run=dump', { ...common, ...first, DATABASE_URL: old.url('hitl_backup') })
  await done('run=backup', { ...common, ...first })
  assert.equal(await original.end('SIGTERM'), 0)

  await next.sql(block('run=dump-roles'))
  const second = { ...first, DATABASE_URL: next.url('hitl') }
  assert.match((await done('run=dump-restore', { ...common, ...second })).stdout, /It is up to date/)
  const embedded = { DATA_DIR: join(folder, 'embedded') }
  await done('run=restore', { ...common, ...embedded })
  for (const place of [second, embedded]) {
    const copy = await serve(url, place)
    assert.deepEqual(await read(decided), asDecided)
    await done('run=verify', { ...common, ...place })
    await rm(join(folder, 'audit.jsonl'))
    if (place === embedded) await done('run=release', { ...common, ...place })
    await decide(open)
    await isSent(open)
    assert.equal(await copy.end('SIGTERM'), 0)
  }
  await receiver.close()
})
