import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Ended, runCommand } from '../server/test/commands/command-process.ts'
import { eventually } from '../server/test/eventually.ts'
import { codeAt } from '../server/test/identity/factors/authenticator-app.ts'
import { startMailRelay } from '../server/test/platform/mail-relay.ts'
import { freePort } from '../server/test/receivers.ts'
import { recordedEvents } from '../server/test/recorded-events.ts'
import { externalDatabase, login, request, startService, untilReady } from '../server/test/service-process.ts'

const database = await externalDatabase()
const cwd = await mkdtemp(join(tmpdir(), 'hitl recover '))
const relay = await startMailRelay()
const environment = {
  ...database.environment,
  DATA_DIR: join(cwd, 'data'),
  SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
  MAIL_FROM: 'HITL <hitl@example.com>',
}
const email = 'ada@example.com'
const password = 'correct horse battery'
const auth = '/api/v1/auth'
const port = await freePort()
const url = `http://127.0.0.1:${port}`
const run = (args: readonly string[], input = ''): Promise<Ended> => runCommand(args, { environment, cwd, input })

let service: ReturnType<typeof startService>
/** The token of a session that lasts until it is ended. */
let token: string
let userId: string
before(async () => {
  const made = await run(['admin', 'create', '--email', email, '--password-stdin', '--json'], `${password}\n`)
  assert.equal(made.code, 0, made.stderr)
  userId = JSON.parse(made.stdout).id
  service = startService({ cwd, environment: { ...environment, PORT: String(port), LOG_LEVEL: 'warn' } })
  await untilReady(service, url)
  token = await login(url, email, password)
  const begun = await request(url, 'POST', `${auth}/factors/totp`, { as: token })
  assert.equal(begun.status, 201, JSON.stringify(begun.body))
  const confirm = `${auth}/factors/totp/${begun.body.id}/confirm`
  const body = { code: codeAt(begun.body.secret, new Date()) }
  const confirmed = await request(url, 'POST', confirm, { as: token, body })
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body))
})
after(async () => {
  service.child.kill('SIGTERM')
  await service.exited
  await relay.close()
  await database.drop()
  await rm(cwd, { recursive: true, force: true })
})

const signIn = (typed: string) => request(url, 'POST', `${auth}/login`, { body: { username: email, password: typed } })
const tokenIn = (text: string): string =>
  /\/password\/reset#([A-Za-z0-9_-]{43})$/m.exec(text)?.[1] ?? assert.fail(`no link in: ${text}`)
const choose = (link: string, next: string) =>
  request(url, 'POST', `${auth}/password/reset`, { body: { token: link, password: next } })
const me = async (): Promise<number> => (await request(url, 'GET', `${auth}/me`, { as: token })).status
const eventsOf = (kind: string) => recordedEvents(database.sql, { kinds: [kind] })

test('prints a link that sets a password once, and leaves second factors and sessions alone', async () => {
  const { code, stdout, stderr } = await run(['admin', 'recover', '--email', 'ADA@example.com'])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^ada@example\.com chooses a new password here, once, within 30 minutes:\nhttp\S+\n$/)
  assert.match(stderr, /^Hand it over/)
  assert.equal(await me(), 200)
  const link = tokenIn(stdout)
  assert.equal((await choose(link, 'a whole new one')).status, 204)
  assert.equal((await choose(link, 'yet another one')).status, 403)
  assert.equal((await signIn('a whole new one')).body.code, 'auth.second_factor_required')
  assert.deepEqual(await eventsOf('factors.removed'), [])
  const [asked] = await eventsOf('password.reset_requested')
  assert.deepEqual([asked?.actor.kind, asked?.after.mailed], ['system', false])
  assert.match(JSON.stringify(asked), /hitl admin recover/)
  assert.ok(!JSON.stringify(asked).includes(link))
})

test('--remove-second-factors: they are removed and all sessions end at once; the audit has it, the person is notified', async () => {
  await database.sql(`update sessions set revoked_at = null, revoked_because = null where user_id = '${userId}'`)
  await eventually('the session goes on', async () => (await me()) === 200)
  const { code, stdout, stderr } = await run([
    'admin',
    'recover',
    '--email',
    email,
    '--remove-second-factors',
    '--json',
  ])
  assert.equal(code, 0, stderr)
  assert.equal(stderr, '')
  const { link, ...facts } = JSON.parse(stdout)
  assert.deepEqual(facts, { email, valid_minutes: 30, removed: { totp: 1, passkeys: 0, recovery_codes: 0 } })
  await eventually('the session is over', async () => (await me()) === 401)
  assert.equal((await choose(tokenIn(link), 'the third of them')).status, 204)
  assert.equal((await signIn('the third of them')).status, 200)
  const [removed, ...others] = await eventsOf('factors.removed')
  assert.equal(others.length, 0)
  assert.deepEqual([removed?.actor.kind, removed?.subject.id], ['system', userId])
  assert.deepEqual(removed?.after, { because: 'operator' })
  await relay.lettersTo(email, 'Your second factors were removed', 1)
})

test('no account has the address: exit 1, and no link is printed', async () => {
  const { code, stdout, stderr } = await run(['admin', 'recover', '--email', 'otto@example.com'])
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /There is no account otto@example\.com/)
})

test('without --email: exit 64', async () => {
  const { code, stderr } = await run(['admin', 'recover'])
  assert.equal(code, 64)
  assert.match(stderr, /needs --email/)
})
