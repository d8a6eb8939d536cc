import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { calculateJwkThumbprint, compactVerify, importJWK } from 'jose'
import pg from 'pg'
import type { Fact } from '../../../src/facts/fact.ts'
import { createSigningKeys, defaultOverlapMs, type SigningKeys } from '../../../src/identity/signing-keys/service.ts'
import { purposes } from '../../../src/identity/signing-keys/signing-key.ts'
import { type Db, openDb } from '../../../src/platform/database/db.ts'
import { createLog } from '../../../src/platform/log.ts'
import type { Problem } from '../../../src/platform/problem.ts'
import { createEnvelope } from '../../../src/platform/secrets/envelope.ts'
import { rewrap } from '../../../src/platform/secrets/envelope-rewrap.ts'
import { createKeyRing } from '../../../src/platform/secrets/key-encryption.ts'
import { cloneDatabase, createFakeClock } from '../../harness.ts'

const secretKey = 'a secret key of thirty-two characters'
const clock = createFakeClock()
const log = createLog('silent', false)
const facts: Fact[] = []
let database: Awaited<ReturnType<typeof cloneDatabase>>
let db: Db
let client: pg.Client
before(async () => {
  database = await cloneDatabase()
  db = openDb({ connection: database.connection, poolSize: 5, role: 'hitl_app', onError: () => {} })
  client = new pg.Client({ ...database.connection, user: 'postgres' })
  await client.connect()
})
after(async () => {
  await client.end()
  await db.close()
  await database.drop()
})

const sealerOf = (key: string) => {
  const keyRing = createKeyRing({ configured: [], secretKey: key, previousSecretKey: null })
  return { keyRing, envelope: createEnvelope({ db, keyRing }) }
}
/** The signing keys of one process. */
const process = (key = secretKey): SigningKeys =>
  createSigningKeys({
    db,
    log,
    clock,
    sealer: sealerOf(key).envelope,
    inUse: ['certificate', 'audit_head'],
    report: async (_tx, reported) => void facts.push(...reported),
  })
/** Verifies a JWS with another library and the published keys, and returns its payload. */
const check = async (keys: SigningKeys, jws: string, typ: string) => {
  const { payload, protectedHeader } = await compactVerify(
    jws,
    async ({ kid }) => {
      const jwk = (await keys.keySet()).find((one) => one.kid === kid)
      if (jwk === undefined) throw new Error('not published')
      return importJWK({ ...jwk })
    },
    { algorithms: ['EdDSA'] },
  )
  assert.equal(protectedHeader.typ, typ)
  assert.deepEqual(Object.keys(protectedHeader), ['alg', 'typ', 'kid'])
  return JSON.parse(new TextDecoder().decode(payload))
}
const kidOf = (jws: string): string =>
  JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString('utf8')).kid

