import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { callbackStatuses, type State, states } from '../../src/consultations/consultation.ts'
import { newId } from '../../src/platform/ids.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'
import { putInto, tableContents } from './table-contents.ts'

let t: TestApp
let callers: Readonly<Record<string, string | null>>
before(async () => {
  t = await startTestApp()
  const elsewhere = await addOrganization(t)
  callers = {
    nobody: null,
    'its own key': t.apiKey,
    'another key': (await addApiKey(t)).raw,
    'a reviewer': t.reviewer.token,
    'an admin': t.admin.token,
    "another organization's key": elsewhere.apiKey.raw,
    "another organization's reviewer": elsewhere.reviewer.token,
    "another organization's admin": elsewhere.admin.token,
  }
})
after(() => t.stop())

const pathOf = (id: string, act = ''): string => `/api/v1/requests/${id}${act === '' ? '' : `/${act}`}`
const respond = (id: string, body: unknown = { decision: 'approve' }) =>
  t.call('POST', pathOf(id, 'respond'), { as: t.reviewer.token, body })
const cancel = (id: string) => t.call('POST', pathOf(id, 'cancel'), { as: t.apiKey })

/** A request, decided where the state needs a decision, that SQL then puts into `state` behind the service's back. */
async function requestIn(state: State, callbackStatus: (typeof callbackStatuses)[number] = 'none'): Promise<string> {
  const { id } = await t.createRequest({ timeout_minutes: null })
  if (['responded', 'callback_sent', 'callback_failed', 'completed'].includes(state)) {
    const reply = await t.call('POST', pathOf(id, 'respond'), { as: t.admin.token, body: { decision: 'reject' } })
    assert.equal(reply.status, 200, reply.text)
  }
  await putInto(t, id, state, callbackStatus)
  return id
}

const acts = {
  read: ['GET', ''],
  respond: ['POST', 'respond'],
  cancel: ['POST', 'cancel'],
  redeliver: ['POST', 'redeliver'],
  deliveries: ['GET', 'deliveries'],
} as const
type Act = keyof typeof acts

/** What each caller gets: [for a pending request, in every other state]; for redeliver: [callback settled, otherwise]. */
const verdicts: Readonly<Record<string, Readonly<Record<Act, readonly [number, number]>>>> = {
  nobody: { read: [401, 401], respond: [401, 401], cancel: [401, 401], redeliver: [401, 401], deliveries: [401, 401] },
  'its own key': {
    read: [200, 200],
    respond: [403, 403],
    cancel: [200, 409],
    redeliver: [202, 409],
    deliveries: [200, 200],
  },
  'another key': {
    read: [404, 404],
    respond: [403, 403],
    cancel: [404, 404],
    redeliver: [404, 404],
    deliveries: [404, 404],
  },
  'a reviewer': {
    read: [200, 200],
    respond: [200, 409],
    cancel: [403, 403],
    redeliver: [202, 409],
    deliveries: [200, 200],
  },
  'an admin': {
    read: [200, 200],
    respond: [200, 409],
    cancel: [403, 403],
    redeliver: [202, 409],
    deliveries: [200, 200],
  },
  "another organization's key": {
    read: [404, 404],
    respond: [403, 403],
    cancel: [404, 404],
    redeliver: [404, 404],
    deliveries: [404, 404],
  },
  "another organization's reviewer": {
    read: [404, 404],
    respond: [404, 404],
    cancel: [403, 403],
    redeliver: [404, 404],
    deliveries: [404, 404],
  },
  "another organization's admin": {
    read: [404, 404],
    respond: [404, 404],
    cancel: [403, 403],
    redeliver: [404, 404],
    deliveries: [404, 404],
  },
}

