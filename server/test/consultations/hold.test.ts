import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { formWith } from '../authorization/operations.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addApiKey } from '../people-and-keys.ts'
import { receiverFor } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'
import { totalsAndCounts } from './table-contents.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const path = (id: string, act = '') => `/api/v1/requests/${id}${act}`
const read = async (id: string, as = t.apiKey) => (await t.call('GET', path(id), { as })).body
const respond = (id: string, body: object = {}, as = t.reviewer.token, headers = {}): Promise<Reply> =>
  t.call('POST', path(id, '/respond'), { as, body: { decision: 'approve', ...body }, headers })
const undo = (id: string, as = t.reviewer.token) => t.call('POST', path(id, '/undo'), { as })
const sweep = () => t.app.consultations.expireDue(100)
const told = ({ status, body }: Reply) => [status, body.code]
const kindsOf = async (id: string) =>
  (await recordedEvents(t.sql, { subject: id })).map(({ kind }) => kind).filter((kind) => kind.startsWith('request.'))

/** What the evidence pack finds wrong. */
async function failing(id: string): Promise<readonly unknown[]> {
  const { body } = await t.call('GET', path(id, '/evidence'), { as: t.admin.token })
  return body.checks.filter(({ result }: { result: string }) => result === 'fails')
}

/** A request whose decision is held back for 10 s. */
async function held(fields: object = {}): Promise<string> {
  const { id } = await t.createRequest({ hold_seconds: 10, ...fields })
  const reply = await respond(id)
  assert.equal(reply.status, 200, reply.text)
  return id
}

