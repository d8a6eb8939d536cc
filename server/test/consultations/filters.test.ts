import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { states } from '../../src/consultations/consultation.ts'
import { mostLooked } from '../../src/consultations/list-store.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization, addPerson, type TestKey } from '../people-and-keys.ts'
import { type Receiver, startReceiver } from '../receivers.ts'

interface Row {
  readonly id: string
  readonly title: string
  readonly state: string
  readonly agent_id: string
  readonly created_at: string
  readonly updated_at: string
  readonly timeout_at: string | null
  readonly metadata: Readonly<Record<string, unknown>> | null
  readonly priority: string
  readonly risk: string
  readonly tags: readonly string[]
  readonly run_id: string | null
  readonly decided_by: string | null
  readonly responded_by: string | null
  readonly responded_at: string | null
  readonly response: { readonly decision: string } | null
}

/** 410: no more attempts are wanted. */
const answers: Readonly<Record<string, number>> = { refused: 410, failing: 500 }

let t: TestApp
let receiver: Receiver
let keys: readonly TestKey[]
let rows: readonly Row[]
/** By person: what they put aside, until when. */
const aside = new Map<string, Map<string, string>>()
let times: readonly string[]

const list = (query: string, as = t.reviewer.token) => t.call('GET', `/api/v1/requests?${query}`, { as })

async function all(query: string, as?: string): Promise<{ items: readonly Row[]; total: number | null }> {
  const items: Row[] = []
  let next = ''
  for (;;) {
    const { status, body, text } = await list(`${query}${next}`, as)
    assert.equal(status, 200, text)
    items.push(...body.items)
    if (body.next_cursor === null) return { items, total: body.total }
    next = `&cursor=${body.next_cursor}`
  }
}

before(async () => {
  t = await startTestApp()
  keys = [await addApiKey(t), await addApiKey(t)]
  const random = fc.sample(
    fc.record({
      metadata: fc.option(fc.record({ run: fc.constantFrom('a', 'b', 7, true, null, { x: 1 }) }, { requiredKeys: [] })),
      timeout_minutes: fc.option(fc.integer({ min: 1, max: 6 })),
      priority: fc.constantFrom('low', 'normal', 'normal', 'high', 'urgent'),
      risk: fc.constantFrom('low', 'medium', 'medium', 'high', 'critical'),
      tags: fc.subarray(['a', 'b', 'c']),
      run_id: fc.constantFrom(null, 'one', 'two'),
      key: fc.nat(1),
      title: fc.constantFrom('May I?', 'May I refund 40.00 EUR?', 'A refund, may I deploy?'),
      end: fc.constantFrom('respond', 'report', 'cancel', null, null),
      decision: fc.constantFrom('approve', 'reject'),
      callback: fc.constantFrom(null, 'received', 'refused', 'failing'),
    }),
    { numRuns: 160, seed: 4711 },
  )
  receiver = await startReceiver({
    behaviour: (response, { path }) => void response.writeHead(answers[path.slice(1)] ?? 200).end(),
  })
  for (const { key, end, callback, decision, ...asked } of random) {
    const more = { ...asked, ...(callback && { callback_webhook: `${receiver.url}/${callback}` }) }
    const as = keys[key]?.raw ?? ''
    t.clock.advance(1_500)
    const { body } = await t.call('POST', '/api/v1/requests', { as, body: { context: {}, ...more } })
    if (end === 'cancel') await t.call('POST', `/api/v1/requests/${body.id}/cancel`, { as })
    if (end === 'respond' || end === 'report') {
      const answer = {
        as: key === 0 ? t.reviewer.token : t.admin.token,
        body: {
          decision: end === 'respond' ? decision : 'approve',
          comment: 'I say so',
          confirmation: { typed: asked.title, acknowledged: true },
        },
      }
      assert.equal((await t.call('POST', `/api/v1/requests/${body.id}/respond`, answer)).status, 200)
    }
    if (end === 'report') {
      const outcome = { as, body: { status: 'executed' } }
      assert.equal((await t.call('POST', `/api/v1/requests/${body.id}/outcome`, outcome)).status, 200)
    }
  }
  // What changed in this very millisecond cannot be searched yet.
  t.clock.advance(1)
  await t.app.drain()
  rows = (await all('limit=100&fields=full')).items
  assert.deepEqual([...new Set(rows.map(({ state }) => state))].sort(), [...states].sort(), 'rows in every state')
  const other = await addPerson(t)
  const open = rows.filter(({ state }) => state === 'pending')
  for (const [place, { id }] of open.entries()) {
    for (const [as, minutes] of [
      [t.reviewer, [null, 1, 30, null, 30][place % 5]],
      [other, [5, null][place % 2]],
    ] as const) {
      if (minutes == null) continue
      const until = new Date(t.clock.now().getTime() + minutes * 60_000).toISOString()
      const reply = await t.call('POST', `/api/v1/requests/${id}/snooze`, { as: as.token, body: { until } })
      assert.equal(reply.status, 200, reply.text)
      aside.set(as.token, (aside.get(as.token) ?? new Map()).set(id, until))
    }
  }
  // Those of one minute are over, and are not swept yet.
  t.clock.advance(60_000)
  times = rows.flatMap(({ created_at, timeout_at, responded_at }) =>
    [created_at, timeout_at, responded_at].filter((time) => time !== null),
  )
})
after(async () => {
  await t.stop()
  await receiver.close()
})

