import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { mostRevisions } from '../../src/consultations/revision.ts'
import { formWith } from '../authorization/operations.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addApiKey } from '../people-and-keys.ts'
import { receiverFor } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'
import { totalsAndCounts } from './table-contents.ts'

let t: TestApp
before(async () => {
  // The fake clock moves by hours.
  t = await startTestApp({ environment: { ACCESS_TOKEN_EXPIRE_MINUTES: '1440', STEP_UP_FRESH_MINUTES: '1440' } })
})
after(() => t.stop())

const path = (id: string, act = '') => `/api/v1/requests/${id}${act}`
const read = async (id: string, as = t.apiKey) => (await t.call('GET', path(id), { as })).body
const respond = (id: string, body: object = {}, headers = {}): Promise<Reply> =>
  t.call('POST', path(id, '/respond'), {
    as: t.reviewer.token,
    body: { decision: 'request_changes', ...body },
    headers,
  })
const revise = (id: string, body: object = {}, headers = {}, as = t.apiKey): Promise<Reply> =>
  t.call('POST', path(id, '/revisions'), { as, body: { title: 'And now?', context: { n: 2 }, ...body }, headers })
const revisions = async (id: string, as = t.apiKey, query = '') =>
  (await t.call('GET', path(id, `/revisions${query}`), { as })).body
const told = ({ status, body }: Reply) => [status, body.code]
const sweep = () => t.app.consultations.expireDue(100)

function done(reply: Reply) {
  assert.ok(reply.status < 300, reply.text)
  return reply.body
}

/** What the evidence pack finds wrong. */
async function failing(id: string): Promise<readonly unknown[]> {
  const { body } = await t.call('GET', path(id, '/evidence'), { as: t.admin.token })
  return body.checks.filter(({ result }: { result: string }) => result === 'fails')
}