describe('while a decision is held back', () => {
  test('people see it, and until when; its certificate is shown to nobody', async () => {
    const id = await held()
    const until = new Date(t.clock.now().getTime() + 10_000).toISOString()
    const seen = await read(id, t.admin.token)
    assert.deepEqual(
      [seen.state, seen.response.decision, seen.responded_by, seen.held_until, seen.certificate],
      ['pending', 'approve', t.reviewer.id, until, null],
    )
    assert.deepEqual(seen.allowed_actions, [])
    assert.deepEqual((await read(id, t.reviewer.token)).allowed_actions, ['undo'])
  })

  test('the agent sees what it saw before, but for updated_at, on every channel', async (c) => {
    const receiver = await receiverFor(c)
    const asked = await t.createRequest({ hold_seconds: 10, callback_webhook: receiver.url })
    const { id } = asked
    await respond(id, { comment: 'fine' })
    await t.app.drain()
    const { updated_at: _, ...before } = asked
    const { updated_at: at, ...seen } = await read(id)
    assert.deepEqual(seen, before)
    const waited = await t.call('GET', path(id, '/wait?timeout_seconds=0'), { as: t.apiKey })
    assert.deepEqual(waited.body, { ...seen, updated_at: at })
    const listed = await t.call('GET', `/api/v1/requests?state=pending&updated_after=${asked.created_at}`, {
      as: t.apiKey,
    })
    assert.deepEqual(
      listed.body.items.find((item: { id: string }) => item.id === id),
      { ...seen, updated_at: at },
    )
    for (const act of ['certificate', 'deliveries']) {
      const reply = await t.call('GET', path(id, `/${act}`), { as: t.apiKey })
      assert.ok(reply.status === 409 || reply.body.items.length === 0, reply.text)
      assert.equal(reply.text.includes('approve'), false)
    }
    const redeemed = await t.call('POST', path(id, '/redeem'), { as: t.apiKey })
    assert.deepEqual([...told(redeemed), redeemed.body.decision], [409, 'consultation.not_approved', null])
    const reported = await t.call('POST', path(id, '/outcome'), { as: t.apiKey, body: { status: 'executed' } })
    assert.deepEqual([...told(reported), reported.body.decision], [409, 'consultation.nothing_to_report', null])
    assert.equal(receiver.requests.length, 0)

    t.clock.advance(10_000)
    await sweep()
    await t.app.drain()
    assert.deepEqual([(await read(id)).response.decision, receiver.requests.length], ['approve', 1])
  })

  test('nor does a list say that an answer is too large for it', async () => {
    const form = { type: 'object', properties: { why: { type: 'string' } } }
    const { id } = await t.createRequest({ hold_seconds: 10, answer: { form } })
    assert.equal((await respond(id, { data: { why: 'x'.repeat(5_000) } })).status, 200)
    const itemFor = async (as: string) =>
      (await t.call('GET', '/api/v1/requests?limit=1', { as })).body.items.find(
        (item: { id: string }) => item.id === id,
      )
    assert.deepEqual(
      [(await itemFor(t.admin.token)).response_truncated, (await itemFor(t.apiKey)).response_truncated],
      [true, undefined],
    )
  })

  test('nobody else can answer: 409 that names the decision', async () => {
    const id = await held()
    const reply = await respond(id, { decision: 'reject' }, t.admin.token)
    assert.deepEqual(
      [...told(reply), reply.body.decision, reply.body.responded_by],
      [409, 'consultation.already_responded', 'approve', t.reviewer.id],
    )
    assert.deepEqual(told(await respond(id)), [409, 'consultation.already_responded'])
  })

  test('it does not time out: the decision came in time', async () => {
    const { id } = await t.createRequest({ hold_seconds: 120, timeout_minutes: 1 })
    await respond(id)
    t.clock.advance(60_000)
    await sweep()
    assert.equal((await read(id, t.reviewer.token)).state, 'pending')
    t.clock.advance(60_000)
    await sweep()
    assert.deepEqual([(await read(id)).state, (await read(id)).response.decision], ['responded', 'approve'])
  })

  test('the agent may withdraw: then nobody has decided', async () => {
    const id = await held()
    const reply = await t.call('POST', path(id, '/cancel'), { as: t.apiKey })
    assert.deepEqual([reply.status, reply.body.state, reply.body.response], [200, 'cancelled', null])
    t.clock.advance(10_000)
    await sweep()
    assert.deepEqual([(await read(id, t.admin.token)).response, (await read(id)).state], [null, 'cancelled'])
    assert.deepEqual(await failing(id), [])
    const [row] = await t.sql('select decision, voided_at from consultation_answers where request_id = $1', [id])
    assert.deepEqual([row?.decision, row?.voided_at === null], ['approve', false])
  })

  test('the agent may change its files: then the question is another one, and nobody has decided it', async () => {
    const id = await held()
    const { digest } = await read(id)
    const added = await t.call('POST', path(id, '/attachments'), { as: t.apiKey, body: formWith() })
    assert.equal(added.status, 201, added.text)
    const seen = await read(id, t.admin.token)
    assert.deepEqual([seen.state, seen.response, seen.held_until, seen.attachments.length], ['pending', null, null, 1])
    assert.notEqual(seen.digest, digest)
    t.clock.advance(10_000)
    await sweep()
    assert.equal((await read(id)).state, 'pending')
    assert.deepEqual(await failing(id), [])
    assert.equal((await respond(id)).status, 200)
  })

  test('a person cannot add files any more', async () => {
    const id = await held()
    const reply = await t.call('POST', path(id, '/attachments'), { as: t.reviewer.token, body: formWith() })
    assert.deepEqual(told(reply), [409, 'consultation.already_responded'])
  })

  test('the evidence pack shows no certificate, and says why', async () => {
    const id = await held()
    const { body, text } = await t.call('GET', path(id, '/evidence'), { as: t.admin.token })
    const [row] = await t.sql('select certificate from consultation_requests where id = $1', [id])
    assert.ok(row?.certificate)
    assert.equal(text.includes(String(row.certificate)), false)
    const checks = Object.fromEntries(
      body.checks.map((one: { check: string; result: string }) => [one.check, one.result]),
    )
    assert.deepEqual([checks.decision, checks.certificate], ['holds', 'open'])
  })

  test('a person may ask for a longer hold than the agent did, not for a shorter one', async () => {
    for (const [asked, given, seconds] of [
      [0, 5, 5],
      [10, 5, 10],
      [10, 300, 300],
    ] as const) {
      const { id } = await t.createRequest({ hold_seconds: asked })
      const reply = await respond(id, { hold_seconds: given })
      assert.equal(Date.parse(reply.body.held_until) - t.clock.now().getTime(), seconds * 1_000)
    }
  })

  test('hold_seconds above 300 is 422', async () => {
    const reply = await t.call('POST', '/api/v1/requests', {
      as: t.apiKey,
      body: { title: 'x', context: {}, hold_seconds: 301 },
    })
    assert.deepEqual([reply.status, reply.body.errors[0].path], [422, 'hold_seconds'])
  })
})

