import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { type Db, openDb } from '../../../src/platform/database/db.ts'
import { installationId } from '../../../src/platform/ids.ts'
import { createLog } from '../../../src/platform/log.ts'
import { Problem } from '../../../src/platform/problem.ts'
import { createEnvelope, type EnvelopeOptions } from '../../../src/platform/secrets/envelope.ts'
import { rewrap } from '../../../src/platform/secrets/envelope-rewrap.ts'
import { createKeyRing, parseKeyEncryptionKeys } from '../../../src/platform/secrets/key-encryption.ts'
import { dataKeyIdOf, type Place } from '../../../src/platform/secrets/sealed-text.ts'
import { cloneDatabase } from '../../harness.ts'

const secretKey = 'a secret key of thirty-two characters'
const one = `one:${randomBytes(32).toString('base64')}`
const two = `two:${randomBytes(32).toString('base64')}`
const log = createLog('silent', false)

let database: Awaited<ReturnType<typeof cloneDatabase>>
let db: Db
let client: pg.Client
before(async () => {
  database = await cloneDatabase()
  db = openDb({ connection: database.connection, poolSize: 3, role: 'hitl_app', onError: () => {} })
  client = new pg.Client({ ...database.connection, user: 'postgres' })
  await client.connect()
  await client.query(`
    create table safes (organization_id uuid, id uuid, code bytea, copy bytea, of_row uuid, primary key (organization_id, id));
    alter table safes enable row level security; alter table safes force row level security;
    create policy tenant on safes using (organization_id = hitl_organization());
    create table seeds (id uuid primary key, seed bytea);
    alter table seeds enable row level security; alter table seeds force row level security;
    create policy resealer on seeds using (hitl_resealer());
    grant select, insert, update on safes, seeds to hitl_app`)
})
after(async () => {
  await client.end()
  await db.close()
  await database.drop()
})

const keyRing = (configured: string, key = secretKey, previousSecretKey: string | null = null) =>
  createKeyRing({
    configured: configured === '' ? [] : parseKeyEncryptionKeys(configured),
    secretKey: key,
    previousSecretKey,
  })
const envelope = (configured = '', more: Partial<EnvelopeOptions> = {}) =>
  createEnvelope({ db, keyRing: keyRing(configured), ...more })
const newPlace = (organizationId: string = randomUUID()): Place => ({
  organizationId,
  table: 'safes',
  column: 'code',
  row: randomUUID(),
})
const keysOf = async (organizationId: string) =>
  (await client.query('select * from data_keys where organization_id = $1 order by created_at, id', [organizationId]))
    .rows
const isUnavailable = (error: unknown): boolean => {
  assert.ok(error instanceof Problem, String(error))
  assert.deepEqual([error.status, error.code], [503, 'service.key_unavailable'])
  return true
}

/** Counts the statements sent to the database. */
function counting() {
  const counted = { statements: 0 }
  const counter: Db = {
    ...db,
    within: (scope) => {
      const inner = db.within(scope)
      return {
        run: inner.run,
        execute: (statement, values) => {
          counted.statements += 1
          return inner.execute(statement, values)
        },
      }
    },
  }
  return { counted, counter }
}

describe('sealing', () => {
  test('creates the first data key of an organization; the value decrypts in every process with the same keys', async () => {
    const place = newPlace()
    const sealed = await envelope().seal('secret', place)
    assert.equal(await envelope().open(sealed, place), 'secret')
    const [key, ...others] = await keysOf(place.organizationId)
    assert.equal(others.length, 0)
    assert.equal(key.kek_id, 'secret-key')
    assert.equal(dataKeyIdOf(sealed), key.id)
  })
  test('needs one statement for an organization that has a key, for any number of values and callers', async () => {
    const { counted, counter } = counting()
    const place = newPlace()
    const sealed = await envelope().seal('secret', place)
    const process = envelope('', { db: counter })
    await Promise.all(Array.from({ length: 100 }, () => process.open(sealed, place)))
    await Promise.all(Array.from({ length: 100 }, (_, n) => process.seal(`${n}`, place)))
    assert.equal(counted.statements, 1)
  })
  test('in ten processes at once creates one key', async () => {
    const place = newPlace()
    const sealed = await Promise.all(Array.from({ length: 10 }, () => envelope().seal('secret', place)))
    assert.equal((await keysOf(place.organizationId)).length, 1)
    const reader = envelope()
    for (const one of sealed) assert.equal(await reader.open(one, place), 'secret')
  })
  test('gives each organization its own key; a value moved between organizations does not decrypt', async () => {
    const [here, there] = [newPlace(), newPlace()]
    const safe = envelope()
    const sealed = await safe.seal('secret', here)
    await safe.seal('other', there)
    await assert.rejects(safe.open(sealed, there), isUnavailable)
    await client.query(
      `insert into data_keys select $2, id, kek_id, wrapped, created_at, now() from data_keys where organization_id = $1`,
      [here.organizationId, there.organizationId],
    )
    await assert.rejects(envelope().open(sealed, { ...here, organizationId: there.organizationId }), isUnavailable)
  })
  test('remembers a bounded number of organizations, and reads the rest again', async () => {
    const { counted, counter } = counting()
    const safe = envelope('', { db: counter, maxOrganizations: 3 })
    const places = Array.from({ length: 5 }, () => newPlace())
    const sealed = await Promise.all(places.map((place) => safe.seal('secret', place)))
    for (let round = 0; round < 3; round += 1) {
      for (const [n, place] of places.entries()) assert.equal(await safe.open(sealed[n] as Buffer, place), 'secret')
    }
    assert.ok(counted.statements >= 20, `${counted.statements}`)
  })
  test('creates a new key when the old one has encrypted as much as it may; both still decrypt', async () => {
    const place = newPlace()
    const safe = envelope('', { maxSealsPerKey: 5 })
    const sealed = []
    for (let n = 0; n < 12; n += 1) sealed.push(await safe.seal(`${n}`, place))
    assert.equal(new Set(sealed.map(dataKeyIdOf)).size, 3)
    const reader = envelope()
    for (const [n, one] of sealed.entries()) assert.equal(await reader.open(one, place), `${n}`)
    assert.equal((await keysOf(place.organizationId)).filter((key) => key.retired_at === null).length, 1)
  })
  test('keeps the text, the key and the key-encryption key out of the table', async () => {
    const place = newPlace()
    await envelope(one).seal('a secret that nobody finds', place)
    const text = JSON.stringify(await keysOf(place.organizationId))
    assert.ok(!text.includes(one.slice(4)) && !text.includes('nobody finds'))
  })
})

