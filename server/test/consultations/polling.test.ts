import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import pg from 'pg'
import { createOpenWrites } from '../../src/consultations/open-writes.ts'
import { eventually } from '../eventually.ts'
import { createFakeClock, startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, type TestKey } from '../people-and-keys.ts'

const path = '/api/v1/requests'
let t: TestApp
let slow: TestKey
let quick: TestKey
before(async () => {
  t = await startTestApp()
  slow = await addApiKey(t)
  quick = await addApiKey(t)
})
after(() => t.stop())

const poll = async (updatedAfter: string, query = '') => {
  const reply = await t.call('GET', `${path}?updated_after=${updatedAfter}${query}`, { as: t.admin.token })
  assert.equal(reply.status, 200, reply.text)
  return reply.body as {
    items: { id: string; updated_at: string }[]
    total: number
    next_cursor: string | null
    watermark: string
  }
}
const idsOf = ({ items }: { items: readonly { id: string }[] }) => items.map(({ id }) => id)
const ask = async (as: TestKey) => {
  const reply = await t.call('POST', path, { as: as.raw, body: { title: 'x', context: {} } })
  assert.equal(reply.status, 201, reply.text)
  return reply.body as { id: string; updated_at: string }
}

/** Makes `begin` wait for its commit until the returned function is called. */
async function heldUp<T>(of: TestKey, begin: () => Promise<T>): Promise<() => Promise<T>> {
  const client = new pg.Client({ ...t.connection })
  await client.connect()
  await client.query(`select set_config('hitl.organization', $1, false)`, [t.organizationId])
  await client.query('begin')
  await client.query('select from agents where id = $1 for update', [of.agentId])
  const under = begin()
  await eventually('it waits for the lock', async () => {
    const [row] = await t.sql(`select count(*)::int as waiting from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`)
    return row?.waiting === 1
  })
  return async () => {
    await client.end()
    return under
  }
}

test('a change is not shown while an earlier one is being committed, so a poll from the newest seen misses nothing', async () => {
  t.clock.advance(1_000)
  const start = await ask(quick)
  let newest = start.updated_at
  t.clock.advance(10)
  const release = await heldUp(slow, () => ask(slow))
  t.clock.advance(10)
  const overtaking = await ask(quick)
  t.clock.advance(10)
  const meanwhile = await poll(newest)
  assert.deepEqual(idsOf(meanwhile), [], 'the later one is held back')
  assert.ok(meanwhile.watermark >= newest && meanwhile.watermark < overtaking.updated_at, meanwhile.watermark)
  const plain = await t.call('GET', `${path}?limit=1`, { as: t.admin.token })
  assert.deepEqual(idsOf(plain.body), [overtaking.id], 'a list shows what there is')
  const late = await release()
  const then = await poll(newest)
  assert.deepEqual(idsOf(then), [overtaking.id, late.id])
  newest =
    then.items
      .map(({ updated_at }) => updated_at)
      .sort()
      .at(-1) ?? ''
  assert.deepEqual(idsOf(await poll(newest)), [])
  assert.deepEqual(idsOf(await poll(meanwhile.watermark)), [overtaking.id, late.id])
})

test('a change in the very millisecond of a poll is later than everything that the poll showed', async () => {
  t.clock.advance(1_000)
  const first = await ask(quick)
  const seen = await poll(new Date(Date.parse(first.updated_at) - 1).toISOString())
  assert.deepEqual(idsOf(seen), [first.id])
  const second = await ask(quick)
  t.clock.advance(1)
  assert.deepEqual(idsOf(await poll(first.updated_at)), [second.id])
  assert.deepEqual(idsOf(await poll(seen.watermark)), [second.id])
})

test('the pages of one poll show the changes up to one time', async () => {
  t.clock.advance(1_000)
  const older = await ask(quick)
  const since = new Date(Date.parse(older.updated_at) - 1).toISOString()
  t.clock.advance(1)
  const newer = await ask(quick)
  t.clock.advance(1)
  const first = await poll(since, '&limit=1')
  assert.deepEqual([idsOf(first), first.total], [[newer.id], 2])
  t.clock.advance(1)
  await t.call('POST', `${path}/${older.id}/cancel`, { as: quick.raw })
  await t.call('POST', `${path}/${newer.id}/cancel`, { as: quick.raw })
  t.clock.advance(1)
  const second = await poll(since, `&limit=1&cursor=${first.next_cursor}`)
  assert.deepEqual([idsOf(second), second.watermark], [[], first.watermark], 'it changed later than the first page')
  assert.deepEqual(idsOf(await poll(first.watermark)), [newer.id, older.id])
})