describe('release', () => {
  test('never early, once: to the millisecond, by any number of sweepers', async () => {
    const id = await held()
    t.clock.advance(9_999)
    await sweep()
    assert.equal((await read(id)).state, 'pending')
    t.clock.advance(1)
    await Promise.all([sweep(), sweep(), sweep()])
    const seen = await read(id)
    assert.deepEqual(
      [seen.state, seen.held_until, seen.allowed_actions],
      ['responded', null, ['redeem', 'report_outcome']],
    )
    assert.ok(seen.certificate)
    assert.deepEqual(await kindsOf(id), ['request.created', 'request.responded', 'request.released'])
    assert.deepEqual(await failing(id), [])
    assert.equal((await t.call('POST', path(id, '/redeem'), { as: t.apiKey })).status, 200)
  })

  test('not while the agent is paused: then once it may work again, and until then it can be taken back', async () => {
    const { agentId, raw } = await addApiKey(t)
    const make = async () => {
      const body = { title: 'x', context: {}, hold_seconds: 10 }
      const { id } = (await t.call('POST', '/api/v1/requests', { as: raw, body })).body
      await respond(id)
      return id
    }
    const [first, second] = [await make(), await make()]
    const paused = await t.call('POST', `/api/v1/agents/${agentId}/pause`, { as: t.admin.token, body: { reason: 'x' } })
    assert.equal(paused.status, 200, paused.text)
    t.clock.advance(3_600_000 / 4)
    await sweep()
    assert.equal((await read(first, t.reviewer.token)).state, 'pending')
    assert.equal((await undo(second)).status, 200)
    await t.sql(`update agents set status = 'active', paused_at = null where id = $1`, [agentId])
    t.clock.advance(15_000)
    await sweep()
    assert.deepEqual([(await read(first, raw)).state, (await read(second, raw)).state], ['responded', 'pending'])
  })
})