describe('a revision', () => {
  test('is a whole new question under the same id: pending, with its own digest and time', async () => {
    const asked = await t.createRequest({
      description: 'long',
      metadata: { run: 1 },
      timeout_minutes: 10,
      risk: 'high',
      tags: ['a'],
      action: { name: 'x', args: { n: 1 } },
      hold_seconds: 5,
    })
    t.clock.advance(60_000)
    const reply = await revise(asked.id, { timeout_minutes: 30, priority: 'high' })
    assert.equal(reply.status, 201, reply.text)
    assert.equal(reply.headers.location, path(asked.id))
    const now = t.clock.now()
    assert.deepEqual(reply.body, {
      ...asked,
      title: 'And now?',
      description: null,
      context: { n: 2 },
      metadata: null,
      action: null,
      risk: 'medium',
      risk_proposed: 'medium',
      priority: 'high',
      tags: [],
      hold_seconds: 0,
      revision: 2,
      digest: reply.body.digest,
      timeout_at: new Date(now.getTime() + 1_800_000).toISOString(),
      revised_at: now.toISOString(),
      updated_at: now.toISOString(),
    })
    assert.notEqual(reply.body.digest, asked.digest)
    assert.deepEqual(await read(asked.id), reply.body)
    assert.deepEqual(await failing(asked.id), [])
  })

  test('after request_changes: pending again, approved, and the certificate is that of revision 2', async () => {
    const { id } = await t.createRequest()
    const changes = done(await respond(id, { comment: 'Say why.' }))
    assert.deepEqual((await read(id)).allowed_actions, ['revise'])
    done(await revise(id, { revision: 1 }))
    const open = await read(id, t.reviewer.token)
    assert.deepEqual([open.state, open.response, open.allowed_actions], ['pending', null, ['respond']])
    const approved = done(await respond(id, { decision: 'approve', revision: 2 }))
    assert.deepEqual([approved.response.revision, approved.response.decision], [2, 'approve'])
    const { body: certificate } = await t.call('GET', path(id, '/certificate'), { as: t.apiKey })
    assert.deepEqual([certificate.revision, certificate.digest], [2, approved.digest])
    const { items } = await revisions(id)
    assert.deepEqual(
      items.map(({ revision, response, digest }: Reply['body']) => [revision, response?.decision, digest]),
      [
        [2, 'approve', approved.digest],
        [1, 'request_changes', changes.digest],
      ],
    )
    assert.equal(items[1].response.comment, 'Say why.')
    const redeem = (digest: string) => t.call('POST', path(id, '/redeem'), { as: t.apiKey, body: { digest } })
    assert.deepEqual(told(await redeem(changes.digest)), [412, 'consultation.revision_superseded'])
    assert.deepEqual(told(await redeem('0'.repeat(64))), [412, 'consultation.digest_differs'])
    assert.equal((await redeem(approved.digest)).status, 200)
    assert.deepEqual(await failing(id), [])
  })

  test('an approval of what an earlier revision asked is refused while the new one is open, and says why', async () => {
    const { id, digest } = await t.createRequest()
    done(await revise(id))
    const reply = await t.call('POST', path(id, '/redeem'), { as: t.apiKey, body: { digest } })
    assert.deepEqual(
      [...told(reply), reply.body.revision, reply.body.current_revision],
      [412, 'consultation.revision_superseded', 1, 2],
    )
  })

  test('both are readable, with the patch from one to the other', async () => {
    const { id } = await t.createRequest({ context: { list: [1, 2, 3], same: true } })
    done(await revise(id, { title: 'May I?', context: { list: [1, 3], same: true }, description: 'new' }))
    for (const as of [t.apiKey, t.reviewer.token, t.admin.token]) {
      const { items, next_cursor } = await revisions(id, as)
      assert.equal(next_cursor, null)
      assert.deepEqual(
        items.map(({ revision, patch, patch_omitted, context }: Reply['body']) => [
          revision,
          patch,
          patch_omitted,
          context,
        ]),
        [
          [
            2,
            [
              { op: 'replace', path: '/description', value: 'new' },
              { op: 'remove', path: '/context/list/1' },
            ],
            false,
            { list: [1, 3], same: true },
          ],
          [1, null, false, { list: [1, 2, 3], same: true }],
        ],
      )
    }
  })

  test('what is too large to compare is told, and each page is bounded', async () => {
    const large = (letter: string) => ({ text: letter.repeat(600_000) })
    const { id } = await t.createRequest({ context: large('a') })
    for (const letter of ['b', 'c', 'd']) done(await revise(id, { context: large(letter) }))
    const seen: unknown[] = []
    let query = ''
    for (;;) {
      const { items, next_cursor } = await revisions(id, t.apiKey, query)
      assert.ok(items.length <= 2, String(items.length))
      seen.push(...items.map((one: Reply['body']) => [one.revision, one.patch, one.patch_omitted, one.context.text[0]]))
      if (next_cursor === null) break
      query = `?cursor=${next_cursor}`
    }
    assert.deepEqual(seen, [
      [4, null, true, 'd'],
      [3, null, true, 'c'],
      [2, null, true, 'b'],
      [1, null, false, 'a'],
    ])
  })

  test('pages go on where they ended, whatever their size', async () => {
    const { id } = await t.createRequest()
    for (let n = 2; n <= 6; n += 1) done(await revise(id, { context: { n } }))
    for (const limit of [1, 2, 4, 5, 20]) {
      const seen: number[] = []
      let query = `?limit=${limit}`
      for (;;) {
        const { items, next_cursor } = await revisions(id, t.apiKey, query)
        assert.ok(items.length <= limit)
        for (const { revision, patch } of items) {
          seen.push(revision)
          assert.equal(patch === null, revision === 1)
        }
        if (next_cursor === null) break
        query = `?limit=${limit}&cursor=${next_cursor}`
      }
      assert.deepEqual(seen, [6, 5, 4, 3, 2, 1], `by ${limit}`)
    }
  })

  test(`there are at most ${mostRevisions}`, async () => {
    const { id } = await t.createRequest()
    for (let n = 2; n <= mostRevisions; n += 1) done(await revise(id))
    assert.deepEqual((await read(id)).allowed_actions, ['cancel'])
    assert.deepEqual(told(await revise(id)), [409, 'consultation.too_many_revisions'])
    assert.equal((await read(id)).revision, mostRevisions)
  })

  test('is refused where it would be no valid request, and changes nothing', async () => {
    const { id } = await t.createRequest()
    for (const body of [{ title: '' }, { context: 1 }, { answer: { form: { type: 'string' } } }, { revision: 0 }]) {
      assert.equal((await revise(id, body)).status, 422)
    }
    assert.equal((await read(id)).revision, 1)
  })

  test('keeps its own key, which a callback is signed with', async (c) => {
    const receiver = await receiverFor(c)
    const { id } = await t.createRequest()
    done(
      await revise(id, { callback_webhook: receiver.url, callback_secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }),
    )
    done(await respond(id, { decision: 'approve' }))
    await t.app.drain()
    assert.equal((await read(id)).state, 'callback_sent')
    assert.ok(receiver.requests[0]?.headers['webhook-signature'])
  })
})

