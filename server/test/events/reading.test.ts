import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addEvents, exportOf, verified } from './chain.ts'

let t: TestApp
let asked: { id: string }
const startedAt = new Date()
before(async () => {
  t = await startTestApp()
  t.clock.advance(60_000)
  asked = await t.createRequest({ title: 'Delete vol-1?' })
  t.clock.advance(60_000)
  const body = { decision: 'approve', comment: 'Fine' }
  await t.call('POST', `/api/v1/requests/${asked.id}/respond`, { as: t.reviewer.token, body })
  t.clock.advance(60_000)
  for (let n = 0; n < 5; n += 1) {
    await t.createRequest()
    t.clock.advance(1_000)
  }
})
after(() => t.stop())

const events = (query = '') => t.call('GET', `/api/v1/events${query}`, { as: t.admin.token })
const at = (seconds: number): string => new Date(startedAt.getTime() + seconds * 1_000).toISOString()
type Item = Readonly<Record<string, unknown>> & {
  readonly id: string
  readonly kind: string
  readonly occurred_at: string
}

async function allPages(path: string, limit: number): Promise<readonly Item[]> {
  const items: Item[] = []
  let cursor: string | null = null
  do {
    const page = await t.call(
      'GET',
      `${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`,
      {
        as: t.admin.token,
      },
    )
    assert.equal(page.status, 200, page.text)
    items.push(...page.body.items)
    cursor = page.body.next_cursor
  } while (cursor !== null)
  return items
}

describe('GET /events', () => {
  test('newest first, with the person, how they signed in, their address, the digest, before and after', async () => {
    const { status, body } = await events('?kind=request.responded')
    assert.equal(status, 200)
    assert.equal(body.items.length, 1)
    const {
      id: _id,
      erasable_sha256: sha256,
      actor,
      digest,
      http_request_id: call,
      seal: _seal,
      ...event
    } = body.items[0]
    assert.deepEqual(event, {
      v: 1,
      organization_id: t.organizationId,
      kind: 'request.responded',
      occurred_at: event.occurred_at,
      subject: { kind: 'request', id: asked.id },
      before: { state: 'pending' },
      after: { state: 'responded', revision: 1, decision: 'approve', role: 'reviewer' },
      erasable: { comment: 'Fine', network: '127.0.0.1' },
      erased: false,
      altered: false,
    })
    const { session_id: session, ...who } = actor
    assert.deepEqual(who, { kind: 'person', id: t.reviewer.id, key_id: null, signed_in_with: ['password'] })
    assert.match(session, /^[0-9a-f-]{36}$/)
    assert.match(sha256, /^[0-9a-f]{64}$/)
    assert.match(digest, /^[0-9a-f]{64}$/)
    assert.match(call, /^[0-9a-f-]{36}$/)
  })

  test('pages of any size contain every event once, in the same order', async () => {
    const whole = await allPages('/api/v1/events', 100)
    assert.ok(whole.length > 10)
    assert.deepEqual(
      whole.map((event) => event.occurred_at),
      whole
        .map((event) => event.occurred_at)
        .toSorted()
        .reverse(),
    )
    for (const limit of [1, 2, 3, 7]) assert.deepEqual(await allPages('/api/v1/events', limit), whole)
  })

  test('since and until are exact to the millisecond, and until is not included', async () => {
    const [event] = (await events('?kind=request.responded')).body.items
    const time = new Date(event.occurred_at)
    const shifted = (ms: number) => new Date(time.getTime() + ms).toISOString()
    const found = async (query: string) => (await allPages(`/api/v1/events?kind=request.responded&${query}`, 10)).length
    assert.equal(await found(`since=${shifted(0)}&until=${shifted(1)}`), 1)
    assert.equal(await found(`since=${shifted(1)}`), 0)
    assert.equal(await found(`until=${shifted(0)}`), 0)
    assert.equal(await found(`since=${at(-3_600)}&until=${at(3_600)}`), 1)
  })

  test('by actor, kind, subject and request', async () => {
    const whole = await allPages('/api/v1/events', 100)
    const actorOf = (event: Item) => event.actor as { kind: string; id: string }
    const subjectOf = (event: Item) => (event.subject as { id: string }).id
    for (const [query, fits] of [
      [`actor_id=${t.reviewer.id}`, (event) => actorOf(event).id === t.reviewer.id],
      ['actor_kind=agent', (event) => actorOf(event).kind === 'agent'],
      ['kind=request.created', (event) => event.kind === 'request.created'],
      [`subject_id=${asked.id}`, (event) => subjectOf(event) === asked.id],
      [`request_id=${asked.id.toUpperCase()}`, (event) => subjectOf(event) === asked.id],
      [
        `actor_kind=agent&kind=request.created&request_id=${asked.id}`,
        (e) => subjectOf(e) === asked.id && e.kind === 'request.created',
      ],
      [`actor_id=${randomUUID()}`, () => false],
    ] as readonly (readonly [string, (event: Item) => boolean])[]) {
      assert.deepEqual(await allPages(`/api/v1/events?${query}`, 2), whole.filter(fits), query)
    }
  })

  test('a filter that matches few of very many events returns short pages with cursors, never one long statement', async (context) => {
    const u = await startTestApp()
    context.after(() => u.stop())
    await addEvents(u, { count: 25_000, kind: 'request.created', at: `now() + n * interval '1 ms'` })
    let pages = 0
    let found = 0
    for (let cursor = ''; ; pages += 1) {
      const query = `/api/v1/events?kind=organization.created${cursor}`
      const answer = await u.app.http.inject({ url: query, headers: { authorization: `Bearer ${u.admin.token}` } })
      found += answer.json().items.length
      if (answer.json().next_cursor === null) break
      cursor = `&cursor=${answer.json().next_cursor}`
    }
    assert.deepEqual([found, pages >= 2], [1, true])
  })

  test('422 for an invalid time, cursor, kind or id, naming it', async () => {
    for (const [query, path] of [
      ['since=yesterday', 'since'],
      ['until=2026-02-30T00:00:00Z', 'until'],
      ['cursor=abc', 'cursor'],
      [`cursor=${Buffer.from('99999999999999999.x').toString('base64url')}`, 'cursor'],
      ['kind=Robert%27);', 'kind'],
      ['actor_id=1', 'actor_id'],
      ['actor_kind=root', 'actor_kind'],
      ['limit=101', 'limit'],
      [`subject_id=${randomUUID()}&request_id=${randomUUID()}`, 'request_id'],
    ]) {
      const reply = await events(`?${query}`)
      assert.equal(reply.status, 422, query)
      assert.equal(reply.body.errors[0].path, path)
    }
  })

  test('403 for reviewers and API keys, with the right that is missing', async () => {
    for (const as of [t.reviewer.token, t.apiKey]) {
      for (const path of [
        '/events',
        '/events/export',
        '/events/policy',
        `/requests/${asked.id}/events`,
        `/requests/${asked.id}/evidence`,
      ]) {
        assert.equal((await t.call('GET', `/api/v1${path}`, { as })).status, 403, path)
      }
    }
  })
})