describe('who may do what, in every state', () => {
  for (const [caller, byAct] of Object.entries(verdicts)) {
    for (const [act, [open, otherwise]] of Object.entries(byAct) as [Act, readonly [number, number]][]) {
      for (const state of states) {
        for (const callbackStatus of act === 'redeliver' ? callbackStatuses : (['none'] as const)) {
          // Without a callback it cannot say that one was sent or failed.
          if (act === 'redeliver' && callbackStatus === 'none' && /^callback_/.test(state)) continue
          const settled = callbackStatus === 'sent' || callbackStatus === 'failed'
          const expected = (act === 'redeliver' ? settled : state === 'pending') ? open : otherwise
          test(`${caller}: ${act} of a ${state} request (callback ${callbackStatus}): ${expected}`, async () => {
            const id = await requestIn(state, callbackStatus)
            const contents = expected >= 400 ? await tableContents(t) : null
            const [method, suffix] = acts[act]
            const as = callers[caller]
            const body = act === 'respond' ? { body: { decision: 'approve' } } : {}
            const reply = await t.call(method, pathOf(id, suffix), as == null ? body : { as, ...body })
            assert.equal(reply.status, expected, reply.text)
            if (contents !== null) assert.deepEqual(await tableContents(t), contents, 'a refusal changed something')
            if (expected === 404)
              assert.deepEqual([reply.body.code, reply.body.detail], ['consultation.not_found', 'Request not found'])
            if (expected === 409 && act !== 'redeliver') {
              const outcome = state === 'timeout' || state === 'cancelled' ? state : 'responded'
              assert.equal(reply.body.code, `consultation.already_${outcome}`)
              assert.equal(reply.body.detail, `Request is already ${state}, cannot ${act}`)
            }
          })
        }
      }
    }
  }
})

