import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runCommand } from '../server/test/commands/command-process.ts'
import { freePort } from '../server/test/receivers.ts'
import {
  externalDatabase,
  login,
  request,
  type ServiceProcess,
  startService,
  untilReady,
} from '../server/test/service-process.ts'

const keyOf = (): string => randomBytes(32).toString('base64')
const k1 = `k1:${keyOf()}`
const k2 = `k2:${keyOf()}`
const database = await externalDatabase()
const cwd = await mkdtemp(join(tmpdir(), 'hitl keys '))
const environment = { ...database.environment, DATA_DIR: join(cwd, 'data') }
let service: ServiceProcess
let url = ''

after(async () => {
  await service.end('SIGTERM')
  await database.drop()
  await rm(cwd, { recursive: true, force: true })
})

const rotate = (keys: string, ...args: readonly string[]) =>
  runCommand(['keys', 'rotate', ...args], { environment: { ...environment, KEY_ENCRYPTION_KEYS: keys }, cwd })

async function rotateJson(keys: string, ...args: readonly string[]) {
  const { code, stdout, stderr } = await rotate(keys, ...args, '--json')
  assert.ok(stdout.startsWith('{'), stderr)
  return { code, stderr, facts: JSON.parse(stdout) }
}

const kids = async (purpose: string): Promise<readonly string[]> => {
  const { body } = await request(url, 'GET', '/.well-known/jwks.json')
  return body.keys.filter((key: { purpose: string }) => key.purpose === purpose).map((key: { kid: string }) => key.kid)
}

/** A request with a callback secret, which is stored under the organization's data key. */
async function storeSecret(): Promise<void> {
  const body = {
    title: 'May I?',
    context: {},
    callback_webhook: 'http://127.0.0.1:9/x',
    callback_secret: 'c4llback-word',
  }
  const created = await request(url, 'POST', '/api/v1/requests', { as: apiKey, body })
  assert.equal(created.status, 201, JSON.stringify(created.body))
}

let apiKey = ''
before(async () => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  // The service knows both keys from the start, as every process must before the data keys are wrapped with the new one.
  const more = { PORT: String(port), DEMO: 'true', KEY_ENCRYPTION_KEYS: `${k1},${k2}`, LOG_LEVEL: 'warn' }
  service = startService({ cwd, environment: { ...environment, ...more } })
  await untilReady(service, url)
  while (apiKey === '') {
    apiKey = /Sample API key +(\S+)/.exec(service.stdout)?.[1] ?? ''
    await request(url, 'GET', '/livez')
  }
  await storeSecret()
})

describe('while the service runs', () => {
  test('signing: the key set has a new key for each purpose beside the previous one', async () => {
    const earlier = { certificate: await kids('certificate'), audit_head: await kids('audit_head') }
    const { code, facts } = await rotateJson(k1, '--only', 'signing')
    assert.equal(code, 0)
    assert.equal(facts.data_keys, null)
    assert.deepEqual(
      facts.signing_keys.map((key: { purpose: string }) => key.purpose),
      ['certificate', 'audit_head'],
    )
    for (const { purpose, kid, active_at, earlier_revoked } of facts.signing_keys) {
      assert.equal(earlier_revoked, false)
      assert.ok(Date.parse(active_at) > Date.now() + 60_000, 'not before every reader has it')
      assert.ok(!earlier[purpose as 'certificate'].includes(kid))
    }
  })

  test('data: the keys are wrapped with the new key, and everything still opens without the old one', async () => {
    const first = await rotateJson(`${k2},${k1}`, '--only', 'data')
    assert.equal(first.code, 0, first.stderr)
    assert.ok(first.facts.data_keys.rewrapped >= 2, 'the organization and the installation have one each')
    assert.equal(first.facts.data_keys.unavailable, 0)
    const again = await rotateJson(`${k2},${k1}`, '--only', 'data')
    assert.equal(again.facts.data_keys.rewrapped, 0)
    const without = await rotateJson(k2, '--only', 'data')
    assert.equal(without.code, 0, 'the old key is needed no more')
    await storeSecret()
    await login(url, 'admin@example.com', 'password123')
  })

  test('data: reports which keys can be removed now and which ones older tokens still need', async () => {
    const { code, stdout } = await rotate(k2, '--only', 'data')
    assert.equal(code, 0)
    assert.match(stdout, /Earlier KEY_ENCRYPTION_KEYS, .* can be removed\./)
    assert.match(stdout, /SECRET_KEY_PREVIOUS .* keep it until .*ACCESS_TOKEN_EXPIRE_MINUTES/)
  })

  test('data, without the key that protects them: exit 1 with what to do, and nothing is lost', async () => {
    const { code, stdout, stderr } = await rotate(k1, '--only', 'data')
    assert.equal(code, 1)
    assert.match(stdout, /\d data keys? .*could not be opened.*Keep the earlier keys in KEY_ENCRYPTION_KEYS/)
    assert.match(stderr, /a data key does not open/)
    for (const secret of ['c4llback-word', k1.slice(3, 20), k2.slice(3, 20)]) {
      assert.ok(!`${stdout}${stderr}`.includes(secret), secret)
    }
    assert.equal((await rotateJson(k2, '--only', 'data')).code, 0)
  })

  test('leaked: the new key signs at once, and earlier ones leave the key set', async () => {
    const earlier = await kids('certificate')
    const { code, facts } = await rotateJson(k2, '--leaked', 'certificate')
    assert.equal(code, 0)
    assert.equal(facts.signing_keys.length, 1)
    const [{ kid, active_at, earlier_revoked }] = facts.signing_keys
    assert.equal(earlier_revoked, true)
    assert.ok(Date.parse(active_at) <= Date.now())
    assert.ok(!earlier.includes(kid))
  })
})

describe('options that contradict one another: exit 64', () => {
  for (const args of [
    ['--only', 'both'],
    ['--leaked', 'everything'],
    ['--only', 'data', '--leaked', 'certificate'],
    ['--only', 'signing', '--new-data-keys'],
    ['--leaked', 'certificate', '--new-data-keys'],
  ]) {
    test(args.join(' '), async () => assert.equal((await rotate(k2, ...args)).code, 64))
  }
})

test('a lost SECRET_KEY: start and rotation are refused with the way on, which then leads on', async () => {
  const PORT = new URL(url).port
  assert.equal(await service.end('SIGTERM'), 0)
  const SECRET_KEY = keyOf() + keyOf()
  const changed = { environment: { ...environment, KEY_ENCRYPTION_KEYS: k2, PORT, SECRET_KEY }, cwd }
  const mistake = /SECRET_KEY is not the one that this database is used with.*"hitl keys rotate --secret-key-lost"/
  for (const args of [['serve'], ['keys', 'rotate', '--only', 'data'], ['config', 'check', '--connect']]) {
    const { code, stdout, stderr } = await runCommand(args, changed)
    assert.equal(code, 78, args.join(' '))
    assert.match(stdout + stderr, mistake, args.join(' '))
  }
  const accepted = await runCommand(['keys', 'rotate', '--only', 'data', '--secret-key-lost'], changed)
  assert.equal(accepted.code, 0, accepted.stderr)
  service = startService(changed)
  await untilReady(service, url)
  await login(url, 'admin@example.com', 'password123')
})