describe('undo', () => {
  test('the request is open again with its timeout, and the same person can decide otherwise', async () => {
    const id = await held()
    const reply = await undo(id)
    assert.deepEqual(
      [reply.status, reply.body.state, reply.body.response, reply.body.held_until, reply.body.certificate],
      [200, 'pending', null, null, null],
    )
    assert.deepEqual(reply.body.allowed_actions, ['respond'])
    t.clock.advance(10_000)
    await sweep()
    assert.equal((await read(id)).state, 'pending')
    assert.deepEqual(await failing(id), [])
    assert.equal((await respond(id, { decision: 'reject' })).status, 200)
    t.clock.advance(10_000)
    await sweep()
    assert.equal((await read(id)).response.decision, 'reject')
    assert.deepEqual(await failing(id), [])
    assert.deepEqual(await kindsOf(id), [
      'request.created',
      'request.responded',
      'request.undone',
      'request.responded',
      'request.released',
    ])
  })

  test('after its timeout, an undone request times out', async () => {
    const { id } = await t.createRequest({ hold_seconds: 120, timeout_minutes: 1 })
    await respond(id)
    t.clock.advance(90_000)
    assert.equal((await undo(id)).status, 200)
    await sweep()
    assert.equal((await read(id)).state, 'timeout')
  })

  for (const [who, prepare, as, expected] of [
    ['somebody else', () => held(), () => t.admin.token, [403, 'consultation.not_the_decider']],
    ['an agent', () => held(), () => t.apiKey, [403, 'http.forbidden']],
    [
      'the decider, when nothing is held',
      async () => (await t.createRequest()).id,
      () => t.reviewer.token,
      [409, 'consultation.nothing_to_undo'],
    ],
    [
      'the decider, when there was no hold',
      async () => {
        const { id } = await t.createRequest()
        await respond(id)
        return id
      },
      () => t.reviewer.token,
      [409, 'consultation.already_released'],
    ],
    [
      'the decider, when the hold is over, released or not',
      async () => {
        const id = await held()
        t.clock.advance(10_000)
        return id
      },
      () => t.reviewer.token,
      [409, 'consultation.already_released'],
    ],
  ] as const) {
    test(`by ${who}: ${expected.join(' ')}, and nothing changes`, async () => {
      const id = await prepare()
      const before = await read(id, t.admin.token)
      const reply = await undo(id, as())
      assert.equal(reply.status, expected[0], reply.text)
      if (expected[0] === 409 || who === 'somebody else') assert.equal(reply.body.code, expected[1])
      assert.deepEqual(await read(id, t.admin.token), before)
    })
  }

  test('a repeated answer never decides again: while held the same reply, once taken back 409', async () => {
    const { id } = await t.createRequest({ hold_seconds: 10 })
    const key = { 'idempotency-key': 'an-answer' }
    const first = await respond(id, {}, t.reviewer.token, key)
    const again = await respond(id, {}, t.reviewer.token, key)
    assert.deepEqual([again.headers['idempotency-replayed'], again.body], ['true', first.body])
    assert.equal((await undo(id)).status, 200)
    assert.deepEqual(told(await respond(id, {}, t.reviewer.token, key)), [409, 'consultation.taken_back'])
    assert.equal((await read(id, t.admin.token)).response, null)
  })

  test('of undo, release and the agent that withdraws, 300 times at once, exactly one wins', async () => {
    const won = new Map<string, number>()
    for (let wave = 0; wave < 15; wave += 1) {
      const ids = await Promise.all(Array.from({ length: 20 }, () => held()))
      t.clock.advance(9_999)
      // The hold ends before any call, or when the first decision is taken back or the first request withdrawn.
      if (wave % 5 === 0) t.clock.advance(1)
      const acts = ids.flatMap((id, place) => [
        undo(id),
        ...(place % 3 === 0 ? [t.call('POST', path(id, '/cancel'), { as: t.apiKey })] : []),
      ])
      await Promise.race(acts)
      if (wave % 5 > 0) t.clock.advance(1)
      await Promise.all([sweep(), sweep(), ...acts])
      await sweep()
      for (const id of ids) {
        const seen = await read(id, t.admin.token)
        const kinds = (await kindsOf(id)).filter((kind) => !['request.created', 'request.responded'].includes(kind))
        const outcome = kinds.join()
        const expected: Readonly<Record<string, unknown>> = {
          'request.undone': ['pending', undefined],
          'request.released': ['responded', 'approve'],
          'request.cancelled': ['cancelled', undefined],
          'request.undone,request.cancelled': ['cancelled', undefined],
        }
        assert.deepEqual([seen.state, seen.response?.decision], expected[outcome], outcome)
        won.set(outcome, (won.get(outcome) ?? 0) + 1)
      }
    }
    // Otherwise there was no race.
    for (const kind of ['request.undone', 'request.released']) assert.ok((won.get(kind) ?? 0) > 0, kind)
  })
})