describe('respond', () => {
  for (const decision of ['approve', 'reject', 'request_changes']) {
    test(`200 for ${decision}; the reply, a later read and the list agree`, async () => {
      const { id } = await t.createRequest()
      t.clock.advance(1_000)
      const reply = await respond(id, { decision, comment: 'so be it' })
      assert.equal(reply.status, 200)
      const now = t.clock.now().toISOString()
      assert.deepEqual(reply.body.response, {
        decision,
        comment: 'so be it',
        choices: null,
        data: null,
        args: null,
        args_patch: null,
        attachments: null,
        responder_id: t.reviewer.id,
        responder: { id: t.reviewer.id, name: 'Robin Reviewer' },
        responded_at: now,
        revision: 1,
      })
      assert.deepEqual(
        [
          reply.body.state,
          reply.body.responded_by,
          reply.body.responded_at,
          reply.body.decided_by,
          reply.body.updated_at,
        ],
        ['responded', t.reviewer.id, now, 'human', now],
      )
      assert.deepEqual(reply.body.allowed_actions, [])
      const as = t.reviewer.token
      assert.equal((await t.call('GET', pathOf(id), { as })).text, reply.text)
      assert.deepEqual((await t.call('GET', '/api/v1/requests?limit=1', { as })).body.items, [reply.body])
    })
  }

  test('200 without a comment, and with null', async () => {
    for (const body of [
      { decision: 'reject' },
      { decision: 'reject', comment: null },
      { decision: 'reject', comment: '', revision: 1 },
    ]) {
      const { id } = await t.createRequest()
      const reply = await respond(id, body)
      assert.deepEqual([reply.status, reply.body.response.comment], [200, body.comment ?? null])
    }
  })

  test('200 for a comment of 10 000 astral characters, 422 for one more', async () => {
    const { id } = await t.createRequest()
    assert.equal((await respond(id, { decision: 'reject', comment: `${'\u{1F9ED}'.repeat(10_000)}x` })).status, 422)
    assert.equal((await respond(id, { decision: 'reject', comment: '\u{1F9ED}'.repeat(10_000) })).status, 200)
  })

  test('200 for the id in capitals and for a trailing slash', async () => {
    const { id } = await t.createRequest()
    const reply = await t.call('POST', `${pathOf(id.toUpperCase(), 'respond')}/`, {
      as: t.admin.token,
      body: { decision: 'reject' },
    })
    assert.deepEqual([reply.status, reply.body.id], [200, id])
  })

  test('409 consultation.already_responded for the second reviewer, naming who was first and when', async () => {
    const { id } = await t.createRequest()
    const won = await respond(id)
    t.clock.advance(5_000)
    const lost = await t.call('POST', pathOf(id, 'respond'), { as: t.admin.token, body: { decision: 'reject' } })
    const { request_id: _trace, ...problem } = lost.body
    assert.deepEqual(problem, {
      type: 'about:blank',
      title: 'Conflict',
      status: 409,
      code: 'consultation.already_responded',
      detail: 'Request is already responded, cannot respond',
      state: 'responded',
      decision: 'approve',
      responded_by: t.reviewer.id,
      responded_at: won.body.responded_at,
      closed_at: won.body.responded_at,
    })
    assert.equal((await t.call('GET', pathOf(id), { as: t.apiKey })).body.response.decision, 'approve')
  })

  test('412 for another revision, and nothing is decided', async () => {
    const { id } = await t.createRequest()
    const reply = await respond(id, { decision: 'approve', revision: 2 })
    assert.deepEqual([reply.status, reply.body.code], [412, 'consultation.revision_changed'])
    assert.equal((await t.call('GET', pathOf(id), { as: t.apiKey })).body.state, 'pending')
  })

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['no decision', {}, 'decision'],
    ['an unknown decision', { decision: 'maybe' }, 'decision'],
    ['a decision in capitals', { decision: 'APPROVE' }, 'decision'],
    ['a list of decisions', { decision: ['approve'] }, 'decision'],
    ['a number as comment', { decision: 'approve', comment: 1 }, 'comment'],
    ['revision 0', { decision: 'approve', revision: 0 }, 'revision'],
    ['revision "1"', { decision: 'approve', revision: '1' }, 'revision'],
    ['revision null', { decision: 'approve', revision: null }, 'revision'],
    ['a revision beyond integers', { decision: 'approve', revision: 2_147_483_648 }, 'revision'],
    ['a list as body', [], ''],
  ]
  for (const [what, body, field] of wrong) {
    test(`422 for ${what}`, async () => {
      const { id } = await t.createRequest()
      const contents = await tableContents(t)
      const reply = await respond(id, body)
      assert.deepEqual([reply.status, reply.body.errors?.[0]?.path], [422, field], reply.text)
      assert.deepEqual(await tableContents(t), contents)
    })
  }

  test('400 for a broken body, 415 for another kind of body, 413 for a large one', async () => {
    const { id } = await t.createRequest()
    const send = (payload: string, type: string) =>
      t.call('POST', pathOf(id, 'respond'), { as: t.reviewer.token, payload, headers: { 'content-type': type } })
    assert.equal((await send('{', 'application/json')).status, 400)
    assert.equal((await send('decision=approve', 'application/x-www-form-urlencoded')).status, 415)
    assert.equal((await send(`{"decision":"approve","x":"${'x'.repeat(1_048_576)}"}`, 'application/json')).status, 413)
    assert.equal((await respond(id)).status, 200)
  })

  test('writes exactly one event, with the person, the trace and what changed', async () => {
    const { id } = await t.createRequest()
    const headers = { 'x-request-id': 'trace-2' }
    await t.call('POST', pathOf(id, 'respond'), {
      as: t.reviewer.token,
      body: { decision: 'reject', comment: 'no' },
      headers,
    })
    const [created, ...events] = await recordedEvents(t.sql, { subject: id })
    assert.equal(created?.kind, 'request.created')
    const told = events.map(({ kind, actor, http_request_id, before, after, erasable }) => ({
      kind,
      actor: [actor.kind, actor.id],
      http_request_id,
      before,
      after,
      erasable,
    }))
    assert.deepEqual(told, [
      {
        kind: 'request.responded',
        actor: ['person', t.reviewer.id],
        http_request_id: 'trace-2',
        before: { state: 'pending' },
        after: { state: 'responded', revision: 1, decision: 'reject', role: 'reviewer' },
        erasable: { comment: 'no', network: '127.0.0.1' },
      },
    ])
  })
})