describe('signing keys', () => {
  test('are made once when first needed, even if ten processes need them at the same moment', async () => {
    const signed = await Promise.all(
      Array.from({ length: 10 }, (_, n) => process().sign('certificate', { n }, { typ: 'a+jwt' })),
    )
    assert.equal(new Set(signed.map(kidOf)).size, 1)
    const keys = process()
    for (const [n, jws] of signed.entries()) assert.deepEqual(await check(keys, jws, 'a+jwt'), { n })
    const made = facts.filter((fact) => fact.after?.purpose === 'certificate')
    assert.deepEqual(
      made.map((fact) => fact.kind),
      ['signing_key.created'],
    )
  })

  test('are in the key set with only their public part, each under its thumbprint', async () => {
    const set = await process().keySet()
    assert.deepEqual(set.map((key) => key.purpose).sort(), ['audit_head', 'certificate'])
    for (const key of set) {
      const period = ['active_at', 'retired_at', 'revoked_at']
      assert.deepEqual(Object.keys(key), ['kty', 'crv', 'x', 'kid', 'alg', 'use', 'purpose', ...period])
      assert.equal(await calculateJwkThumbprint({ kty: key.kty, crv: key.crv, x: key.x }), key.kid)
    }
  })

  test('are found only for their own purpose', async () => {
    const keys = process()
    for (const jwk of await keys.keySet()) {
      for (const purpose of purposes) {
        assert.equal((await keys.find(purpose, jwk.kid)) !== null, purpose === jwk.purpose)
      }
    }
    for (const kid of ['', 'x'.repeat(43), "' or 1=1--", '../../etc/passwd']) {
      assert.equal(await keys.find('certificate', kid), null)
    }
  })

  test('rotate with an overlap: published at once, used when every copy of the set has it, and retired ones still verify', async () => {
    const [here, there] = [process(), process()]
    const first = await here.sign('certificate', { n: 1 }, { typ: 'a+jwt' })
    await there.keySet()
    facts.length = 0
    const next = await here.rotate('certificate')
    assert.ok((await here.keySet()).some((key) => key.kid === next.kid))
    assert.equal(kidOf(await here.sign('certificate', {}, { typ: 'a+jwt' })), kidOf(first), 'the old one still signs')
    assert.ok(defaultOverlapMs > 300_000 + 30_000)
    clock.advance(defaultOverlapMs)
    const second = await here.sign('certificate', { n: 2 }, { typ: 'a+jwt' })
    assert.equal(kidOf(second), next.kid)
    // The other process looks up a key that it does not know yet.
    const foreign = process()
    await foreign.keySet()
    assert.deepEqual(await check(foreign, second, 'a+jwt'), { n: 2 })
    assert.deepEqual(await check(foreign, first, 'a+jwt'), { n: 1 })
    assert.deepEqual(
      facts.map(({ kind, before, after }) => [kind, before, after]),
      [
        [
          'signing_key.rotated',
          { kids: [kidOf(first)] },
          { purpose: 'certificate', kid: next.kid, active_at: next.activeAt },
        ],
      ],
    )
  })

  test('lose their private part a minute after they retire, and stay published', async () => {
    const keys = process()
    const before = await keys.signer('certificate')
    await keys.rotate('certificate', { overlapMs: 1_000 })
    clock.advance(61_001)
    await process().keySet()
    const query = 'select private_key is null as gone from signing_keys where kid = $1'
    assert.deepEqual((await client.query(query, [before.kid])).rows, [{ gone: true }])
    assert.ok((await process().keySet()).some((key) => key.kid === before.kid))
    assert.ok(await keys.sign('certificate', {}, { typ: 'a+jwt' }))
  })

  test('that have leaked are revoked: out of the set, known as revoked, and the next one signs at once', async () => {
    const keys = process()
    const leaked = await keys.sign('certificate', {}, { typ: 'a+jwt' })
    await keys.rotate('certificate')
    const next = await keys.rotate('certificate', { revoke: true })
    assert.equal(kidOf(await keys.sign('certificate', {}, { typ: 'a+jwt' })), next.kid)
    assert.equal((await keys.find('certificate', kidOf(leaked)))?.isRevoked, true)
    await assert.rejects(check(keys, leaked, 'a+jwt'), /not published/)
    const { rows } = await client.query(
      `select count(*)::int as kept from signing_keys where purpose = 'certificate' and private_key is not null`,
    )
    assert.deepEqual(rows, [{ kept: 1 }])
  })

  test('rotated by several processes at once leave exactly one successor', async () => {
    await Promise.all(Array.from({ length: 5 }, () => process().rotate('audit_head', { overlapMs: 0 })))
    const { rows } = await client.query(
      `select count(*)::int as open from signing_keys where purpose = 'audit_head' and retired_at is null`,
    )
    assert.deepEqual(rows, [{ open: 1 }])
    assert.ok(await process().sign('audit_head', {}, { typ: 'a+jwt' }))
  })

  test('cannot be read from the database, used, or told from those of a stranger with another SECRET_KEY: 503', async () => {
    const stranger = process('another secret key of the same length!')
    const jws = await process().sign('certificate', {}, { typ: 'a+jwt' })
    for (const use of [
      () => stranger.sign('certificate', {}, { typ: 'a+jwt' }),
      () => stranger.verify('certificate', jws, { typ: 'a+jwt' }),
      () => stranger.keySet(),
    ]) {
      await assert.rejects(use(), (error: Problem) => {
        assert.deepEqual([error.status, error.code], [503, 'service.key_unavailable'])
        return true
      })
    }
    const { rows } = await client.query('select private_key from signing_keys where private_key is not null')
    for (const row of rows) assert.equal(row.private_key.length, 1 + 16 + 12 + 16 + 43)
  })

  test('are re-encrypted with the other secrets', async () => {
    const { keyRing, envelope } = sealerOf(secretKey)
    const columns = [
      { table: 'signing_keys', column: 'private_key', of: 'installation' },
      { table: 'signing_keys', column: 'proof', of: 'installation' },
    ] as const
    const report = await rewrap(
      { db, keyRing, envelope, columns, organizationIds: async () => [], log },
      { rotateDataKeys: true, settleMs: 0 },
    )
    assert.ok(report.values.resealed >= 2 && report.values.unreadable === 0, JSON.stringify(report))
    assert.ok(await process().sign('certificate', {}, { typ: 'a+jwt' }))
  })

  test('that are unknown are looked up together, so that forged tokens cost the database little', async () => {
    let statements = 0
    const counter: Db = {
      ...db,
      within: (scope) => {
        statements += 1
        return db.within(scope)
      },
    }
    const sealer = sealerOf(secretKey).envelope
    const keys = createSigningKeys({ db: counter, clock, sealer, log, inUse: [], report: async () => {} })
    const made = process().rotate('access_token', { overlapMs: 0 })
    const found = await Promise.all(Array.from({ length: 1_000 }, (_, n) => keys.find('access_token', `forged-${n}`)))
    assert.ok(found.every((key) => key === null))
    assert.ok(statements <= 2, `${statements} statements`)
    assert.notEqual(await keys.find('access_token', (await made).kid), null, 'a new one is found all the same')
  })
})
