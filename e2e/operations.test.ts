import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import pg from 'pg'
import { eventually } from '../server/test/eventually.ts'
import { createEmptyDatabase } from '../server/test/harness.ts'
import { startMailRelay } from '../server/test/platform/mail-relay.ts'
import { freePort, startReceiver } from '../server/test/receivers.ts'
import {
  databaseEnvironment,
  externalDatabase,
  login,
  request,
  type ServiceProcess,
  startService,
  untilReady,
} from '../server/test/service-process.ts'
import { commandsOf } from './document-commands.ts'

// The document's commands, as they stand there, and in their order: an installation is loaded, backed up under load, destroyed,
// restored elsewhere, proven and released.

const folder = await mkdtemp(join(tmpdir(), 'hitl-operations-'))
const root = join(import.meta.dirname, '..')
const { text, block, run, done } = await commandsOf('docs/operations.md', folder)
const services = new Set<ServiceProcess>()
after(async () => {
  for (const service of services) service.child.kill('SIGTERM')
  await Promise.all([...services].map(({ exited }) => exited))
  await rm(folder, { recursive: true, force: true })
})

/** The environments of an installation and of the copy, and what destroys the first. */
type Places = () => Promise<
  readonly [Readonly<Record<string, string>>, Readonly<Record<string, string>>, () => Promise<void>]
>

const embedded: Places = async () => {
  const [first, second] = [join(folder, 'first'), join(folder, 'second')]
  const destroy = async () => {
    await mkdir(second, { mode: 0o700 })
    // The generated key, which was kept elsewhere.
    await copyFile(join(first, 'secret-key'), join(second, 'secret-key'))
    await rm(first, { recursive: true })
  }
  return [{ DATA_DIR: first }, { DATA_DIR: second }, destroy]
}

const external: Places = async () => {
  const [from, to] = [await externalDatabase(), await createEmptyDatabase()]
  after(() => to.drop())
  const SECRET_KEY = 'the secret key of an installation on its own database'
  const common = { SECRET_KEY, DATA_DIR: join(folder, 'external') }
  const first = { ...common, ...from.environment }
  return [first, { ...common, ...databaseEnvironment(to.connection) }, from.drop]
}