const dueOf = ({ timeout_at }: Row): number => (timeout_at === null ? Number.POSITIVE_INFINITY : Date.parse(timeout_at))
const byId = (a: Row, b: Row): number => (a.id < b.id ? -1 : 1)
const ranks = ['urgent', 'high', 'normal', 'low']
const orders: Readonly<Record<string, (a: Row, b: Row) => number>> = {
  newest: (a, b) => byId(b, a),
  oldest: byId,
  priority: (a, b) => ranks.indexOf(a.priority) - ranks.indexOf(b.priority) || byId(b, a),
  due: (a, b) => (dueOf(a) === dueOf(b) ? byId(a, b) : dueOf(a) - dueOf(b)),
}

/** What a search finds, by its words. */
const searches: Readonly<Record<string, RegExp>> = {
  'REFUND may': /refund/,
  'dep*': /deploy/,
  '"may i" -deploy': /^May I/,
  '-refund': /I\?$/,
  '40.00': /40\.00/,
  refunds: /^never$/,
}

/** Each filter as anybody would write it down. */
const fits: Readonly<Record<string, (row: Row, value: string) => boolean>> = {
  state: (row, value) => row.state === value,
  priority: (row, values) => values.split(',').includes(row.priority),
  risk: (row, values) => values.split(',').includes(row.risk),
  tag: (row, value) => row.tags.includes(value),
  run_id: (row, value) => row.run_id === value,
  agent: (row, value) => row.agent_id === value,
  q: ({ title }, value) => searches[value]?.test(title) === true,
  decision: ({ response }, value) => response?.decision === value,
  decided_by: (row, value) => row.decided_by === value,
  responded_by: (row, value) => row.responded_by === value,
  responded_after: (row, value) => row.responded_at !== null && row.responded_at > value,
  responded_before: (row, value) => row.responded_at !== null && row.responded_at < value,
  created_after: (row, value) => row.created_at > value,
  created_before: (row, value) => row.created_at < value,
  updated_after: (row, value) => row.updated_at > value,
  due_before: (row, value) => row.timeout_at !== null && row.timeout_at < value,
  'metadata.run': ({ metadata }, value) => {
    const run = metadata?.run
    if (run === null || run === undefined) return false
    return (typeof run === 'object' ? JSON.stringify(run) : String(run)) === value
  },
}

const isAside = ({ id }: Row, by: string): boolean => (aside.get(by)?.get(id) ?? '') > t.clock.now().toISOString()
const isSoon = ({ timeout_at }: Row): boolean =>
  timeout_at !== null && Date.parse(timeout_at) < t.clock.now().getTime() + 3_600_000
const isRisky = ({ risk }: Row): boolean => risk === 'high' || risk === 'critical'

/** Each queue of a person, as anybody would write it down. */
const queues: Readonly<Record<string, (row: Row, by: string) => boolean>> = {
  all: (row, by) => row.state === 'pending' && !isAside(row, by),
  high_risk: (row, by) => row.state === 'pending' && !isAside(row, by) && isRisky(row),
  due_soon: (row, by) => row.state === 'pending' && !isAside(row, by) && isSoon(row),
  snoozed: (row, by) => row.state === 'pending' && isAside(row, by),
  done: (row) => row.state !== 'pending',
}

