import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type App, createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addEvents, exportOf, sealAll, verified } from './chain.ts'

/** An installation with three sealed batches, and what it logs as errors. */
async function sealedApp(context: TestContext, environment: Readonly<Record<string, string>> = {}) {
  const log = createErrorLog()
  const t = await startTestApp({ environment, log: log.logger })
  context.after(() => t.stop())
  for (let wave = 0; wave < 3; wave += 1) {
    await t.createRequest()
    await sealAll(t)
  }
  return { t, errors: log.errors }
}

function createErrorLog() {
  const errors: string[] = []
  const write = (line: string) => errors.push(String((JSON.parse(line) as { msg: unknown }).msg))
  return { errors, logger: createLog('error', false, { write }) }
}

/** Another process beside, or after, the first one. */
async function startAnother(context: TestContext, t: TestApp, environment: Readonly<Record<string, string>> = {}) {
  const log = createErrorLog()
  const config = testConfig(environment)
  const app = await createApp({ config, secretKey, connection: t.connection, log: log.logger, clock: t.clock })
  context.after(() => app.stop())
  return { app, errors: log.errors }
}

const tables = ['events', 'audit_seals']

/** What only a superuser can do: the tables' protection is a trigger. */
async function unprotected(t: TestApp, ...statements: readonly string[]): Promise<void> {
  for (const table of tables) await t.sql(`alter table ${table} disable trigger user`)
  for (const statement of statements) await t.sql(statement, [t.organizationId])
  for (const table of tables) await t.sql(`alter table ${table} enable trigger user`)
}

const lastSeal = async (t: TestApp): Promise<number> =>
  Number(
    (await t.sql('select max(number) as last from audit_seals where organization_id = $1', [t.organizationId]))[0]
      ?.last,
  )

const readiness = async (app: App) => {
  const { statusCode, body } = await app.http.inject('/readyz')
  return [statusCode, JSON.parse(body).checks.audit]
}

const sealsGone = 'delete from audit_seals where organization_id = $1'
const lastSealGone =
  'delete from audit_seals where organization_id = $1 and number = (select max(number) from audit_seals where organization_id = $1)'
const eventEdited = `update events set record = replace(record, '"before":null', '"before":{}')
  where organization_id = $1 and kind = 'request.created'`
const forged =
  () => `update audit_seals set head = regexp_replace(head, '[^.]+$', '${randomBytes(64).toString('base64url')}')
  where organization_id = $1`

describe('a process that has seen a head', () => {
  for (const [what, statements, says] of [
    [
      'all seals are gone and an event was edited',
      [sealsGone, eventEdited],
      /its seals are gone, and seal \d+ was there/,
    ],
    ['the last seal is gone', [lastSealGone, eventEdited], /its last seal is number \d+, and seal \d+ was there/],
    [
      'the heads are others, with random bytes for signatures',
      [eventEdited, forged()],
      /its seal \d+ is another one than before/,
    ],
  ] as const) {
    test(`seals nothing when ${what}: it says so, and is not ready`, async (context) => {
      const { t, errors } = await sealedApp(context)
      assert.deepEqual(await readiness(t.app), [200, 'ok'])
      await unprotected(t, ...statements)
      const before = await lastSeal(t)
      await t.createRequest()
      await t.app.audit.drain()
      assert.equal(await lastSeal(t), before)
      assert.equal(errors.length, 1, errors.join())
      assert.match(errors[0] ?? '', says)
      assert.deepEqual(await readiness(t.app), [503, 'changed'])
      await t.app.audit.drain()
      assert.equal(errors.length, 1, 'once')
    })
  }

  test('notices it where there is nothing to seal too', async (context) => {
    const { t } = await sealedApp(context)
    await unprotected(t, sealsGone, 'delete from events where organization_id = $1')
    await t.app.audit.drain()
    assert.deepEqual(await readiness(t.app), [503, 'changed'])
  })

  test('takes what other processes have sealed since', async (context) => {
    const { t, errors } = await sealedApp(context)
    const other = await startAnother(context, t)
    for (const app of [other.app, t.app, other.app]) {
      await t.createRequest()
      const before = await lastSeal(t)
      await sealAll({ ...t, app })
      assert.ok((await lastSeal(t)) > before)
    }
    assert.deepEqual([...errors, ...other.errors], [])
  })
})