describe('cancel', () => {
  test('200: the request is cancelled, without a decision', async () => {
    const { id } = await t.createRequest()
    const { status, body } = await cancel(id)
    assert.deepEqual(
      [status, body.state, body.response, body.decided_by, body.allowed_actions],
      [200, 'cancelled', null, null, []],
    )
  })
  test('200 with a body that says nothing', async () => {
    for (const body of [{}, null]) {
      const { id } = await t.createRequest()
      assert.equal((await t.call('POST', pathOf(id, 'cancel'), { as: t.apiKey, body })).status, 200)
    }
  })
  test('400 for a body that is not JSON, 415 for another type, and the request is still pending', async () => {
    const { id } = await t.createRequest()
    const send = (payload: string, type: string) =>
      t.call('POST', pathOf(id, 'cancel'), { as: t.apiKey, payload, headers: { 'content-type': type } })
    assert.equal((await send('{', 'application/json')).status, 400)
    assert.equal((await send('x', 'text/plain')).status, 415)
    assert.equal((await t.call('GET', pathOf(id), { as: t.apiKey })).body.state, 'pending')
  })
})

describe('the callback of every outcome, and its redelivery', () => {
  const endings: readonly (readonly [string, State, string, (id: string) => Promise<unknown>])[] = [
    ['an answer', 'callback_sent', 'request.responded', respond],
    ['a cancellation', 'cancelled', 'request.cancelled', cancel],
    ['a timeout', 'timeout', 'request.timeout', async () => t.clock.advance(60_000)],
  ]
  for (const [what, state, event, end] of endings) {
    test(`${what}: ${event} is posted; redeliver posts the same bytes under the same webhook-id`, async () => {
      const receiver = await startReceiver()
      const { id } = await t.createRequest({ callback_webhook: receiver.url, callback_secret: 's', timeout_minutes: 1 })
      await end(id)
      await t.app.drain()
      const sent = await t.call('GET', pathOf(id), { as: t.apiKey })
      assert.deepEqual([sent.body.state, sent.body.callback.status, sent.body.callback.attempts], [state, 'sent', 1])
      assert.equal(sent.body.callback_sent_at, t.clock.now().toISOString())
      assert.deepEqual(
        sent.body.allowed_actions,
        what === 'an answer' ? ['redeliver', 'redeem', 'report_outcome'] : ['redeliver'],
      )

      const again = await t.call('POST', pathOf(id, 'redeliver'), { as: t.apiKey })
      assert.deepEqual([again.status, again.body.state], [202, state])
      assert.ok(['pending', 'sent'].includes(again.body.callback.status))
      await t.app.drain()
      const [first, second] = receiver.requests
      assert.ok(first && second && receiver.requests.length === 2)
      assert.deepEqual(second.body, first.body)
      assert.equal(second.headers['webhook-id'], first.headers['webhook-id'])
      assert.equal(JSON.parse(first.body.toString()).event, event)
      const deliveries = await t.call('GET', pathOf(id, 'deliveries'), { as: t.reviewer.token })
      assert.deepEqual(
        deliveries.body.items.map((one: Record<string, unknown>) => [
          one.attempt,
          one.succeeded,
          one.status_code,
          one.webhook_id,
        ]),
        [
          [2, true, 200, first.headers['webhook-id']],
          [1, true, 200, first.headers['webhook-id']],
        ],
      )
      await receiver.close()
    })
  }

  test('a receiver that fails every attempt: callback_failed; once it works, redeliver leads to callback_sent', async () => {
    const receiver = await startReceiver({ behaviour: { status: 500 } })
    const { id } = await t.createRequest({ callback_webhook: receiver.url, callback_retry_seconds: [] })
    await respond(id)
    await t.app.drain()
    const failed = await t.call('GET', pathOf(id), { as: t.apiKey })
    assert.deepEqual(
      [failed.body.state, failed.body.callback.status, failed.body.callback_sent_at],
      ['callback_failed', 'failed', null],
    )
    assert.match(failed.body.callback.last_error, /500/)
    receiver.behave({ status: 204 })
    assert.equal((await t.call('POST', pathOf(id, 'redeliver'), { as: t.reviewer.token })).status, 202)
    await t.app.drain()
    const sent = await t.call('GET', pathOf(id), { as: t.apiKey })
    assert.deepEqual(
      [sent.body.state, sent.body.callback.status, sent.body.callback.last_error],
      ['callback_sent', 'sent', null],
    )
    await receiver.close()
  })

  test('409 for a second redelivery while the first is due', async () => {
    const id = await requestIn('callback_failed', 'failed')
    const replies = await Promise.all([1, 2, 3].map(() => t.call('POST', pathOf(id, 'redeliver'), { as: t.apiKey })))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [202, 409, 409])
  })
})