describe('who may revise, and when', () => {
  test('only the agent that asked, with any of its keys that may ask', async () => {
    const { id } = await t.createRequest()
    const other = await addApiKey(t)
    assert.deepEqual(told(await revise(id, {}, {}, other.raw)), [404, 'consultation.not_found'])
    assert.equal((await t.call('GET', path(id, '/revisions'), { as: other.raw })).status, 404)
    assert.equal((await revise(id, {}, {}, t.admin.token)).status, 403)
    assert.equal((await read(id)).revision, 1)
  })

  test('not while the agent is paused', async () => {
    const { raw: key, agentId } = await addApiKey(t)
    const made = await t.call('POST', '/api/v1/requests', { as: key, body: { title: 'x', context: {} } })
    const { id } = done(made)
    const pause = { as: t.admin.token, body: { reason: 'a test' } }
    done(await t.call('POST', `/api/v1/agents/${agentId}/pause`, pause))
    assert.deepEqual(told(await revise(id, {}, {}, key)), [403, 'agent.paused'])
    assert.equal((await read(id, t.admin.token)).revision, 1)
  })

  for (const [what, close, code] of [
    ['approved', (id: string) => respond(id, { decision: 'approve' }), 'consultation.already_responded'],
    ['rejected', (id: string) => respond(id, { decision: 'reject' }), 'consultation.already_responded'],
    [
      'cancelled',
      (id: string) => t.call('POST', path(id, '/cancel'), { as: t.apiKey }),
      'consultation.already_cancelled',
    ],
  ] as const) {
    test(`not what is ${what}: 409 that says who won, and when`, async () => {
      const { id } = await t.createRequest()
      const closed = done(await close(id))
      const reply = await revise(id)
      assert.deepEqual(
        [...told(reply), reply.body.responded_by, reply.body.closed_at],
        [409, code, closed.responded_by, closed.responded_at ?? closed.updated_at],
      )
      assert.deepEqual((await revisions(id)).items.length, 1)
    })
  }

  test('not what has timed out, swept or not', async () => {
    const { id } = await t.createRequest({ timeout_minutes: 1 })
    t.clock.advance(60_000)
    assert.deepEqual(told(await revise(id)), [409, 'consultation.already_timeout'])
    await sweep()
    assert.deepEqual(told(await revise(id)), [409, 'consultation.already_timeout'])
  })

  test('not what was used, or whose outcome is known', async () => {
    const { id } = await t.createRequest()
    done(await respond(id, { decision: 'approve' }))
    done(await t.call('POST', path(id, '/redeem'), { as: t.apiKey }))
    assert.deepEqual(told(await revise(id)), [409, 'consultation.already_responded'])
    done(await t.call('POST', path(id, '/outcome'), { as: t.apiKey, body: { status: 'executed' } }))
    assert.deepEqual(told(await revise(id)), [409, 'consultation.already_responded'])
  })

  test('two programs of one agent do not revise the same revision: the second gets 412', async () => {
    const { id } = await t.createRequest()
    const replies = await Promise.all([revise(id, { revision: 1 }), revise(id, { revision: 1 })])
    assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 412])
    assert.equal((await read(id)).revision, 2)
  })

  test('a repeated call with its Idempotency-Key is one revision', async () => {
    const { id } = await t.createRequest()
    const key = { 'idempotency-key': 'again' }
    const first = await revise(id, {}, key)
    done(await revise(id))
    const again = await revise(id, {}, key)
    assert.deepEqual([again.status, again.text], [201, first.text])
    assert.equal((await read(id)).revision, 3)
  })
})