describe('a process that has just started', () => {
  test('seals behind no head that it cannot verify', async (context) => {
    const { t } = await sealedApp(context)
    await unprotected(t, eventEdited, forged())
    const { app, errors } = await startAnother(context, t)
    const before = await lastSeal(t)
    await t.createRequest()
    await app.audit.drain()
    assert.equal(await lastSeal(t), before)
    assert.match(errors[0] ?? '', /was signed by no key of this service/)
    assert.deepEqual(await readiness(app), [503, 'changed'])
  })

  test('seals behind no row that contradicts its head', async (context) => {
    const { t } = await sealedApp(context)
    await unprotected(t, `update audit_seals set link = sha256(link) where organization_id = $1`)
    const { app, errors } = await startAnother(context, t)
    await t.createRequest()
    await app.audit.drain()
    assert.match(errors[0] ?? '', /contradicts the signed head/)
  })

  test('recalls from AUDIT_HEADS_FILE what was sealed before', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'hitl-heads-'))
    context.after(() => rm(folder, { recursive: true }))
    const environment = { AUDIT_HEADS_FILE: join(folder, 'heads.jsonl') }
    const { t } = await sealedApp(context, environment)
    await unprotected(t, sealsGone, eventEdited)
    const { app, errors } = await startAnother(context, t, environment)
    await t.createRequest()
    await app.audit.drain()
    assert.ok(Number.isNaN(await lastSeal(t)) || (await lastSeal(t)) === 0)
    assert.match(errors[0] ?? '', /its seals are gone, and seal \d+ was there/)
    assert.deepEqual(await readiness(app), [503, 'changed'])
  })

  test('continues behind a head of a key that leaked', async (context) => {
    const { t, errors } = await sealedApp(context)
    await t.app.identity.signingKeys.rotate('audit_head', { revoke: true })
    const { app } = await startAnother(context, t)
    await t.createRequest()
    await sealAll({ ...t, app })
    assert.deepEqual(errors, [])
    const { keys } = (await t.call('GET', '/.well-known/jwks.json')).body as {
      keys: { purpose: string; revoked_at: string | null; retired_at: string | null }[]
    }
    const ofAudit = keys.filter(({ purpose }) => purpose === 'audit_head')
    assert.equal(ofAudit.filter((key) => key.revoked_at !== null && key.retired_at !== null).length, 1)
    const result = await verified(t, await exportOf(t))
    assert.deepEqual(result.findings, [])
    assert.match(result.limits.join(), /seals are signed with keys that were revoked later/)
  })
})

test('ids in capitals, with which anybody may call, leave no event that is not sealed', async (context) => {
  const { t, errors } = await sealedApp(context)
  const made = await t.createRequest()
  const id = String(made.id).toUpperCase()
  const as = { as: t.admin.token }
  await t.call('GET', `/api/v1/requests/${id}/evidence`, as)
  await t.call('POST', `/api/v1/requests/${id}/redeem`, { as: t.apiKey })
  await t.call('POST', `/api/v1/requests/${id}/respond`, { ...as, body: { decision: 'approve' } })
  await t.call('POST', '/api/v1/events/erasures', { ...as, body: { request_id: id, reason: 'case 17' } })
  await t.call('PATCH', `/api/v1/users/${t.reviewer.id.toUpperCase()}`, { ...as, body: { name: 'Rev' } })
  await sealAll(t)
  const [misfit] = await t.sql('select count(*)::int as count from events e where not hitl_audit_fits(e)')
  assert.deepEqual([misfit?.count, errors], [0, []])
})

test('an event whose columns contradict its record is not sealed', async (context) => {
  const { t, errors } = await sealedApp(context)
  await addEvents(t)
  await unprotected(t, `update events set kind = 'request.redeemed' where organization_id = $1 and kind = 'x.tried'`)
  const before = await lastSeal(t)
  await t.app.audit.drain()
  assert.equal(await lastSeal(t), before)
  assert.match(errors[0] ?? '', /the columns of 1 events contradict their records/)
  assert.deepEqual(await readiness(t.app), [503, 'changed'])
})

test('a line of AUDIT_HEADS_FILE that a process did not finish stays alone: the next head begins on a line of its own', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'hitl-heads-'))
  context.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'heads.jsonl')
  const { t } = await sealedApp(context, { AUDIT_HEADS_FILE: path })
  const [first = ''] = (await readFile(path, 'utf8')).split('\n')
  const torn = first.slice(0, 70)
  await appendFile(path, torn)
  for (let wave = 0; wave < 2; wave += 1) {
    await t.createRequest()
    await sealAll(t)
  }
  const lines = (await readFile(path, 'utf8')).split('\n')
  assert.equal(lines.pop(), '')
  const whole = lines.filter((line) => line !== torn)
  assert.equal(lines.length - whole.length, 1)
  assert.deepEqual(
    whole
      .map((line) => JSON.parse(line))
      .filter(({ organization_id }) => organization_id === t.organizationId)
      .map(({ number }) => number)
      .sort((a, b) => a - b),
    Array.from({ length: await lastSeal(t) }, (_, at) => at + 1),
  )
})

test('a process with ROLE=api is not ready either once seals are gone', async (context) => {
  const { t } = await sealedApp(context)
  const { app } = await startAnother(context, t, { ROLE: 'api' })
  await unprotected(t, forged())
  app.startWorkers()
  await eventually('it says so', async () => (await readiness(app))[1] === 'changed')
})

for (const era of [1, 32_767]) {
  test(`an event that somebody has put into era ${era}: a new start does not follow it there`, async (context) => {
    const { t } = await sealedApp(context)
    await addEvents(t, { place: { era, xact: '900000000000' } })
    const [begun] = await t.sql('select hitl_audit_begin_era() as era')
    assert.equal(Number(begun?.era), 0)
  })
}