describe('GET /requests/{id}/events', () => {
  test("the request's events, oldest first", async () => {
    const items = await allPages(`/api/v1/requests/${asked.id}/events`, 1)
    assert.deepEqual(
      items.map((event) => event.kind),
      ['request.created', 'request.responded'],
    )
    assert.deepEqual(items[0]?.erasable, { callback_webhook: null, network: '127.0.0.1', title: 'Delete vol-1?' })
  })

  test('404 for a request that does not exist', async () => {
    const reply = await t.call('GET', `/api/v1/requests/${randomUUID()}/events`, { as: t.admin.token })
    assert.deepEqual([reply.status, reply.body.code], [404, 'consultation.not_found'])
  })
})

test('an event has the number of its seal once there is one', async () => {
  const { id } = await t.createRequest()
  const sealOf = async () =>
    (await t.call('GET', `/api/v1/requests/${id}/events`, { as: t.admin.token })).body.items[0].seal
  assert.equal(await sealOf(), null)
  const seal = await eventually('sealed', async () => {
    await t.app.audit.drain()
    return sealOf()
  })
  const [last] = await t.sql('select max(number)::int as number from audit_seals where organization_id = $1', [
    t.organizationId,
  ])
  assert.equal(seal, last?.number)
})

test('a person who reads the audit page by page leaves an event for every thousand', async (context) => {
  const u = await startTestApp()
  context.after(() => u.stop())
  await addEvents(u, { count: 2_300, kind: 'request.created' })
  const reads = async () =>
    (await u.call('GET', '/api/v1/events?kind=audit.read', { as: u.admin.token })).body.items as Item[]
  const page = async (cursor: string | null): Promise<string | null> => {
    const query = cursor === null ? '' : `&cursor=${cursor}`
    return (await u.call('GET', `/api/v1/events?limit=100${query}`, { as: u.admin.token })).body.next_cursor
  }
  let cursor = await page(null)
  assert.deepEqual(await reads(), [], 'a look leaves none')
  for (; cursor !== null; cursor = await page(cursor)) {}
  const told = await reads()
  assert.deepEqual(
    told.map(({ actor, after }) => [(actor as { id: string }).id, after]),
    [u.admin.id, u.admin.id].map((id) => [id, { events: 1_000 }]),
  )
})

test('a page of large events ends at 1 MiB, and the next ones have the rest; so do the pieces of an export', async () => {
  const own = await startTestApp()
  try {
    const comment = '\u0001'.repeat(10_000)
    for (let n = 0; n < 24; n += 1) {
      const { id } = await own.createRequest()
      const answer = { as: own.reviewer.token, body: { decision: 'approve', comment } }
      assert.equal((await own.call('POST', `/api/v1/requests/${id}/respond`, answer)).status, 200)
    }
    const replies = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const reply = await own.call('GET', `/api/v1/events?kind=request.responded&limit=100${cursor}`, {
        as: own.admin.token,
      })
      replies.push(reply)
      cursor = reply.body.next_cursor === null ? null : `&cursor=${reply.body.next_cursor}`
    }
    assert.deepEqual(
      replies.map(({ body }) => body.items.length),
      [17, 7],
    )
    for (const { text } of replies) assert.ok(text.length < 1_100_000)
    const result = await verified(own, await exportOf(own))
    assert.deepEqual(result.findings, [])
    const [counted] = await own.sql("select count(*)::int from events where kind = 'request.responded'")
    assert.equal(counted?.count, 24)
  } finally {
    await own.stop()
  }
})