describe('503 service.key_unavailable, and nothing stored', () => {
  test('for an organization whose data key needs a key-encryption key that is not configured any more', async () => {
    const place = newPlace()
    const sealed = await envelope(one).seal('secret', place)
    for (const lost of [envelope(), envelope(two), envelope(`one:${randomBytes(32).toString('base64')}`)]) {
      await assert.rejects(lost.open(sealed, place), isUnavailable)
      await assert.rejects(lost.seal('new', place), isUnavailable)
    }
    assert.equal((await keysOf(place.organizationId)).length, 1, 'no key was made in its stead')
    assert.equal(await envelope(`${two},${one}`).open(sealed, place), 'secret')
  })
  test('for a value whose data key is gone', async () => {
    const place = newPlace()
    const safe = envelope()
    const sealed = await safe.seal('secret', place)
    await client.query('delete from data_keys where organization_id = $1', [place.organizationId])
    await assert.rejects(envelope().open(sealed, place), isUnavailable)
  })
  test('until the key is back', async () => {
    const place = newPlace()
    const sealed = await envelope(one).seal('secret', place)
    const [row] = await keysOf(place.organizationId)
    const reader = envelope(one)
    await client.query('update data_keys set wrapped = $2 where id = $1', [row.id, randomBytes(60)])
    await assert.rejects(reader.open(sealed, place), isUnavailable)
    await client.query('update data_keys set wrapped = $2 where id = $1', [row.id, row.wrapped])
    reader.forget(place.organizationId)
    assert.equal(await reader.open(sealed, place), 'secret')
  })
  test('service.unavailable, and no value, if the database is away', async () => {
    const place = newPlace()
    const sealed = await envelope().seal('secret', place)
    const closed = openDb({ connection: { ...database.connection, port: 1 }, poolSize: 1, onError: () => {} })
    const safe = envelope('', { db: closed })
    for (const act of [safe.open(sealed, place), safe.seal('new', place)]) {
      await assert.rejects(act, (error: Problem) => error.status === 503)
    }
    await closed.close()
  })
})