describe('what an earlier revision had', () => {
  test('a decision on it is refused with 412, and never applied', async () => {
    const { id, digest } = await t.createRequest()
    done(await revise(id))
    assert.deepEqual(told(await respond(id, { revision: 1 })), [412, 'consultation.revision_changed'])
    assert.deepEqual(told(await respond(id, { digest })), [412, 'consultation.revision_changed'])
    assert.deepEqual(told(await respond(id, { digest, revision: 1 })), [412, 'consultation.revision_changed'])
    const alarms = await t.sql(`select 1 from events where kind = 'request.contradicted' and subject_id = $1`, [id])
    assert.deepEqual(alarms, [])
    assert.deepEqual(told(await respond(id, { digest: '0'.repeat(64) })), [409, 'consultation.other_question_shown'])
    assert.equal((await read(id)).state, 'pending')
  })

  test('an answer whose reply was lost does not answer the new one when it is repeated', async () => {
    const { id } = await t.createRequest()
    const key = { 'idempotency-key': 'lost' }
    done(await respond(id, {}, key))
    done(await revise(id))
    assert.deepEqual(told(await respond(id, {}, key)), [412, 'consultation.revision_changed'])
    assert.equal((await read(id)).state, 'pending')
  })

  test('the call that asked first, repeated, gets its own reply', async () => {
    const body = {
      title: 'First',
      context: { n: 1 },
      description: 'd',
      tags: ['a'],
      callback_webhook: 'https://a.example.com/',
    }
    const ask = () =>
      t.call('POST', '/api/v1/requests', { as: t.apiKey, body, headers: { 'idempotency-key': 'first-of-two' } })
    const first = await ask()
    done(await revise(first.body.id))
    assert.equal((await ask()).text, first.text)
    const many = () =>
      t.call('POST', '/api/v1/requests/batch', {
        as: t.apiKey,
        body: { requests: [body, { title: 'Second', context: {} }] },
        headers: { 'idempotency-key': 'many-of-two' },
      })
    const made = await many()
    done(await revise(made.body.items[1].id))
    assert.equal((await many()).text, made.text)
  })

  test('a decision that is held back becomes void, and stays in the ledger; its agent never learns of it', async () => {
    const { id } = await t.createRequest({ hold_seconds: 30 })
    done(await respond(id, { decision: 'approve', comment: 'secret' }))
    const reply = await revise(id)
    assert.equal(reply.status, 201, reply.text)
    t.clock.advance(30_000)
    await sweep()
    assert.deepEqual([(await read(id)).state, (await read(id, t.admin.token)).response], ['pending', null])
    const [row] = await t.sql('select decision, voided_at, revision from consultation_answers where request_id = $1', [
      id,
    ])
    assert.deepEqual([row?.decision, row?.voided_at === null, row?.revision], ['approve', false, 1])
    const forAgent = await t.call('GET', path(id, '/revisions'), { as: t.apiKey })
    assert.equal(forAgent.text.includes('secret'), false)
    assert.deepEqual([forAgent.body.items[1].response, forAgent.body.items[1].decided_by], [null, null])
    const [, first] = (await revisions(id, t.admin.token)).items
    assert.deepEqual([first.response.decision, first.response.comment], ['approve', 'secret'])
    assert.ok(first.response.voided_at)
    assert.equal((await t.call('POST', path(id, '/undo'), { as: t.reviewer.token })).status, 409)
    assert.deepEqual(await failing(id), [])
    done(await respond(id, { decision: 'approve' }))
  })

  test('a callback that was not received is not sent any more, and never decides what the new one shows', async (c) => {
    const receiver = await receiverFor(c)
    receiver.behave({ status: 500 })
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    done(await respond(id))
    await t.app.drain()
    assert.deepEqual([receiver.requests.length, (await read(id)).callback.status], [1, 'delivering'])
    done(await revise(id, { callback_webhook: receiver.url }))
    const open = await read(id)
    assert.deepEqual([open.state, open.callback.status, open.callback.attempts], ['pending', 'none', 0])
    receiver.behave({ status: 200 })
    t.clock.advance(3_600_000)
    await t.app.drain()
    assert.equal(receiver.requests.length, 1)
    done(await respond(id, { decision: 'approve' }))
    await t.app.drain()
    assert.deepEqual(
      receiver.requests.map(({ body }) => JSON.parse(String(body)).revision),
      [1, 2],
    )
    assert.equal((await read(id)).state, 'callback_sent')
    // What is sent again is the callback of what is asked now.
    done(await t.call('POST', path(id, '/redeliver'), { as: t.apiKey }))
    await t.app.drain()
    assert.deepEqual(
      receiver.requests.map(({ body }) => JSON.parse(String(body)).revision),
      [1, 2, 2],
    )
    const { items } = (await t.call('GET', '/api/v1/callbacks?limit=2', { as: t.admin.token })).body
    assert.deepEqual(
      items.map(({ status, last_error }: Reply['body']) => [status, last_error]),
      [
        ['sent', null],
        ['withdrawn', 'The agent has revised its request, so this callback is not sent any more.'],
      ],
    )
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(totals, counts)
  })

  test('an attempt that is under way when the agent revises settles nothing', async (c) => {
    const receiver = await receiverFor(c)
    const replying = Promise.withResolvers<() => void>()
    receiver.behave((response) => replying.resolve(() => response.writeHead(200).end()))
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    done(await respond(id))
    const reply = await replying.promise
    done(await revise(id))
    reply()
    await t.app.drain()
    assert.deepEqual([(await read(id)).state, (await read(id)).callback.status], ['pending', 'none'])
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(totals, counts)
  })

  test('its files stay with the request, and are a part of the new digest', async () => {
    const { id } = await t.createRequest()
    const file = done(await t.call('POST', path(id, '/attachments'), { as: t.apiKey, body: formWith() }))
    const { digest } = await read(id)
    done(await respond(id))
    done(await revise(id))
    const added = await t.call('POST', path(id, '/attachments'), { as: t.apiKey, body: formWith('more') })
    const now = await read(id)
    assert.deepEqual(
      now.attachments.map(({ id: one }: { id: string }) => one),
      [file.id, done(added).id],
    )
    const [second, first] = (await revisions(id)).items
    assert.deepEqual([second.digest, first.digest], [now.digest, digest])
    assert.deepEqual([second.attachments.length, first.attachments.length], [2, 1])
    assert.deepEqual(await failing(id), [])
  })
})

