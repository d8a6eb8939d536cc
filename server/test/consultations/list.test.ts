import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { states } from '../../src/consultations/consultation.ts'
import { newId } from '../../src/platform/ids.ts'
import { encodeCursor } from '../../src/platform/page.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization, addPerson } from '../people-and-keys.ts'
import { requestsAsShown, totalsAndCounts } from './table-contents.ts'

/** Behind this id, in the list that has no filter. */
const cursorAt = (id: string): string => encodeCursor(id, '/api/v1/requests?fields=light')

const path = '/api/v1/requests'
const count = 250

let t: TestApp
let key: string
/** Newest first, as every list is. */
const ids: string[] = []
before(async () => {
  t = await startTestApp()
  key = (await addApiKey(t)).raw
  for (let made = 0; made < count; made += 50) {
    const bodies = Array.from({ length: 50 }, (_, index) => ({ title: `request ${made + index}`, context: {} }))
    const replies = await Promise.all(bodies.map((body) => t.call('POST', path, { as: key, body })))
    ids.push(...replies.map(({ body }) => body.id as string))
    t.clock.advance(1_000)
  }
  ids.sort().reverse()
})
after(() => t.stop())

const list = async (query: string, as = key) => {
  const reply = await t.call('GET', `${path}${query}`, { as })
  assert.equal(reply.status, 200, reply.text)
  return reply.body
}
const idsOf = (page: { items: readonly { id: string }[] }): readonly string[] => page.items.map(({ id }) => id)

describe('pages', () => {
  test('the newest 20 come first, with the total', async () => {
    const page = await list('')
    assert.deepEqual(idsOf(page), ids.slice(0, 20))
    assert.deepEqual([page.total, page.limit, page.offset, page.next_cursor], [count, 20, 0, cursorAt(ids[19] ?? '')])
  })

  for (const limit of [1, 7, 50, 100]) {
    test(`cursor pages of ${limit} contain all ${count}, each once`, async () => {
      const seen: string[] = []
      let query = `?limit=${limit}`
      for (let pages = 0; pages <= count / limit + 1; pages += 1) {
        const page = await list(query)
        assert.equal(page.total, count)
        seen.push(...idsOf(page))
        if (page.next_cursor === null) break
        assert.equal(page.items.length, limit)
        query = `?limit=${limit}&cursor=${page.next_cursor}`
      }
      assert.deepEqual(seen, ids)
    })
  }

  test(`offset pages of 60 contain all ${count}, each once`, async () => {
    const seen: string[] = []
    for (let offset = 0; offset < 300; offset += 60) {
      const page = await list(`?limit=60&offset=${offset}`)
      assert.deepEqual([page.offset, page.total, page.next_cursor === null], [offset, count, offset === 240])
      seen.push(...idsOf(page))
    }
    assert.deepEqual(seen, ids)
  })

  test('a page that ends with the last request has no next one', async () => {
    assert.equal((await list(`?limit=50&offset=${count - 50}`)).next_cursor, null)
    assert.notEqual((await list(`?limit=50&offset=${count - 51}`)).next_cursor, null)
  })

  test('beyond the end: an empty page with the total', async () => {
    for (const query of ['?offset=250', '?offset=2147483647', `?cursor=${cursorAt(ids.at(-1) ?? '')}`]) {
      const page = await list(query)
      assert.deepEqual([page.items, page.total, page.next_cursor], [[], count, null])
    }
  })

  test('a request created meanwhile does not shift the pages after a cursor', async () => {
    const first = await list('?limit=10')
    const { id } = await t.createRequest()
    const second = await list(`?limit=10&cursor=${first.next_cursor}`, t.reviewer.token)
    assert.deepEqual(idsOf(second), ids.slice(10, 20))
    assert.ok(!idsOf(second).includes(id))
  })

  test('the cursor of a request of another key, or of a missing one, is only a position', async () => {
    assert.deepEqual(idsOf(await list(`?cursor=${cursorAt(newId())}&limit=2`)), ids.slice(0, 2))
  })

  test('HEAD and a trailing slash work', async () => {
    const head = await t.call('HEAD', path, { as: key })
    assert.deepEqual([head.status, head.text], [200, ''])
    assert.equal((await t.call('GET', `${path}/?limit=1`, { as: key })).status, 200)
  })
})

