import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { type App, createApp } from '../../../src/app.ts'
import { createLog } from '../../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'

const another = 'another key of the tests, which did not seal anything here'
const k1 = `k1:${randomBytes(32).toString('base64')}`

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { KEY_ENCRYPTION_KEYS: k1 } })
  await t.createRequest({ callback_webhook: 'http://127.0.0.1:9/', callback_secret: 'a secret of the callback' })
})
after(() => t.stop())

/** Another process on the same database, with these settings. */
async function withApp<T>(
  environment: Readonly<Record<string, string>>,
  key: string,
  work: (app: App) => Promise<T>,
  { connection } = t,
) {
  const log = createLog('silent', false)
  const app = await createApp({ config: testConfig(environment), secretKey: key, connection, log })
  return await work(app).finally(() => app.stop())
}

const readiness = async (app: App) => {
  const reply = await app.http.inject({ url: '/readyz' })
  return { status: reply.statusCode, secrets: reply.json().checks.secrets }
}

describe('data keys sealed with k1', () => {
  test('with k1 there, first or not, nothing is missing', async () => {
    for (const keys of [k1, `k2:${randomBytes(32).toString('base64')},${k1}`]) {
      await withApp({ KEY_ENCRYPTION_KEYS: keys }, another, async (app) => {
        assert.deepEqual(await app.missingKeys(), [])
        assert.deepEqual(await readiness(app), { status: 200, secrets: 'ok' })
      })
    }
  })

  for (const [what, environment] of [
    ['no key of that name', {}],
    ['another key of that name', { KEY_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}` }],
  ] as const) {
    test(`${what}: it is named, and /readyz is 503`, async () => {
      await withApp(environment, secretKey, async (app) => {
        const [mistake, ...others] = await app.missingKeys()
        assert.match(
          mistake ?? '',
          /^KEY_ENCRYPTION_KEYS lacks the key "k1", which data key [0-9a-f-]{36} of this database/,
        )
        assert.deepEqual(others, [])
        assert.deepEqual(await readiness(app), { status: 503, secrets: 'key_missing' })
      })
    })
  }

  test('a call that needs the missing key makes /readyz 503 too', async () => {
    await withApp({}, secretKey, async (app) => {
      assert.deepEqual(await readiness(app), { status: 200, secrets: 'ok' })
      await app.http.inject({ url: '/.well-known/jwks.json' })
      const body = {
        title: 'x',
        context: {},
        callback_webhook: 'http://127.0.0.1:9/',
        callback_secret: 'another secret',
      }
      const headers = { authorization: `Bearer ${t.apiKey}` }
      const reply = await app.http.inject({ method: 'POST', url: '/api/v1/requests', headers, payload: body })
      assert.equal(reply.statusCode, 503)
      assert.equal(reply.json().code, 'service.key_unavailable')
      assert.deepEqual(await readiness(app), { status: 503, secrets: 'key_missing' })
    })
  })
})

test('data keys sealed with SECRET_KEY: another one is refused, and the former one as SECRET_KEY_PREVIOUS is enough', async (context) => {
  const own = await startTestApp()
  context.after(() => own.stop())
  await own.createRequest({ callback_webhook: 'http://127.0.0.1:9/', callback_secret: 'a secret of the callback' })
  const log = createLog('silent', false)
  const missing = async (environment: Readonly<Record<string, string>>) => {
    const config = testConfig(environment)
    const app = await createApp({ config, secretKey: another, connection: own.connection, log })
    return app.missingKeys().finally(() => app.stop())
  }
  const [mistake] = await missing({ SECRET_KEY: another })
  assert.match(
    mistake ?? '',
    /^SECRET_KEY is not the one that data key [0-9a-f-]{36} of this database was sealed with \("secret-key"\)/,
  )
  const [generated] = await missing({ DATA_DIR: '/srv/hitl' })
  assert.match(generated ?? '', /^SECRET_KEY, generated into \/srv\/hitl\/secret-key, is not the one/)
  assert.deepEqual(await missing({ SECRET_KEY: another, SECRET_KEY_PREVIOUS: secretKey }), [])
})

describe('SECRET_KEY beside KEY_ENCRYPTION_KEYS, once a start has noted it', () => {
  let own: TestApp
  const mistakesWith = (key: string, more: Readonly<Record<string, string>> = {}) =>
    withApp({ KEY_ENCRYPTION_KEYS: k1, SECRET_KEY: key, ...more }, key, (app) => app.missingKeys(), own)
  /** As a start does, after it has found no mistake. */
  const noteWith = (key: string, more: Readonly<Record<string, string>> = {}, formerIsLost = false) =>
    withApp({ KEY_ENCRYPTION_KEYS: k1, ...more }, key, (app) => app.noteSecretKey({ formerIsLost }), own)
  before(async () => {
    own = await startTestApp({ environment: { KEY_ENCRYPTION_KEYS: k1 } })
    await noteWith(secretKey)
  })
  after(() => own.stop())

  test('the same one is no mistake, another one is, and says how to go on', async () => {
    assert.deepEqual(await mistakesWith(secretKey), [])
    const [mistake, ...others] = await mistakesWith(another)
    assert.match(
      mistake ?? '',
      /^SECRET_KEY is not the one that this database is used with.*"hitl keys rotate --secret-key-lost/,
    )
    assert.deepEqual(others, [])
  })

  test('a start that was not refused in time does not take its place', async () => {
    await noteWith(another)
    assert.deepEqual(await mistakesWith(secretKey), [])
  })

  test('a new one beside the former one as SECRET_KEY_PREVIOUS takes its place; the former one alone is then a mistake', async () => {
    const former = { SECRET_KEY_PREVIOUS: secretKey }
    assert.deepEqual(await mistakesWith(another, former), [])
    await noteWith(another, former)
    assert.deepEqual(await mistakesWith(another), [])
    assert.equal((await mistakesWith(secretKey)).length, 1)
    assert.deepEqual(await mistakesWith(secretKey, { SECRET_KEY_PREVIOUS: another }), [])
  })

  test('when the former one is lost, whoever says so goes on with a new one', async () => {
    await noteWith(secretKey, {}, true)
    assert.deepEqual(await mistakesWith(secretKey), [])
  })
})
