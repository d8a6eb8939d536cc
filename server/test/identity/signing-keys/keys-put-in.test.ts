import assert from 'node:assert/strict'
import { generateKeyPairSync, hash, type KeyObject, randomUUID, sign } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../../src/app.ts'
import { installationId } from '../../../src/platform/ids.ts'
import { createLog } from '../../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'

let t: TestApp
const lines: string[] = []
const log = createLog('error', false, { write: (line: string) => void lines.push(line) })
before(async () => {
  t = await startTestApp({ log, environment: { ACCESS_TOKEN_ALGORITHM: 'EdDSA' } })
})
after(() => t.stop())

/** A process that starts now, and remembers no key. */
async function inNewProcess<T>(look: (app: Awaited<ReturnType<typeof createApp>>) => Promise<T>): Promise<T> {
  const config = testConfig({ ACCESS_TOKEN_ALGORITHM: 'EdDSA' })
  const app = await createApp({ config, secretKey, connection: t.connection, log, clock: t.clock })
  try {
    return await look(app)
  } finally {
    await app.stop()
  }
}

function newKey() {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { x = '' } = privateKey.export({ format: 'jwk' })
  return { privateKey, x, kid: hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url') }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
function signed(key: KeyObject, kid: string, typ: string, claims: unknown): string {
  const text = `${encode({ alg: 'EdDSA', typ, kid })}.${encode(claims)}`
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
}

const columns = 'organization_id, id, kid, purpose, public_key, private_key, proof, created_at, active_at, retired_at'
const claimsOf = (jws: string) => JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())

/** Puts a key into the table in each way that somebody with the database, but without a key of the service, can think of. */
const ways: Readonly<Record<string, (purpose: string, x: string, kid: string) => Promise<unknown>>> = {
  'a row of its own': (purpose, x, kid) =>
    t.sql(
      `insert into signing_keys (${columns}) values ($1, $2, $3, $4, $5, null, '\\x00', now(), now() - interval '1 day', '2900-01-01')`,
      [installationId, randomUUID(), kid, purpose, Buffer.from(x, 'base64url')],
    ),
  "a copy of the service's own row, with everything that it has": (purpose, x, kid) =>
    t.sql(
      `insert into signing_keys select (jsonb_populate_record(s, jsonb_build_object('id', $2::text, 'kid', $3::text,
         'public_key', '\\x' || $4::text, 'retired_at', '2900-01-01'))).* from signing_keys s
       where purpose = $1 and retired_at is null`,
      [purpose, randomUUID(), kid, Buffer.from(x, 'base64url').toString('hex')],
    ),
  "in the place of the service's own": (purpose, x, kid) =>
    t.sql('update signing_keys set public_key = $2, kid = $3 where purpose = $1 and retired_at is null', [
      purpose,
      Buffer.from(x, 'base64url'),
      kid,
    ]),
}

describe('a public key that was put into the database', () => {
  for (const [way, put] of Object.entries(ways)) {
    for (const purpose of ['certificate', 'audit_head', 'access_token']) {
      test(`${way}, for ${purpose}: is not published, signs nothing that counts, and is in the log`, async (context) => {
        const { id } = await t.createRequest()
        await t.call('POST', `/api/v1/requests/${id}/respond`, {
          as: t.reviewer.token,
          body: { decision: 'reject' },
        })
        await t.app.identity.signingKeys.sign('audit_head', {}, { typ: 'x' })
        const saved = await t.sql('select * from signing_keys')
        context.after(async () => {
          await t.sql('delete from signing_keys')
          for (const row of saved) {
            const names = Object.keys(row)
            const places = names.map((_, at) => `$${at + 1}`)
            await t.sql(`insert into signing_keys (${names.join()}) values (${places.join()})`, Object.values(row))
          }
        })
        const { privateKey, x, kid } = newKey()
        await put(purpose, x, kid)
        lines.length = 0
        await inNewProcess(async (app) => {
          const set = await app.http.inject({ method: 'GET', url: '/.well-known/jwks.json' })
          assert.ok(!set.body.includes(x), 'it is not in the key set')
          const jws = signed(privateKey, kid, 'x', { a: 1 })
          assert.equal(await app.identity.signingKeys.verify(purpose as 'certificate', jws, { typ: 'x' }), null)
          assert.equal(await app.identity.signingKeys.find(purpose as 'certificate', kid), null)
          assert.ok(
            !(await app.identity.signingKeys.everyKey([purpose as 'certificate'])).some((key) => key.kid === kid),
          )
          assert.ok(
            lines.some((line) => JSON.parse(line).kid === kid),
            lines.join(''),
          )
          if (purpose === 'access_token') {
            const token = signed(privateKey, kid, 'at+jwt', claimsOf(t.admin.token))
            const headers = { authorization: `Bearer ${token}` }
            const reply = await app.http.inject({ method: 'GET', url: '/api/v1/auth/me', headers })
            assert.equal(reply.statusCode, 401)
          }
          if (purpose === 'certificate') {
            const [row] = await t.sql('select certificate from consultation_requests where id = $1', [id])
            const claims = { ...claimsOf(String(row?.certificate)), decision: 'approve' }
            const forged = signed(privateKey, kid, 'hitl-decision+jwt', claims)
            await t.sql(`update consultation_requests set decision = 'approve', certificate = $2 where id = $1`, [
              id,
              forged,
            ])
            const headers = { authorization: `Bearer ${t.apiKey}` }
            const reply = await app.http.inject({ method: 'POST', url: `/api/v1/requests/${id}/redeem`, headers })
            assert.deepEqual(
              [reply.statusCode, reply.json().code],
              [409, 'consultation.certificate_contradicts'],
              reply.body,
            )
          }
        })
      })
    }
  }

  test('another purpose given to a key of the service: it is not believed for that', async () => {
    const signing = t.app.identity.signingKeys
    const jws = await signing.sign('audit_head', { a: 1 }, { typ: 'x' })
    await t.sql(`update signing_keys set retired_at = '2900-01-01' where purpose = 'audit_head'`)
    await t.sql(`update signing_keys set purpose = 'certificate' where purpose = 'audit_head'`)
    await inNewProcess(async (app) => {
      assert.equal(await app.identity.signingKeys.verify('certificate', jws, { typ: 'x' }), null)
    })
  })
})