describe('422', () => {
  const wrong: readonly (readonly [string, string])[] = [
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=x', 'limit'],
    ['limit=', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['offset=-1', 'offset'],
    ['offset=2147483648', 'offset'],
    ['offset=NaN', 'offset'],
    ['state=open', 'state'],
    ['state=', 'state'],
    ['state=PENDING', 'state'],
    ['state=pending&state=timeout', 'state'],
    ['cursor=', 'cursor'],
    ['cursor=x', 'cursor'],
    ['cursor=%00', 'cursor'],
    [`cursor=${newId()}`, 'cursor'],
    [`cursor=${cursorAt(newId().toUpperCase())}`, 'cursor'],
    [`cursor=${cursorAt(newId())}=`, 'cursor'],
    [`cursor=${cursorAt("x' or true --")}`, 'cursor'],
    [`cursor=${'A'.repeat(101)}`, 'cursor'],
    ['updated_after=', 'updated_after'],
    ['updated_after=yesterday', 'updated_after'],
    ['updated_after=2026-01-31', 'updated_after'],
    ['updated_after=2026-01-31T09:00:00', 'updated_after'],
    ['updated_after=2026-13-01T00:00:00Z', 'updated_after'],
    ['updated_after=2026-02-30T00:00:00Z', 'updated_after'],
    ['updated_after=2026-01-31T25:00:00Z', 'updated_after'],
    ['updated_after=1769850000', 'updated_after'],
    ['updated_after=1969-12-31T23:59:59Z', 'updated_after'],
    ['updated_after=9999-12-31T23:59:59-01:00', 'updated_after'],
    ['updated_after=-271821-04-20T00:00:00Z', 'updated_after'],
  ]
  for (const [query, field] of wrong) {
    test(`for ?${query}`, async () => {
      const reply = await t.call('GET', `${path}?${query}`, { as: key })
      assert.deepEqual(
        [reply.status, reply.body.code, reply.body.errors?.[0]?.path],
        [422, 'request.invalid', field],
        reply.text,
      )
    })
  }
  test('401 without a credential', async () => assert.equal((await t.call('GET', path)).status, 401))
})

describe('filters', () => {
  test('state shows exactly the requests in that state', async () => {
    const [one, two, three] = [await t.createRequest(), await t.createRequest(), await t.createRequest()]
    await t.call('POST', `${path}/${one.id}/cancel`, { as: t.apiKey })
    for (const { id } of [two, three]) {
      await t.call('POST', `${path}/${id}/respond`, { as: t.reviewer.token, body: { decision: 'reject' } })
    }
    assert.deepEqual(idsOf(await list('?state=cancelled', t.apiKey)), [one.id])
    assert.deepEqual(idsOf(await list('?state=responded', t.apiKey)), [three.id, two.id].sort().reverse())
    for (const state of states) {
      const page = await list(`?state=${state}&limit=100`, t.apiKey)
      assert.ok(page.items.every((item: { state: string }) => item.state === state))
      assert.equal(page.total, page.items.length)
    }
  })

  test('updated_after shows what changed after it, for every form of a UTC offset', async () => {
    t.clock.advance(3_600_000)
    const mark = t.clock.now()
    const as = t.apiKey
    const { id } = await t.createRequest()
    t.clock.advance(1)
    const later = await t.createRequest()
    const { token } = await addPerson(t)
    const instant = mark.toISOString()
    const local = new Date(mark.getTime() + 5_400_000).toISOString().slice(0, -1)
    for (const written of [
      instant,
      instant.toLowerCase(),
      instant.replace('T', '%20'),
      instant.replace('Z', '000Z'),
      instant.replace('Z', '-00:00'),
      instant.replace('Z', '%2B00:00'),
      instant.replace('Z', '+00:00'),
      `${local}%2B01:30`,
      `${local}+01:30`,
    ]) {
      const page = await list(`?updated_after=${written}`, as)
      assert.deepEqual([idsOf(page), page.total], [[later.id], 1], written)
    }
    const before = new Date(mark.getTime() - 1).toISOString()
    assert.deepEqual(idsOf(await list(`?updated_after=${before}`, as)), [later.id, id])
    const first = await list(`?updated_after=${before}&limit=1`, as)
    assert.deepEqual([idsOf(first), first.total], [[later.id], 2])
    const second = await list(`?updated_after=${before}&limit=1&cursor=${first.next_cursor}`, as)
    assert.deepEqual([idsOf(second), second.total, second.next_cursor], [[id], 2, null])

    await t.call('POST', `${path}/${ids.at(-1)}/respond`, { as: token, body: { decision: 'approve' } })
    assert.deepEqual(
      idsOf(await list(`?updated_after=${before}&state=responded`)),
      [ids.at(-1)],
      'an old request that changed',
    )
    assert.equal((await list(`?updated_after=9999-12-31T23:59:59Z`, as)).total, 0)
  })

  test('an agent sees only its own requests, a person all of the organization', async () => {
    const mine = await list('?limit=100')
    assert.equal(mine.total, count)
    const keyId = mine.items[0].api_key_id
    assert.ok(mine.items.every((item: { api_key_id: string }) => item.api_key_id === keyId))
    const stranger = (await addApiKey(t)).raw
    const nothing = { items: [], total: 0, limit: 20, offset: 0, next_cursor: null, watermark: null }
    assert.deepEqual(await list('', stranger), nothing)
    const { token } = await addPerson(t)
    const [row] = await t.sql('select count(*)::int as total from consultation_requests')
    assert.equal((await list('', token)).total, row?.total)
  })
})

test('callers who list at the same moment each get their own requests', async () => {
  const u = await startTestApp()
  try {
    const elsewhere = await addOrganization(u)
    const second = await addApiKey(u)
    await u.call('POST', path, { as: second.raw, body: { title: 'of the second key', context: {} } })
    await u.call('POST', path, { as: elsewhere.apiKey.raw, body: { title: 'of another organization', context: {} } })
    const callers = [
      [u.apiKey, 3, ['cancel', 'revise']],
      [second.raw, 1, ['cancel', 'revise']],
      [u.reviewer.token, 4, ['respond']],
      [u.admin.token, 4, ['respond']],
      [elsewhere.apiKey.raw, 1, ['cancel', 'revise']],
      [elsewhere.reviewer.token, 1, ['respond']],
    ] as const
    const asked = Array.from({ length: 10 }, () => callers).flat()
    const pages = await Promise.all(asked.map(([as]) => u.call('GET', path, { as })))
    for (const [place, [as, total, actions]] of asked.entries()) {
      const { body, text } = pages[place] ?? assert.fail()
      assert.equal(text, (await u.call('GET', path, { as })).text, 'the same as when asked alone')
      assert.equal(body.total, total)
      for (const item of body.items) assert.deepEqual(item.allowed_actions, actions)
    }
    // A page requested after an act shows it, no matter how many callers there are.
    const replies = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { body } = await u.call('POST', path, { as: u.apiKey, body: { title: 'x', context: {} } })
        const page = await u.call('GET', `${path}?limit=100`, { as: u.apiKey })
        return page.body.items.some(({ id }: { id: string }) => id === body.id)
      }),
    )
    assert.deepEqual(replies, Array(20).fill(true))
  } finally {
    await u.stop()
  }
})