test('a cursor of a poll does not go with a plain list, nor the other way round', async () => {
  const polled = await poll('1970-01-01T00:00:00Z', '&limit=1')
  const plain = await t.call('GET', `${path}?limit=1`, { as: t.admin.token })
  for (const query of [
    `cursor=${polled.next_cursor}`,
    `updated_after=1970-01-01T00:00:00Z&cursor=${plain.body.next_cursor}`,
  ]) {
    const reply = await t.call('GET', `${path}?${query}`, { as: t.admin.token })
    assert.equal(reply.status, 422, query)
    assert.match(reply.body.errors[0].message, /other parameters/)
  }
})

describe('what another process has under way is waited for', () => {
  /** An app of its own, whose clock goes with that of PostgreSQL, and a session of another process, which signs in as `user`. */
  async function beside(c: TestContext, user?: string) {
    const u = await startTestApp()
    const client = new pg.Client({ ...u.connection, ...(user && { user }), application_name: 'hitl api elsewhere:1' })
    c.after(async () => {
      await client.end()
      await u.stop()
    })
    const now = () => u.clock.advance(Math.max(1, Date.now() - u.clock.now().getTime()))
    const ask = async (): Promise<{ id: string; updated_at: string }> => {
      now()
      return u.createRequest()
    }
    const poll = async (updatedAfter: string) =>
      (await u.call('GET', `${path}?updated_after=${updatedAfter}`, { as: u.admin.token })).body
    return { u, client, now, ask, poll }
  }

  test('from when its transaction began', async (c) => {
    const { u, client, ask, poll } = await beside(c)
    const start = (await ask()).updated_at
    await client.connect()
    const before = await ask()
    assert.deepEqual(idsOf(await poll(start)), [before.id], 'it has nothing under way')
    await client.query('begin')
    const { rows } = await client.query<{ began: Date }>('select now() as began')
    u.clock.advance(Math.max(0, Number(rows[0]?.began) - u.clock.now().getTime()) + 1)
    const later = await ask()
    const held = await poll(before.updated_at)
    assert.deepEqual(idsOf(held), [], 'its changes may be earlier')
    assert.ok(Date.parse(held.watermark) < Number(rows[0]?.began))
    await client.query('rollback')
    assert.deepEqual(idsOf(await poll(before.updated_at)), [later.id])
  })

  for (const [why, hide] of [
    ['the owner of the schema may not see when', 'alter function hitl_other_processes() owner to sees_nothing'],
    ['PostgreSQL does not record when', 'alter role signs_in_alone set track_activities = off'],
  ] as const) {
    test(`for as long as a transaction may last, where ${why}`, async (c) => {
      const { u, client, now, ask, poll } = await beside(c, 'signs_in_alone')
      const { password } = u.connection as { password: string }
      await u.sql(`create role signs_in_alone login password '${password}'`)
      await u.sql('create role sees_nothing')
      await u.sql(hide)
      await u.sql('grant execute on function hitl_other_processes() to hitl_app')
      const start = (await ask()).updated_at
      await client.connect()
      try {
        const before = await ask()
        assert.deepEqual(idsOf(await poll(start)), [before.id], 'it has nothing under way')
        await client.query('begin')
        now()
        const began = Date.now()
        const held = await poll(start)
        assert.deepEqual(idsOf(held), [], 'it may have begun before that change')
        const heldMs = began - Date.parse(held.watermark)
        assert.ok(heldMs > 11_000 && heldMs < 13_000, String(heldMs))
        await client.query('rollback')
        assert.deepEqual(idsOf(await poll(start)), [before.id])
      } finally {
        // Roles belong to the server, which other files use after this one.
        await client.end()
        await u.sql('drop owned by sees_nothing; drop role sees_nothing; drop role signs_in_alone')
      }
    })
  }
})

test('a write whose end was missed holds polls up for a minute', () => {
  const clock = createFakeClock()
  const writes = createOpenWrites(clock)
  const begun = clock.now().getTime()
  writes.begin()
  clock.advance(59_000)
  assert.equal(writes.settledUntil().getTime(), begun - 1)
  clock.advance(2_000)
  assert.equal(writes.settledUntil().getTime(), begun + 61_000)
})

test('times stay later than what was shown when the clock steps back', async () => {
  const clock = createFakeClock()
  const writes = createOpenWrites(clock)
  const shown = writes.settledUntil()
  clock.advance(-5_000)
  assert.ok(writes.clock.now() > shown)
  await writes.during(async () => assert.equal(writes.settledUntil().getTime(), shown.getTime()))
})
