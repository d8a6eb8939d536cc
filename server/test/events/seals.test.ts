import assert from 'node:assert/strict'
import { hash, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { leafOf, treeHash } from '../../../cli/test/audit-export.ts'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { startReceiver } from '../receivers.ts'
import { addEvents, exportOf, verified } from './chain.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const unsealedEvents = async (): Promise<number> =>
  Number(
    (
      await t.sql(`select count(*) from events e where not exists (select from audit_seals s
        where s.organization_id = e.organization_id and (s.last_era, s.last_xact, s.last_id) >= (e.era, e.xact, e.id))`)
    )[0]?.count,
  )

const leavesOf = (seal: Readonly<Record<string, unknown>> | undefined): Buffer => seal?.leaves as Buffer

/** Seals until nothing is left. Open transactions of other databases on the same server may delay seals. */
const sealAll = () =>
  eventually('everything is sealed', async () => {
    await t.app.audit.drain()
    return (await unsealedEvents()) === 0
  })

describe('seals', () => {
  test('contain every event once, in chain order, with root and link as RFC 6962 and the docs define them', async () => {
    for (let n = 0; n < 5; n += 1) await t.createRequest()
    await sealAll()
    await t.createRequest()
    await sealAll()
    const events = await t.sql(
      'select record, era, xact, id from events where organization_id = $1 order by era, xact, id',
      [t.organizationId],
    )
    const seals = await t.sql('select * from audit_seals where organization_id = $1 order by number', [
      t.organizationId,
    ])
    assert.ok(seals.length >= 2)
    let position = 0
    let link: Buffer = Buffer.alloc(32)
    let previous: string | null = null
    for (const [index, seal] of seals.entries()) {
      const batch = events.slice(Number(seal.first_position) - 1, Number(seal.last_position))
      const records = batch.map((event) => String(event.record))
      for (const record of records) link = hash('sha256', Buffer.concat([link, Buffer.from(record)]), 'buffer')
      const leaves = records.map(leafOf)
      assert.deepEqual(
        [Number(seal.number), Number(seal.first_position), batch.at(-1)?.id],
        [index + 1, position + 1, seal.last_id],
      )
      assert.deepEqual(seal.leaves, Buffer.concat(leaves))
      assert.deepEqual(seal.root, treeHash(leaves))
      assert.deepEqual(seal.link, link)
      const [header, payload] = String(seal.head)
        .split('.')
        .map((part) => Buffer.from(part, 'base64url').toString())
      assert.equal(JSON.parse(header ?? '').typ, 'hitl-audit-head+jws')
      assert.deepEqual(JSON.parse(payload ?? ''), {
        organization_id: t.organizationId,
        number: index + 1,
        first: position + 1,
        last: Number(seal.last_position),
        root: treeHash(leaves).toString('hex'),
        link: link.toString('hex'),
        previous_seal_sha256: previous === null ? null : hash('sha256', previous),
        sealed_at: t.clock.now().toISOString(),
      })
      previous = String(seal.head)
      position = Number(seal.last_position)
    }
    assert.equal(position, events.length)
  })

  test('are made for the installation itself too', async () => {
    await sealAll()
    const rows = await t.sql(`select from audit_seals where organization_id = '00000000-0000-0000-0000-000000000000'`)
    assert.ok(rows.length > 0)
  })

  test('leave out what is not committed yet and everything after it, even if it rolls back', async () => {
    await sealAll()
    const slow = new pg.Client({ ...t.connection, user: 'postgres' })
    await slow.connect()
    const sql: TestApp['sql'] = async (query, values = []) => (await slow.query(query, [...values])).rows
    const append = () => addEvents({ ...t, sql }, { kind: 'x.slow' })
    await slow.query('begin')
    await append()
    await t.createRequest()
    await t.app.audit.drain()
    assert.equal(await unsealedEvents(), 1, 'the later one waits for the earlier one')
    await slow.query('commit')
    await sealAll()
    const [last] = await t.sql(
      'select leaves from audit_seals where organization_id = $1 order by number desc limit 1',
      [t.organizationId],
    )
    const [event] = await t.sql(`select record from events where kind = 'x.slow'`)
    assert.deepEqual(leavesOf(last).subarray(0, 32), leafOf(String(event?.record)))
    await slow.query('begin')
    await append()
    await t.createRequest()
    await slow.query('rollback')
    await sealAll()
    await slow.end()
  })

  test('do not fork, however many processes seal at once', async () => {
    const log = createLog('silent', false)
    const others = await Promise.all(
      [1, 2].map(() => createApp({ config: testConfig(), secretKey, connection: t.connection, log, clock: t.clock })),
    )
    const apps = [t.app, ...others]
    let writing = true
    const sealers = apps.map(async (app) => {
      while (writing) await app.audit.drain()
    })
    for (let wave = 0; wave < 10; wave += 1) await Promise.all(Array.from({ length: 20 }, () => t.createRequest()))
    writing = false
    await Promise.all(sealers)
    await sealAll()
    for (const app of others) await app.stop()
    const result = await verified(t, await exportOf(t))
    assert.deepEqual(result.findings, [])
    assert.ok(result.events >= 200)
  })

  test('are made within 2 s of the commit', async (context) => {
    const app = await createApp({
      config: testConfig(),
      secretKey,
      connection: t.connection,
      log: createLog('silent', false),
    })
    context.after(() => app.stop())
    app.startWorkers()
    const lags: number[] = []
    for (let n = 0; n < 8; n += 1) {
      await t.createRequest()
      const committed = performance.now()
      await eventually('sealed', async () => (await unsealedEvents()) === 0)
      lags.push(performance.now() - committed)
    }
    assert.ok(Math.max(...lags) < 2_000, `lags of ${lags.map(Math.round)} ms`)
  })

  test('wait for a key that is not available, without blocking writers', async (context) => {
    await sealAll()
    const log = createLog('silent', false)
    // A different SECRET_KEY from the one that encrypted the signing keys, so that they cannot be decrypted.
    const app = await createApp({
      config: testConfig(),
      secretKey: 'another key that is long enough and opens nothing',
      connection: t.connection,
      log,
      clock: t.clock,
    })
    context.after(() => app.stop())
    await t.createRequest()
    await assert.rejects(app.audit.drain())
    assert.equal(await unsealedEvents(), 1)
    await sealAll()
  })
})

test('roots and audit paths in the database are those of RFC 6962, for every size up to 40', async () => {
  const node = (left: Buffer, right: Buffer) => hash('sha256', Buffer.concat([Buffer.from([1]), left, right]), 'buffer')
  /** The path as RFC 6962, 2.1.1 defines it, the lowest neighbour first. */
  const pathOf = (leaves: readonly Buffer[], place: number): readonly Buffer[] => {
    if (leaves.length === 1) return []
    let split = 1
    while (split * 2 < leaves.length) split *= 2
    const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
    return place < split ? [...pathOf(left, place), treeHash(right)] : [...pathOf(right, place - split), treeHash(left)]
  }
  assert.deepEqual(treeHash([leafOf('a'), leafOf('b')]), node(leafOf('a'), leafOf('b')))
  for (let size = 1; size <= 40; size += 1) {
    const leaves = Array.from({ length: size }, (_, n) => leafOf(String(n)))
    const rows = await t.sql(
      `select hitl_audit_root($1) as root, hitl_audit_path($1, place) as path from generate_series(0, $2::int - 1) place`,
      [Buffer.concat(leaves), size],
    )
    for (const [place, row] of rows.entries()) {
      assert.deepEqual(row.root, treeHash(leaves))
      assert.deepEqual(row.path, Buffer.concat(pathOf(leaves, place)), `leaf ${place} of ${size}`)
    }
  }
})

describe('after a dump was restored into another cluster', () => {
  test('new events come after the old ones, although their transaction numbers are lower', async () => {
    const organizationId = randomUUID()
    const owner = new pg.Client(t.connection)
    await owner.connect()
    const era = async (): Promise<number> =>
      (await owner.query<{ era: number }>('select hitl_audit_begin_era() as era')).rows[0]?.era ?? -1
    const before = await era()
    // As it looks after a restore: numbers that this cluster has not reached.
    await addEvents(t, { organizationId, place: { era: before, xact: '99999999999' } })
    assert.equal(await era(), before + 1)
    assert.equal(await era(), before + 1, 'asked again nothing changes')
    await addEvents(t, { organizationId, kind: 'x.later' })
    await owner.end()
    await sealAll()
    const [seal] = await t.sql(
      'select last_position, leaves from audit_seals where organization_id = $1 order by number desc',
      [organizationId],
    )
    assert.equal(Number(seal?.last_position), 2)
    const [later] = await t.sql(`select record from events where kind = 'x.later'`)
    assert.deepEqual(leavesOf(seal).subarray(-32), leafOf(String(later?.record)))
  })
})

describe('heads outside the database', () => {
  test('are appended to AUDIT_HEADS_FILE and posted to AUDIT_HEADS_URL, and the verifier accepts them', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'hitl-heads-'))
    context.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'heads.jsonl')
    const receiver = await startReceiver()
    context.after(() => receiver.close())
    const u = await startTestApp({ environment: { AUDIT_HEADS_FILE: file, AUDIT_HEADS_URL: receiver.url } })
    context.after(() => u.stop())
    await u.createRequest()
    // Signing made a key, which is an event of the installation. One more round seals that event.
    await eventually('published', async () => {
      await u.app.audit.drain()
      const [row] = await u.sql('select count(*)::int as seals, count(published_at)::int as published from audit_seals')
      return Number(row?.seals) >= 2 && row?.seals === row?.published
    })
    const seals = await u.sql(
      'select organization_id, number::int, head from audit_seals order by organization_id, number',
    )
    assert.ok(seals.length >= 2)
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    const inOrder = (heads: unknown[]) =>
      (heads as { organization_id: string; number: number }[]).toSorted(
        (a, b) => a.organization_id.localeCompare(b.organization_id) || a.number - b.number,
      )
    assert.deepEqual(inOrder(lines.map((line) => JSON.parse(line))), seals)
    const posted = receiver.requests.flatMap(({ body }) => JSON.parse(body.toString()).heads)
    assert.deepEqual(inOrder(posted), seals)
    const result = await verified(u, await exportOf(u), lines)
    assert.deepEqual(result.findings, [])
    assert.doesNotMatch(result.limits.join(), /No head from outside/)
  })

  test('that did not arrive are written again by any running process', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'hitl-heads-'))
    context.after(() => rm(folder, { recursive: true }))
    const u = await startTestApp({ environment: { AUDIT_HEADS_FILE: join(folder, 'not-there', 'heads.jsonl') } })
    context.after(() => u.stop())
    await u.createRequest()
    await assert.rejects(u.app.audit.drain())
    const left = await u.sql('select from audit_seals where published_at is null')
    assert.ok(left.length > 0, 'sealed all the same')
    const file = join(folder, 'heads.jsonl')
    const next = await createApp({
      config: testConfig({ AUDIT_HEADS_FILE: file }),
      secretKey,
      connection: u.connection,
      log: createLog('silent', false),
      clock: u.clock,
    })
    context.after(() => next.stop())
    await next.audit.drain()
    assert.equal((await u.sql('select from audit_seals where published_at is null')).length, 0)
    assert.ok((await readFile(file, 'utf8')).trimEnd().split('\n').length >= left.length)
  })
})