for (const [kind, places] of Object.entries({ embedded, external })) {
  test(`${kind}: loaded, backed up under load, destroyed, restored, proven, released`, async (c) => {
    const receiver = await startReceiver({ behaviour: { status: 500 } })
    const relay = await startMailRelay()
    relay.refuseNext(...Array.from({ length: 50 }, () => 451))
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const BACKUPS = join(folder, `backups-${kind}`)
    await mkdir(BACKUPS)
    c.after(async () => {
      await receiver.close()
      await relay.close()
    })
    const [first, second, destroy] = await places()
    const common = {
      PORT: String(port),
      PUBLIC_URL: url,
      BACKUPS,
      CALLBACK_ALLOW: '127.0.0.0/8',
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'hitl@example.com',
      LOG_LEVEL: 'warn',
    }
    const serve = async (environment: Readonly<Record<string, string>>): Promise<ServiceProcess> => {
      const service = startService({ cwd: folder, environment: { ...common, ...environment } })
      services.add(service)
      await untilReady(service, url)
      await eventually('it has said so', () => service.stdout.includes('is listening.'))
      return service
    }

    const original = await serve({ ...first, DEMO: 'true' })
    const key = /Sample API key +(\S+)/.exec(original.stdout)?.[1] ?? ''
    const ask = async (more: object = {}): Promise<string> => {
      const body = { title: 'May I?', context: { n: 1 }, ...more }
      const reply = await request(url, 'POST', '/api/v1/requests', { as: key, body })
      assert.equal(reply.status, 201, JSON.stringify(reply.body))
      return reply.body.id
    }
    const read = async (id: string) => (await request(url, 'GET', `/api/v1/requests/${id}`, { as: key })).body
    const admin = await login(url, 'admin@example.com', 'password123')
    const decide = async (id: string): Promise<void> => {
      const body = { decision: 'approve' }
      const reply = await request(url, 'POST', `/api/v1/requests/${id}/respond`, { as: admin, body })
      assert.equal(reply.status, 200, JSON.stringify(reply.body))
    }
    const callback = { callback_webhook: receiver.url, callback_secret: 'c4llback-word' }
    const pending = await ask()
    const decided = await ask()
    const cancelled = await ask()
    const failed = await ask({ callback_webhook: receiver.url, callback_retry_seconds: [] })
    const waiting = await ask({ ...callback, callback_retry_seconds: [3_600] })
    for (const id of [decided, failed, waiting]) await decide(id)
    await request(url, 'POST', `/api/v1/requests/${cancelled}/cancel`, { as: key, body: {} })
    const invited = await request(url, 'POST', '/api/v1/invitations', { as: admin, body: { email: 'new@example.com' } })
    assert.equal(invited.status, 201, JSON.stringify(invited.body))
    await eventually('both callbacks were tried', async () => {
      const states = [await read(failed), await read(waiting)].map(({ callback: { attempts } }) => attempts)
      return states.every((attempts) => attempts >= 1)
    })
    const ids = [pending, decided, cancelled, failed, waiting]
    const before = await Promise.all(ids.map(read))
    assert.deepEqual(
      before.map(({ state }) => state),
      ['pending', 'responded', 'cancelled', 'callback_failed', 'responded'],
    )
    await eventually('the letter was refused for now', () => relay.connections > 0)

    // Under load: requests go on being made while it is read.
    let loading = true
    const load = (async () => {
      let made = 0
      for (; loading; made += 1) await ask()
      return made
    })()
    await done('run=backup', { ...common, ...first })
    loading = false
    assert.ok((await load) > 0)
    await done('run=piped', { ...common, ...first, BACKUP_PASSWORD: 'of the safe' })
    const file = (await run('ls "$BACKUPS"/hitl-*.backup', common)).stdout.trim()
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.notEqual((await run(block('run=backup'), { ...common, ...first })).code, 0, 'never overwritten')
    assert.equal(await original.end('SIGTERM'), 0)
    await destroy()

    const otherKey = { ...second, SECRET_KEY: 'another secret key that is long enough for this' }
    const refused = await run(block('run=restore'), { ...common, ...otherKey })
    assert.equal(refused.code, 78, refused.stderr)
    const whole = await readFile(file)
    await writeFile(file, whole.subarray(0, -20))
    const cut = await run(block('run=restore'), { ...common, ...second })
    assert.equal(cut.code, 1, cut.stderr)
    await writeFile(file, whole)
    await done('run=restore', { ...common, ...second })

    receiver.behave({ status: 200 })
    const [tried, dialled] = [receiver.requests.length, relay.connections]
    const copy = await serve(second)
    assert.match(copy.stdout, /This is a restored copy/)
    const ready = await request(url, 'GET', '/readyz')
    assert.ok(ready.body.callbacks_held_since)
    assert.match((await done('run=check', { ...common, ...second })).stdout, /held until "hitl restore --release"/)
    const after = await Promise.all(ids.map(read))
    assert.deepEqual(after, before)
    await login(url, 'reviewer@example.com', 'password123')
    await decide(pending)
    const verify = async () => {
      // Exports are never overwritten either.
      await rm(join(BACKUPS, 'audit.jsonl'), { force: true })
      return (await done('run=verify', { ...common, ...second })).stdout
    }
    assert.match(await verify(), /intact/i)
    const redelivered = await ask(callback)
    await decide(redelivered)
    assert.deepEqual([receiver.requests.length, relay.connections], [tried, dialled], 'nothing was sent')

    const { stdout } = await done('run=release', { ...common, ...second })
    assert.match(stdout, /Waiting callbacks: 2, letters: 1/)
    await eventually('the new callback is sent', async () => (await read(redelivered)).state === 'callback_sent')
    const again = await request(url, 'POST', `/api/v1/requests/${failed}/redeliver`, { as: key })
    assert.equal(again.status, 202, JSON.stringify(again.body))
    await eventually('the one that failed is sent', async () => (await read(failed)).state === 'callback_sent')
    assert.equal((await read(waiting)).callback.status, 'delivering', 'its next attempt is in an hour')
    const ofCopy = receiver.requests.slice(tried).map(({ headers }) => headers['webhook-id'])
    assert.equal(new Set(ofCopy).size, ofCopy.length, 'each once')
    await eventually('the letter goes out again', () => relay.connections > dialled)
    assert.match(await verify(), /intact/i)
    assert.equal(await copy.end('SIGTERM'), 0)
  })
}