describe('re-wrapping', () => {
  const columns = [
    { table: 'safes', column: 'code' },
    { table: 'safes', column: 'copy', copyOf: { table: 'safes', column: 'code', row: 'of_row' } },
    { table: 'seeds', column: 'seed', of: 'accounts' },
  ] as const
  const run = (
    configured: string,
    organizations: readonly string[],
    options = {},
    key = secretKey,
    before?: string,
  ) => {
    const ring = keyRing(configured, key, before ?? null)
    const safe = createEnvelope({ db, keyRing: ring })
    const organizationIds = async () => organizations
    return rewrap(
      { db, keyRing: ring, envelope: safe, columns, organizationIds, log },
      { settleMs: 0, pauseMs: 0, batchSize: 3, ...options },
    )
  }
  const store = async (sealed: Buffer, place: Place): Promise<void> => {
    await client.query('insert into safes values ($1, $2, $3, $3, $2)', [place.organizationId, place.row, sealed])
  }
  const stored = async (place: Place): Promise<readonly Buffer[]> => {
    const { rows } = await client.query('select code, copy from safes where organization_id = $1 and id = $2', [
      place.organizationId,
      place.row,
    ])
    return [rows[0].code, rows[0].copy]
  }
  /** Ten values of one organization. */
  const filled = async (configured: string): Promise<readonly Place[]> => {
    const organizationId = randomUUID()
    const places = Array.from({ length: 10 }, () => newPlace(organizationId))
    const safe = envelope(configured)
    for (const place of places) await store(await safe.seal(place.row, place), place)
    return places
  }
  const assertOpen = async (safe: ReturnType<typeof envelope>, places: readonly Place[]): Promise<void> => {
    for (const place of places) {
      for (const sealed of await stored(place)) assert.equal(await safe.open(sealed, place), place.row)
    }
  }

  test('wraps every data key with the new key-encryption key without touching a value; then the old one can be removed', async () => {
    const places = await filled(one)
    const [place] = places
    assert.ok(place)
    const before = await stored(place)
    const report = await run(`${two},${one}`, [place.organizationId])
    assert.deepEqual(report.dataKeys, { rewrapped: 1, unavailable: 0 })
    assert.deepEqual(report.values, { resealed: 0, unreadable: 0 })
    assert.deepEqual(await stored(place), before)
    await assertOpen(envelope(two), places)
    assert.equal((await run(`${two},${one}`, [place.organizationId])).dataKeys.rewrapped, 0, 'nothing is left to do')
  })
  test('with rotation re-encrypts every value under a new data key, copies too', async () => {
    const places = await filled(one)
    const [place] = places
    assert.ok(place)
    const before = await stored(place)
    const report = await run(one, [place.organizationId], { rotateDataKeys: true })
    assert.deepEqual(report.values, { resealed: 20, unreadable: 0 })
    const [retired, current] = await keysOf(place.organizationId)
    assert.deepEqual([retired.retired_at === null, current.retired_at === null], [false, true])
    for (const sealed of await stored(place)) {
      assert.equal(dataKeyIdOf(sealed), current.id)
      assert.ok(!before.some((old) => old.equals(sealed)))
    }
    await assertOpen(envelope(one), places)
  })
  test('re-wraps everything with a new SECRET_KEY while the previous one is configured', async () => {
    const places = await filled('')
    const [place] = places
    assert.ok(place)
    const next = 'another secret key of thirty-two characters'
    const report = await run('', [place.organizationId], {}, next, secretKey)
    assert.equal(report.dataKeys.rewrapped, 1)
    await assertOpen(createEnvelope({ db, keyRing: keyRing('', next) }), places)
  })
  test('covers the encrypted values of accounts, which belong to no organization', async () => {
    const id = randomUUID()
    const place = { organizationId: installationId, table: 'seeds', column: 'seed', row: id }
    const safe = envelope()
    await client.query('insert into seeds values ($1, $2)', [id, await safe.seal('seed', place)])
    await run('', [], { rotateDataKeys: true })
    const { rows } = await client.query('select seed from seeds')
    const current = (await keysOf(installationId)).find((key) => key.retired_at === null)
    assert.equal(dataKeyIdOf(rows[0].seed), current.id)
    assert.equal(await envelope().open(rows[0].seed, place), 'seed')
  })
  test('counts what cannot be decrypted, leaves it unchanged and does the rest', async () => {
    await client.query(`delete from seeds; delete from data_keys where organization_id = '${installationId}'`)
    const [lost, good] = [await filled(two), await filled(one)]
    const broken = good[3] as Place
    const damaged = Buffer.from((await stored(broken))[0] as Buffer)
    damaged[40] = (damaged[40] ?? 0) ^ 1
    await client.query('update safes set code = $2 where id = $1', [broken.row, damaged])
    const ids = [lost[0]?.organizationId ?? '', broken.organizationId]
    const report = await run(one, ids, { rotateDataKeys: true })
    assert.deepEqual(report, {
      organizations: 2,
      dataKeys: { rewrapped: 0, unavailable: 1 },
      // The damaged value; those of the lost organization keep their key.
      values: { resealed: 19, unreadable: 1 },
    })
    assert.ok((await stored(broken))[0]?.equals(damaged))
    await assertOpen(
      envelope(one),
      good.filter((place) => place !== broken),
    )
    await assertOpen(envelope(two), lost)
  })
  test('works while others encrypt, decrypt and change the same rows', async () => {
    const places = await filled(one)
    const [place] = places
    assert.ok(place)
    const others = envelope(one)
    let running = true
    const traffic = (async () => {
      for (let n = 0; running; n += 1) {
        const target = places[n % places.length] as Place
        const [sealed] = await stored(target)
        assert.equal(await others.open(sealed as Buffer, target), target.row)
        const fresh = await others.seal(target.row, target)
        await client.query('update safes set code = $2, copy = $2 where id = $1', [target.row, fresh])
      }
    })()
    for (let round = 0; round < 5; round += 1) await run(one, [place.organizationId], { rotateDataKeys: true })
    running = false
    await traffic
    await assertOpen(envelope(one), places)
  })
})
