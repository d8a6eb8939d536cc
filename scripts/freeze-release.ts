// Makes the files that e2e/released.test.ts starts from: a small installation, used through its API as people and agents do, by
// the service of a version. Run it when a version is tagged:
//
//   node scripts/freeze-release.ts 0.2.0                      with this checkout
//   node scripts/freeze-release.ts 0.2.0 ../checkout-of-0.2.0 with another one, which has its dependencies
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { backUp } from '../server/src/backup/backup.ts'
import { startEmbeddedPostgres } from '../server/src/platform/embedded-postgres/embedded-postgres.ts'
import { secretKeyCheckOf } from '../server/src/platform/secrets/secret-key-check.ts'
import { eventually } from '../server/test/eventually.ts'
import { freePort, startReceiver } from '../server/test/receivers.ts'
import { login, request, startService, untilReady } from '../server/test/service-process.ts'

const [version, checkout = join(import.meta.dirname, '..')] = process.argv.slice(2)
if (version === undefined) throw new Error('Name the version: node scripts/freeze-release.ts 0.2.0')

const folder = await mkdtemp(join(tmpdir(), 'hitl-freeze-'))
const port = await freePort()
const url = `http://127.0.0.1:${port}`
const secretKey = `the secret key of the frozen ${version}, which protects nothing`
const password = 'password123'
const receiver = await startReceiver()
const main = join(resolve(checkout), 'server/src/main.ts')
const environment = { DATA_DIR: folder, PORT: String(port), SECRET_KEY: secretKey, DEMO: 'true', LOG_LEVEL: 'warn' }
const service = startService({ cwd: folder, main, environment })
try {
  await untilReady(service, url)
  await eventually('it has said so', () => service.stdout.includes('is listening.'))
  const apiKey = /Sample API key +(\S+)/.exec(service.stdout)?.[1] ?? ''
  const admin = await login(url, 'admin@example.com', password)
  const call = async (method: string, path: string, as: string, body?: unknown) => {
    const reply = await request(url, method, `/api/v1${path}`, { as, body })
    if (reply.status > 299) throw new Error(`${method} ${path}: ${JSON.stringify(reply.body)}`)
    return reply.body
  }
  const ask = async (title: string, more: object = {}): Promise<string> =>
    (await call('POST', '/requests', apiKey, { title, context: { bucket: 'backups', bytes: 12 }, ...more })).id
  const decide = (id: string, decision: string) =>
    call('POST', `/requests/${id}/respond`, admin, { decision, comment: 'as agreed' })

  const ids = {
    pending: await ask('May I delete the old backups?'),
    responded: await ask('May I write to the bucket?'),
    callback_sent: await ask('May I deploy?', { callback_webhook: receiver.url, callback_secret: 'c4llback-word' }),
    callback_failed: await ask('May I restart?', {
      callback_webhook: `${receiver.url}/fails`,
      callback_retry_seconds: [],
    }),
    timeout: await ask('May I go home?', { timeout_minutes: 1 }),
    cancelled: await ask('May I forget this?'),
    redeemed: await ask('May I send the mail?'),
  }
  receiver.behave((response, { path }) => void response.writeHead(path === '/fails' ? 500 : 200).end())
  for (const id of [ids.responded, ids.callback_sent, ids.redeemed]) await decide(id, 'approve')
  await decide(ids.callback_failed, 'reject')
  await call('POST', `/requests/${ids.cancelled}/cancel`, apiKey, {})
  await call('POST', `/requests/${ids.redeemed}/redeem`, apiKey, {})
  await call('POST', '/teams', admin, { name: 'Operations' })
  const states: Record<string, string> = {}
  const settled = ['pending', 'responded', 'callback_sent', 'callback_failed', 'cancelled']
  for (const [name, id] of Object.entries(ids)) {
    const isThere = async () => {
      const { state } = await call('GET', `/requests/${id}`, apiKey)
      states[name] = state
      return name === 'redeemed' || state === name
    }
    if (settled.includes(name)) await eventually(`${name} is ${name}`, isThere)
    // Its minute has to pass.
    else while (!(await isThere())) await new Promise((done) => setTimeout(done, 500))
  }
  const certificate = (await call('GET', `/requests/${ids.responded}/certificate`, apiKey)).certificate
  if ((await service.end('SIGTERM')) !== 0) throw new Error('the service did not stop as it should')

  const server = await startEmbeddedPostgres({ dataDir: folder, durable: false, log: () => {} })
  try {
    // As the superuser: what this checkout needs to read as the owner, an earlier version lacks.
    const connection = { ...server.connection, user: 'postgres' }
    await backUp({ connection, version, secretKeyCheck: secretKeyCheckOf(secretKey) }, async (bytes) => {
      await writeFile(join(import.meta.dirname, `../e2e/released/${version}.backup`), await buffer(bytes))
    })
  } finally {
    await server.stop()
  }
  const facts = { version, secret_key: secretKey, api_key: apiKey, password, requests: ids, states, certificate }
  await writeFile(join(import.meta.dirname, `../e2e/released/${version}.json`), `${JSON.stringify(facts, null, 2)}\n`)
} finally {
  service.child.kill('SIGTERM')
  await service.exited
  await receiver.close()
  await rm(folder, { recursive: true, force: true })
}