test('totals equal a count in every filter, after random acts at once', async () => {
  const u = await startTestApp({ environment: { DATABASE_POOL: '8' } })
  try {
    const keys = [u.apiKey, (await addApiKey(u)).raw, (await addApiKey(u)).raw]
    const made: { id: string; as: string }[] = []
    const step = fc.record({
      act: fc.constantFrom('create', 'create', 'respond', 'cancel', 'expire'),
      pick: fc.nat(),
      minutes: fc.constantFrom(1, 2, null),
    })
    const perform = async ({
      act,
      pick,
      minutes,
    }: {
      act: string
      pick: number
      minutes: number | null
    }): Promise<void> => {
      const as = keys[pick % keys.length] ?? ''
      const target = made[pick % Math.max(1, made.length)]
      if (act === 'expire') return void (await u.app.consultations.expireDue(5))
      if (act === 'create' || target === undefined) {
        const reply = await u.call('POST', path, { as, body: { title: 'x', context: {}, timeout_minutes: minutes } })
        return void made.push({ id: reply.body.id, as })
      }
      const body = act === 'respond' ? { body: { decision: 'approve' } } : {}
      const reply = await u.call('POST', `${path}/${target.id}/${act}`, {
        as: act === 'respond' ? u.reviewer.token : target.as,
        ...body,
      })
      assert.ok([200, 409].includes(reply.status), reply.text)
    }
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        u.clock.advance(20_000)
        await Promise.all(steps.map(perform))
        const { totals, counts } = await totalsAndCounts(u)
        assert.deepEqual(totals, counts)
      }),
      { numRuns: 25, endOnFailure: true },
    )
    for (const [as, own] of [[u.reviewer.token, false], ...keys.map((raw) => [raw, true] as const)] as const) {
      for (const state of [null, ...states]) {
        const page = await u.call('GET', `${path}?limit=100${state === null ? '' : `&state=${state}`}`, { as })
        const [row] = await u.sql(
          `select count(*)::int as total from ${requestsAsShown} where ($1::text is null or shown = $1)
           and ($2::uuid is null or agent_id = $2)`,
          [state, own ? (page.body.items[0]?.agent_id ?? newId()) : null],
        )
        assert.equal(page.body.total, row?.total, `${state} ${own}`)
      }
    }
  } finally {
    await u.stop()
  }
})