test('a role that may read all rows makes the same backup', async () => {
  const database = await externalDatabase()
  const client = new pg.Client({ ...database.connection, user: 'postgres' })
  await client.connect()
  try {
    await client.query(block('run=backup-role'))
    const { DATABASE_URL } = databaseEnvironment({
      ...database.connection,
      user: 'hitl_backup',
      password: 'choose one',
    })
    const BACKUPS = join(folder, 'backups-role')
    const rows: string[] = []
    for (const environment of [databaseEnvironment(database.connection), { DATABASE_URL }]) {
      await mkdir(BACKUPS)
      await done('run=backup', { ...environment, BACKUPS, DATA_DIR: join(folder, 'role') })
      const [name = ''] = await readdir(BACKUPS)
      const lines = gunzipSync(await readFile(join(BACKUPS, name)))
        .toString('latin1')
        .split('\n')
      // Without the header, which has the time, and the hash of everything.
      rows.push(lines.slice(1, -2).join('\n'))
      await rm(BACKUPS, { recursive: true })
    }
    assert.ok((rows[0] ?? '').length > 1_000)
    assert.equal(rows[1], rows[0])
  } finally {
    await client.query('drop role if exists hitl_backup')
    await client.end()
    await database.drop()
  }
})

describe('files of the document', () => {
  const check = (program: string, ...args: readonly string[]) =>
    new Promise<string>((resolve, reject) => {
      execFile(program, args, (error, stdout, stderr) =>
        error === null ? resolve(stderr) : reject(new Error(`${stdout}${stderr}`)),
      )
    })

  test('nginx takes both configurations', async () => {
    const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    for (const mark of ['file=root.conf', 'file=below.conf']) {
      const path = join(folder, 'nginx.conf')
      const temporary = places.map((name) => `${name}_temp_path ${join(folder, name)};`).join(' ')
      const port = await freePort()
      await writeFile(
        path,
        `pid ${join(folder, 'nginx.pid')}; events {} http { access_log off; ${temporary} server { listen 127.0.0.1:${port}; ${block(mark)} } }`,
      )
      await check('nginx', '-t', '-e', 'stderr', '-c', path)
    }
  })

  test('systemd takes the unit, and it starts what npm start starts', async () => {
    const unit = block('file=hitl.service')
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const command = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.replaceAll('/opt/hitl/', '').replace('node_modules/.bin/', '')
    assert.equal(command, scripts.start)
    // On this machine there is neither /opt/hitl nor an account.
    const here = unit.replace(/^ExecStart=\S+/m, `ExecStart="${process.execPath}"`).replace(/^(User|Group)=.*\n/gm, '')
    const path = join(folder, 'hitl.service')
    await writeFile(path, here)
    await check('systemd-analyze', 'verify', path)
  })

  test('every command of the document is run, here or in oldest-postgres', async () => {
    const fences = [...text.matchAll(/^```(\w+)(.*)$/gm)].map(([, language, mark = '']) => ({ language, mark }))
    for (const { language, mark } of fences) assert.match(mark, /^ (run|file)=[\w.-]+$/, `a block of ${language}`)
    const source = [...text.matchAll(/^```\w+ (\S+)$/gm)].map(([, mark = '']) => mark)
    assert.equal(new Set(source).size, source.length)
    const names = ['operations.test.ts', 'oldest-postgres.test.ts']
    const tests = await Promise.all(names.map((name) => readFile(join(root, 'e2e', name), 'utf8')))
    assert.deepEqual(
      source.filter((mark) => !tests.join('').includes(`'${mark}'`)),
      [],
    )
  })
})