for (const [what, edit] of [
  ['its texts were edited', `update consultation_revisions set title = 'x' where request_id = $1`],
  ['its digest was edited', `update consultation_revisions set digest = sha256('x') where request_id = $1`],
  ['it was removed', 'delete from consultation_revisions where request_id = $1'],
] as const) {
  test(`the evidence pack shows an earlier revision, and that ${what}`, async () => {
    const { id, digest } = await t.createRequest()
    done(await revise(id))
    const { body } = await t.call('GET', path(id, '/evidence'), { as: t.admin.token })
    assert.deepEqual(
      [body.revisions.map((one: Reply['body']) => [one.revision, one.digest]), body.revisions_left_out],
      [[[1, digest]], 0],
    )
    assert.deepEqual(await failing(id), [])
    await t.sql(edit, [id])
    const found = (await failing(id)) as readonly { readonly check: string }[]
    assert.deepEqual(
      found.map(({ check }) => check),
      ['revisions'],
    )
  })
}

test('the audit, lists, totals and validators tell of it', async () => {
  const asked = await t.createRequest()
  const { id } = asked
  const etag = (await t.call('GET', path(id), { as: t.apiKey })).headers.etag
  done(await respond(id))
  const revised = done(await revise(id))
  const fresh = await t.call('GET', path(id), { as: t.apiKey, headers: { 'if-none-match': String(etag) } })
  assert.equal(fresh.status, 200)
  const since = encodeURIComponent(asked.updated_at)
  const listed = await t.call('GET', `/api/v1/requests?state=pending&updated_after=${since}`, { as: t.apiKey })
  assert.ok(listed.body.items.some((item: { id: string; revision: number }) => item.id === id && item.revision === 2))
  const [event] = await recordedEvents(t.sql, { subject: id, kinds: ['request.revised'] })
  assert.deepEqual(
    [event?.actor.kind, event?.actor.id, event?.digest, event?.before, event?.after, event?.erasable.title],
    [
      'agent',
      asked.agent_id,
      revised.digest,
      { state: 'responded', revision: 1, digest: asked.digest },
      { state: 'pending', revision: 2, risk: 'medium', timeout_at: revised.timeout_at },
      'And now?',
    ],
  )
  const { totals, counts } = await totalsAndCounts(t)
  assert.deepEqual(totals, counts)
})

test('erasing a request empties its earlier revisions, and repeated calls say nothing of them', async () => {
  const { id } = await t.createRequest({ title: 'Private', context: { secret: 'private' }, description: 'private' })
  done(await respond(id, { comment: 'private' }))
  done(await revise(id, { title: 'Private again', context: { secret: 'private' } }))
  done(await t.call('POST', path(id, '/cancel'), { as: t.apiKey }))
  const body = { request_id: id, reason: 'a test' }
  done(await t.call('POST', '/api/v1/events/erasures', { as: t.admin.token, body }))
  const reply = await t.call('GET', path(id, '/revisions'), { as: t.admin.token })
  assert.equal(/private/i.test(reply.text), false, reply.text)
  assert.equal(reply.body.items.length, 2)
  for (const { title, erased_at } of reply.body.items) assert.deepEqual([title, erased_at === null], ['Erased', false])
  assert.deepEqual(await failing(id), [])
})

test('an erased request is not revised', async () => {
  const { id } = await t.createRequest()
  done(await respond(id))
  const body = { request_id: id, reason: 'a test' }
  done(await t.call('POST', '/api/v1/events/erasures', { as: t.admin.token, body }))
  assert.deepEqual((await read(id)).allowed_actions, [])
  assert.deepEqual(told(await revise(id)), [409, 'consultation.already_responded'])
})
