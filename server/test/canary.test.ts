import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createPasswords } from '../src/identity/accounts/passwords.ts'
import { openDb } from '../src/platform/database/db.ts'
import { installationId } from '../src/platform/ids.ts'
import { createLog } from '../src/platform/log.ts'
import { createEnvelope } from '../src/platform/secrets/envelope.ts'
import { dataKeys } from '../src/platform/secrets/envelope-store.ts'
import { createKeyRing, parseKeyEncryptionKeys } from '../src/platform/secrets/key-encryption.ts'
import { type Day, scenes } from './canary/scenes.ts'
import { dump, formsOf, type Planted, search } from './canary/search.ts'
import { type Reply, secretKey, startTestApp, type TestApp } from './harness.ts'
import { clientSecret, type OpenIdProvider, startOpenIdProvider } from './identity/sso/openid-provider.ts'
import { type MailRelay, startMailRelay } from './platform/mail-relay.ts'
import { type Receiver, startReceiver } from './receivers.ts'

const smtp = { user: 'hitl', password: `smtp-${randomBytes(12).toString('hex')}` }
const keys = ['first', 'second'].map((id) => `${id}:${randomBytes(32).toString('base64')}`)
const previous = `previous secret key ${randomBytes(12).toString('base64url')}`

let t: TestApp
let receiver: Receiver
let relay: MailRelay
let provider: OpenIdProvider
const lines: string[] = []
before(async () => {
  receiver = await startReceiver()
  relay = await startMailRelay({ login: smtp })
  provider = await startOpenIdProvider()
  t = await startTestApp({
    environment: {
      PUBLIC_URL: 'https://hitl.example.com',
      KEY_ENCRYPTION_KEYS: keys.join(','),
      SECRET_KEY_PREVIOUS: previous,
      ACCESS_TOKEN_ALGORITHM: 'EdDSA',
      // A day passes on the fake clock.
      ACCESS_TOKEN_EXPIRE_MINUTES: '1440',
      SMTP_URL: `smtp://${smtp.user}:${smtp.password}@127.0.0.1:${relay.port}`,
      MAIL_FROM: 'hitl@example.com',
      SSO_ALLOW: '127.0.0.0/8',
      RATE_LIMIT_ADDRESS: 'off',
    },
    passwords: createPasswords({ cost: 4 }),
    // At trace, to see what libraries log too.
    log: createLog('trace', false, { write: (line) => void lines.push(line) }),
  })
})
after(async () => {
  await t.stop()
  await Promise.all([receiver.close(), relay.close(), provider.close()])
})

test('the search finds every form of every kind of secret', () => {
  const kinds = [
    'plain words "quoted" \\ é\n',
    randomBytes(32).toString('base64url'),
    'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
    t.apiKey,
  ]
  for (const secret of kinds) {
    for (const [form, value] of formsOf(secret)) {
      const planted = [{ what: 'it', secret, mailed: false }]
      const found = search(planted, new Map([['here', `before${value}after`]]))
      assert.ok(found.length > 0, form)
      assert.deepEqual(search(planted, new Map([['here', `before${value.slice(value.length / 2)}after`]])), [], form)
    }
  }
})

test('a day with errors leaves no secret in the database, log, replies, callbacks, mails, events or exports', async () => {
  const planted: Planted[] = []
  const texts = new Map<string, string>()
  const plant: Day['plant'] = (what, secret, { mailed = false as boolean } = {}) => {
    assert.ok(secret.length >= 8, `${what}: too short to be told from chance`)
    planted.push({ what, secret, mailed })
    return secret
  }
  const shown = (reply: Reply): string => `${JSON.stringify(reply.headers)}\n${reply.text}`
  let scene = ''
  const call: Day['call'] = async (method, path, options) => {
    const reply = await t.call(method, path, options)
    texts.set(`reply ${texts.size} to ${method} ${path.slice(0, 60)} in ${scene}`, shown(reply))
    return reply
  }
  const day: Day = {
    t,
    receiver,
    relay,
    provider,
    plant,
    call,
    take: t.call,
    text: (what, text) => void texts.set(`${what} in ${scene}`, text),
  }
  plant('SECRET_KEY', secretKey)
  plant('SECRET_KEY_PREVIOUS', previous)
  for (const key of keys) plant('a key-encryption key', key.slice(key.indexOf(':') + 1))
  plant('the password of the mail relay', smtp.password)
  plant('the client secret of the provider', clientSecret)
  plant('the sample API key', t.apiKey)
  for (const [name, act] of Object.entries(scenes)) {
    scene = name
    await act(day)
  }
  for (const secret of await keysOfTheInstallation()) plant('a key of the installation', secret)

  for (const [name, text] of await dump(t.connection)) texts.set(name, text)
  lines.forEach((line, index) => void texts.set(`log line ${index}`, line))
  for (const [index, { headers, body, path }] of receiver.requests.entries()) {
    texts.set(`callback ${index}`, `${path}\n${JSON.stringify(headers)}\n${body.toString()}`)
  }
  for (const [index, { raw, text }] of relay.letters.entries()) texts.set(`letter ${index}`, `${raw}\n${text}`)

  const secrets = new Set(planted.map(({ secret }) => secret))
  assert.ok(secrets.size >= 50, `only ${secrets.size} secrets`)
  assert.ok(lines.length > 200 && receiver.requests.length > 10 && relay.letters.length > 0)
  assert.deepEqual(await leftBehind(), [], 'sealed under a retired data key: not among the sealedColumns of its module')
  const found = search(planted, texts)
  assert.deepEqual(found.slice(0, 20), [], `${found.length} places`)
})

/** Columns whose values the scene that re-wraps with new data keys has re-encrypted. */
async function leftBehind(): Promise<readonly string[]> {
  const columns = await t.sql(
    `select table_name as name, column_name as bytes from information_schema.columns
     where table_schema = 'public' and data_type = 'bytea'`,
  )
  const passedOver: string[] = []
  for (const { name, bytes } of columns) {
    const rows = await t.sql(
      `select from ${name} where exists (select from data_keys where retired_at is not null
         and substring(${bytes} from 1 for 17) = '\\x02'::bytea || uuid_send(id))`,
    )
    if (rows.length > 0) passedOver.push(`${name}.${bytes}`)
  }
  return passedOver
}

/** The keys that are in the clear only in memory: data keys, and the private parts of signing keys. */
async function keysOfTheInstallation(): Promise<readonly string[]> {
  const db = openDb({ connection: t.connection, poolSize: 2, role: 'hitl_app', onError: () => {} })
  const configured = parseKeyEncryptionKeys(keys.join(','))
  const keyRing = createKeyRing({ configured, secretKey, previousSecretKey: previous })
  const envelope = createEnvelope({ db, keyRing })
  try {
    const secrets: string[] = []
    for (const organizationId of [installationId, t.organizationId]) {
      for (const key of await dataKeys(db.within({ organizationId }), organizationId)) {
        secrets.push(keyRing.unwrap(key).export().toString('base64url'))
      }
    }
    for (const row of await t.sql('select id, private_key from signing_keys where private_key is not null')) {
      const place = {
        organizationId: installationId,
        table: 'signing_keys',
        column: 'private_key',
        row: String(row.id),
      }
      secrets.push(await envelope.open(row.private_key as Buffer, place))
    }
    assert.ok(secrets.length >= 5)
    return secrets
  } finally {
    await db.close()
  }
}