describe('outcome', () => {
  const report = (id: string, body: unknown, as = t.apiKey) => t.call('POST', path(id, '/outcome'), { as, body })
  const decided = async (decision = 'approve') => {
    const { id } = await t.createRequest()
    await respond(id, { decision })
    return id
  }

  for (const status of ['executed', 'failed', 'unknown']) {
    test(`${status}: the request is completed, and people see what the agent said`, async () => {
      const id = await decided()
      const reply = await t.call('POST', path(id, '/outcome'), {
        as: t.apiKey,
        payload: `{"status":"${status}","detail":"Three of them.","data":{"n":3.10}}`,
        headers: { 'content-type': 'application/json' },
      })
      assert.deepEqual([reply.status, reply.body.state], [200, 'completed'], reply.text)
      const seen = await t.call('GET', path(id), { as: t.reviewer.token })
      assert.deepEqual(seen.body.outcome, {
        status,
        detail: 'Three of them.',
        data: { n: 3.1 },
        reported_at: reply.body.updated_at,
      })
      assert.ok(seen.text.includes('{"n":3.10}'))
      const [event] = (await recordedEvents(t.sql, { subject: id, kinds: ['request.completed'] })).slice(-1)
      assert.equal((event?.after as { outcome: string } | undefined)?.outcome, status)
    })
  }

  test('once: the same call again gets the same reply, another one 409', async () => {
    const id = await decided()
    const first = await report(id, { status: 'executed' })
    assert.deepEqual((await report(id, { status: 'executed' })).body, first.body)
    assert.deepEqual(told(await report(id, { status: 'failed' })), [409, 'consultation.already_completed'])
    assert.deepEqual((await kindsOf(id)).filter((kind) => kind === 'request.completed').length, 1)
  })

  test('an approval that was carried out cannot be used any more', async () => {
    const id = await decided()
    await report(id, { status: 'executed' })
    const reply = await t.call('POST', path(id, '/redeem'), { as: t.apiKey })
    assert.deepEqual(told(reply), [409, 'consultation.already_completed'])
  })

  test('the callback of a completed request still arrives, and the state stays', async (c) => {
    const receiver = await receiverFor(c)
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    await respond(id)
    await report(id, { status: 'executed' })
    await t.app.drain()
    const seen = await read(id)
    assert.deepEqual([seen.state, seen.callback.status, receiver.requests.length], ['completed', 'sent', 1])
  })

  test('reported while callbacks are recorded, 120 times at once: totals and lists agree with the rows', async (c) => {
    const receiver = await receiverFor(c)
    const seen = new Map<unknown, number>()
    const ids = await Promise.all(
      Array.from({ length: 120 }, async () => (await t.createRequest({ callback_webhook: receiver.url })).id),
    )
    await Promise.all(
      ids.map(async (id) => {
        await respond(id)
        const reply = await report(id, { status: 'executed' })
        assert.equal(reply.status, 200, reply.text)
        const [event] = await recordedEvents(t.sql, { subject: id, kinds: ['request.completed'] })
        const before = (event?.before as { state: string } | undefined)?.state
        seen.set(before, (seen.get(before) ?? 0) + 1)
      }),
    )
    await t.app.drain()
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(totals, counts)
    for (const state of ['responded', 'callback_sent', 'callback_failed', 'completed']) {
      const filter = `/api/v1/requests?state=${state}&limit=100`
      const listed = [
        filter,
        `${filter}&updated_after=2020-01-01T00:00:00Z`,
        `${filter}&created_after=2020-01-01T00:00:00Z`,
      ]
      for (const list of listed) {
        const { items } = (await t.call('GET', list, { as: t.apiKey })).body
        const found = items.filter(({ id }: { id: string }) => ids.includes(id)).length
        assert.equal(found > 0, state === 'completed', `${list}: ${found}`)
      }
    }
    c.diagnostic(`completed when ${JSON.stringify([...seen])}`)
  })

  for (const [when, prepare] of [
    ['pending', async () => (await t.createRequest()).id],
    ['held back', () => held()],
    [
      'cancelled',
      async () => (await t.call('POST', path((await t.createRequest()).id, '/cancel'), { as: t.apiKey })).body.id,
    ],
    ['asked to be changed', () => decided('request_changes')],
  ] as const) {
    test(`of a request that is ${when}: 409 consultation.nothing_to_report`, async () => {
      const id = await prepare()
      assert.deepEqual(told(await report(id, { status: 'executed' })), [409, 'consultation.nothing_to_report'])
    })
  }

  for (const [what, body, field] of [
    ['no status', {}, 'status'],
    ['another status', { status: 'done' }, 'status'],
    ['data that is no object', { status: 'executed', data: [1] }, 'data'],
    ['data above 16 KiB', { status: 'executed', data: { text: 'x'.repeat(16_384) } }, 'data'],
    ['a detail above 20 000', { status: 'executed', detail: 'x'.repeat(20_001) }, 'detail'],
  ] as const) {
    test(`${what}: 422 naming ${field}, and nothing changes`, async () => {
      const id = await decided()
      const reply = await report(id, body)
      assert.deepEqual([reply.status, reply.body.errors[0].path], [422, field])
      assert.equal((await read(id)).state, 'responded')
    })
  }

  test('by a person, or by another agent: 403 and 404', async () => {
    const id = await decided()
    assert.equal((await report(id, { status: 'executed' }, t.reviewer.token)).status, 403)
  })
})