describe('addresses', () => {
  const calls: readonly (readonly [string, string, () => string])[] = [
    ['GET', '', () => t.apiKey],
    ['POST', 'respond', () => t.reviewer.token],
    ['POST', 'cancel', () => t.apiKey],
    ['POST', 'redeliver', () => t.apiKey],
    ['GET', 'deliveries', () => t.reviewer.token],
  ]
  const at = (method: string, act: string, as: string, id: string): Promise<Reply> =>
    t.call(method, pathOf(id, act), { as, ...(act === 'respond' ? { body: { decision: 'approve' } } : {}) })

  for (const [method, act, as] of calls) {
    test(`${method} ${act || 'request'}: 404 for an id that does not exist`, async () => {
      for (const id of [newId(), '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']) {
        const reply = await at(method, act, as(), id)
        assert.deepEqual([reply.status, reply.body.detail], [404, 'Request not found'])
      }
    })
    test(`${method} ${act || 'request'}: 422 for an id that is not a UUID`, async () => {
      const { id } = await t.createRequest()
      const broken = [
        '1',
        'null',
        `${id}0`,
        id.slice(1),
        id.replaceAll('-', ''),
        `%7B${id}%7D`,
        `urn:uuid:${id}`,
        `${id}%00`,
        `${id}%0A`,
        "'%20or%201=1--",
      ]
      for (const wrong of broken) {
        const reply = await at(method, act, as(), wrong)
        assert.deepEqual(
          [reply.status, reply.body.code, reply.body.errors?.[0]],
          [422, 'request.invalid', { path: 'id', message: 'must be a UUID' }],
          wrong,
        )
      }
    })
  }
})

test('updated_at increases with every change, even if the clock stands still', async () => {
  const receiver = await startReceiver({ behaviour: { status: 500 } })
  const seen: string[] = []
  const note = async (): Promise<void> => {
    seen.push((await t.call('GET', pathOf(id), { as: t.apiKey })).body.updated_at)
  }
  const { id } = await t.createRequest({ callback_webhook: receiver.url, callback_retry_seconds: [] })
  await note()
  await respond(id)
  await t.app.drain()
  await note()
  for (let round = 0; round < 3; round += 1) {
    await t.call('POST', pathOf(id, 'redeliver'), { as: t.apiKey })
    await t.app.drain()
    await note()
  }
  assert.deepEqual([...new Set(seen)].sort(), seen, 'strictly rising')
  const polled = await t.call('GET', `/api/v1/requests?updated_after=${seen.at(-2)}`, { as: t.apiKey })
  assert.ok(
    polled.body.items.some((item: { id: string }) => item.id === id),
    'the change of the same millisecond is polled',
  )
  await receiver.close()
})