describe('every filter with every order', () => {
  test('finds what a naive model finds, in the same order, page by page', async () => {
    const time = fc.constantFrom(...times)
    const query = fc.record(
      {
        state: fc.constantFrom(...states),
        priority: fc.subarray(ranks, { minLength: 1 }),
        risk: fc.subarray(['low', 'medium', 'high', 'critical'], { minLength: 1 }),
        tag: fc.constantFrom('a', 'b', 'none'),
        run_id: fc.constantFrom('one', 'two', 'none'),
        agent: fc.constantFrom(...keys.map(({ agentId }) => agentId), t.admin.id),
        decision: fc.constantFrom('approve', 'reject', 'request_changes'),
        decided_by: fc.constantFrom('human', 'policy'),
        responded_by: fc.constantFrom(t.reviewer.id, t.admin.id),
        responded_after: time,
        responded_before: time,
        created_after: time,
        created_before: time,
        updated_after: time,
        due_before: time,
        'metadata.run': fc.constantFrom('a', '7', 'true', '{"x":1}', 'nothing'),
        sort: fc.constantFrom('newest', 'oldest', 'due', 'priority'),
        limit: fc.integer({ min: 1, max: 100 }),
        queue: fc.constantFrom(...Object.keys(queues)),
        q: fc.constantFrom(...Object.keys(searches)),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(query, fc.boolean(), async (given, isAgent) => {
        const { sort: order = 'newest', limit, queue: named, ...filters } = given
        // The order by relevance has a test of its own.
        const sort = filters.q === undefined ? order : 'newest'
        const own = isAgent ? keys[0] : undefined
        // What cannot go together is refused, as another test shows.
        const queue = own !== undefined || (sort === 'due' && named === 'done') ? undefined : named
        if (queue !== undefined && filters.state !== undefined) filters.state = queue === 'done' ? 'timeout' : 'pending'
        if (queue === 'high_risk' && filters.risk !== undefined) filters.risk = [...filters.risk, 'critical']
        if (sort === 'due' && filters.state !== undefined) filters.state = 'pending'
        const expected = rows
          .filter((row) => Object.entries(filters).every(([name, value]) => fits[name]?.(row, String(value))))
          .filter((row) => queue === undefined || queues[queue]?.(row, t.reviewer.token))
          .filter((row) => sort !== 'due' || row.state === 'pending')
          .filter((row) => own === undefined || row.agent_id === own.agentId)
          .toSorted(orders[sort])
        const asked = new URLSearchParams(
          Object.entries({ ...given, ...filters, queue, sort }).flatMap(([k, v]): [string, string][] =>
            v === undefined ? [] : [[k, String(v)]],
          ),
        )
        const { items, total } = await all(`${asked}`, own?.raw)
        assert.deepEqual(
          items.map(({ id }) => id),
          expected.map(({ id }) => id),
          `${asked} ${limit}`,
        )
        const looked = [
          'decision',
          'decided_by',
          'responded_by',
          'responded_after',
          'responded_before',
          'created_after',
          'created_before',
          'due_before',
          'metadata.run',
          'priority',
          'risk',
          'tag',
          'run_id',
        ]
        const isOthers = own !== undefined && given.agent !== undefined && given.agent !== own.agentId
        // What changed is counted as it is found; another agent's requests are none.
        const isFound = given.q === undefined
        const isWhole = queue === undefined || queue === 'done'
        const isCounted =
          isOthers ||
          (isFound && given.updated_after !== undefined) ||
          (isFound && isWhole && !looked.some((name) => name in given))
        assert.equal(total, isCounted ? expected.length : null)
      }),
      { numRuns: 400 },
    )
  })

  test('the counts are those of the lists, for each person', async () => {
    const totalOf = async (query: string) => (await list(`limit=1&${query}`)).body.total as number
    for (const by of [...aside.keys(), t.admin.token]) {
      const { body } = await t.call('GET', '/api/v1/requests/counts', { as: by })
      for (const [state, count] of Object.entries(body.by_state))
        assert.equal(count, await totalOf(`state=${state}`), state)
      assert.deepEqual(Object.keys(body.queues).toSorted(), Object.keys(queues).toSorted())
      for (const [queue, count] of Object.entries(body.queues)) {
        const expected = rows.filter((row) => queues[queue]?.(row, by))
        assert.equal(count, expected.length, queue)
        assert.equal((await all(`queue=${queue}`, by)).items.length, count, queue)
        // Every queue has some, and leaves some out.
        assert.ok(expected.length < rows.length && (expected.length > 0 || !aside.has(by)), queue)
      }
    }
  })

  test('422 for an unknown filter, a value out of its list, and what cannot go together', async () => {
    for (const [query, path] of [
      ['q=', 'q'],
      [`q=${'a'.repeat(201)}`, 'q'],
      ['sort=relevance', 'sort'],
      ['q=a&sort=oldest', 'sort'],
      ['q=a&offset=1', 'offset'],
      ['queue=mine', 'queue'],
      ['queue=all&queue=done', 'queue'],
      ['queue=all&state=timeout', 'state'],
      ['queue=done&state=pending', 'state'],
      ['queue=high_risk&risk=low,medium', 'risk'],
      ['queue=done&sort=due', 'sort'],
      ['queue=snoozed&offset=1', 'offset'],
      ['team=a', 'team'],
      ['assignee=a', 'assignee'],
      ['states=pending', 'states'],
      ['metadata=a', 'metadata'],
      ['metadata.=a', 'metadata.'],
      ['state=open', 'state'],
      ['state=pending&state=pending', 'state'],
      ['state=', 'state'],
      ['priority=highest', 'priority'],
      ['priority=high,highest', 'priority'],
      ['priority=high,', 'priority'],
      ['priority=', 'priority'],
      ['risk=none', 'risk'],
      ['tag=', 'tag'],
      [`tag=${'x'.repeat(65)}`, 'tag'],
      ['tag=a&tag=b', 'tag'],
      ['run_id=', 'run_id'],
      ['run_id=a&run_id=b', 'run_id'],
      ['tags=a', 'tags'],
      ['sort=priority&offset=1', 'offset'],
      ['priority=high&offset=1', 'offset'],
      ['sort=random', 'sort'],
      ['agent=me', 'agent'],
      ['created_after=yesterday', 'created_after'],
      ['due_before=2026-02-30T00:00:00Z', 'due_before'],
      ['sort=due&state=responded', 'sort'],
      ['metadata.a=1&offset=1', 'offset'],
      ['metadata.a=1&metadata.b=1&metadata.c=1&metadata.d=1&metadata.e=1&metadata.f=1', 'metadata.f'],
      ['metadata.a=1&metadata.a=2', 'metadata.a'],
    ]) {
      const { status, body } = await list(query ?? '')
      assert.equal(status, 422, query)
      assert.equal(body.errors[0].path, path, query)
    }
    const { status, body: forPeople } = await list('queue=all', keys[0]?.raw)
    assert.deepEqual([status, forPeople.errors[0].path], [422, 'queue'])
    const { body } = await list('sort=oldest&limit=1')
    assert.equal((await list(`sort=due&limit=1&cursor=${body.next_cursor}`)).status, 422)
  })

  test(`a page that looks through ${mostLooked} requests ends there, and its cursor goes on behind them`, async () => {
    const other = await addOrganization(t)
    const as = other.apiKey.raw
    const batch = (metadata: object, count = 500) =>
      t.call('POST', '/api/v1/requests/batch', {
        as,
        body: { requests: Array.from({ length: count }, () => ({ title: 'x', context: {}, metadata })) },
      })
    await batch({ n: 1 }, 3)
    for (let n = 0; n < 5; n += 1) await batch({ n: 2 })
    const pages: number[] = []
    for (let next = ''; pages.length < 10; ) {
      const { body } = await list(`metadata.n=1${next}`, as)
      assert.equal(body.total, null)
      pages.push(body.items.length)
      if (body.next_cursor === null) break
      next = `&cursor=${body.next_cursor}`
    }
    assert.deepEqual(pages, [0, 0, 3])
    for (const sort of ['newest', 'oldest', 'due', 'priority']) {
      assert.equal((await all(`metadata.n=1&sort=${sort}`, as)).items.length, 3)
      assert.equal((await all(`metadata.n=2&sort=${sort}&limit=100`, as)).items.length, 2_500)
    }
  })
})
