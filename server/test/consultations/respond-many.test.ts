import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization } from '../people-and-keys.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const answers = (list: readonly object[], options: { as?: string; headers?: Record<string, string> } = {}) =>
  t.call('POST', '/api/v1/requests/respond', {
    as: t.reviewer.token,
    body: { answers: list.map((one) => ({ revision: 1, decision: 'approve', ...one })) },
    ...options,
  })
const outcomes = ({ body }: Awaited<ReturnType<typeof answers>>) =>
  body.items.map(({ id, status, request, problem }: { [name: string]: { code: string; state: string } }) => [
    id,
    status,
    request?.state ?? problem?.code,
  ])
const low = (fields = {}) => t.createRequest({ risk: 'low', ...fields })
const stateOf = async (id: string) => (await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body.state

describe('answers to many requests', () => {
  test('each is an act of its own, in the order of the body: a refused one does not keep the others back', async () => {
    const [first, closed, stale, last] = [await low(), await low(), await low(), await low()]
    await t.call('POST', `/api/v1/requests/${closed.id}/cancel`, { as: t.apiKey })
    const reply = await answers([
      { id: first.id },
      { id: closed.id },
      { id: stale.id, revision: 2 },
      { id: t.admin.id },
      { id: last.id.toUpperCase(), decision: 'reject', comment: 'No' },
      { id: 'nonsense' },
    ])
    assert.equal(reply.status, 200, reply.text)
    assert.deepEqual(outcomes(reply), [
      [first.id, 200, 'responded'],
      [closed.id, 409, 'consultation.already_cancelled'],
      [stale.id, 412, 'consultation.revision_changed'],
      [t.admin.id, 404, 'consultation.not_found'],
      [last.id, 200, 'responded'],
      ['nonsense', 404, 'consultation.not_found'],
    ])
    const shown = await t.call('GET', `/api/v1/requests/${first.id}`, { as: t.reviewer.token })
    assert.deepEqual(reply.body.items[0].request, shown.body)
    assert.equal(await stateOf(stale.id), 'pending')
    const events = await t.sql(
      `select count(*)::int from events where kind = 'request.responded' and subject_id = any($1)`,
      [[first.id, last.id]],
    )
    assert.deepEqual(events, [{ count: 2 }])
  })

  test('an answer is checked against what its own request asks for', async () => {
    const [form, plain] = [
      await low({
        answer: { decisions: [], form: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } },
      }),
      await low(),
    ]
    const values = { decision: null, data: { n: 1.0 } }
    const reply = await answers([
      { id: form.id, ...values, data: { n: 'one' } },
      { id: plain.id, ...values },
    ])
    assert.deepEqual(
      reply.body.items.map(({ problem }: { problem: { code: string } }) => problem.code),
      ['request.invalid', 'request.invalid'],
    )
    const again = await answers([{ id: form.id, ...values }])
    assert.deepEqual(again.body.items[0].request.response.data, { n: 1 })
  })

  test('to another question than was asked: refused, recorded and logged as by `respond`', async () => {
    const [shown, other, asked] = [await low(), await low(), await low()]
    const digest = 'a'.repeat(64)
    const alone = await t.call('POST', `/api/v1/requests/${shown.id}/respond`, {
      as: t.reviewer.token,
      body: { decision: 'approve', digest },
    })
    const reply = await answers([
      { id: other.id, digest },
      { id: asked.id, digest: asked.digest },
    ])
    assert.deepEqual(outcomes(reply), [
      [other.id, 409, 'consultation.other_question_shown'],
      [asked.id, 200, 'responded'],
    ])
    const { request_id: _, digest: of, ...problem } = reply.body.items[0].problem
    assert.equal(of, other.digest)
    const { request_id: __, digest: ___, ...expected } = alone.body
    assert.deepEqual(problem, expected)
    for (const { id } of [shown, other]) {
      assert.equal(await stateOf(id), 'pending')
      const told = await t.sql(`select kind from events where subject_id = $1 and kind = 'request.contradicted'`, [id])
      assert.equal(told.length, 1)
    }
    // Closed is closed, whatever was shown.
    await t.call('POST', `/api/v1/requests/${other.id}/cancel`, { as: t.apiKey })
    assert.deepEqual(outcomes(await answers([{ id: other.id, digest }])), [
      [other.id, 409, 'consultation.already_cancelled'],
    ])
  })

  test('of medium risk to different questions, as they were shown: none of them', async () => {
    const same = [await t.createRequest({ risk: 'medium' }), await t.createRequest({ risk: 'medium' })]
    const reply = await answers(same.map(({ id }, place) => ({ id, ...(place > 0 && { digest: 'a'.repeat(64) }) })))
    assert.deepEqual(
      outcomes(reply),
      same.map(({ id }) => [id, 403, 'consultation.not_identical']),
    )
  })

  test('medium risk only where all of it is identical: the same agent, the same digest', async () => {
    const ask = (title: string) =>
      t.createRequest({ title, risk: 'medium', action: { name: 'issue.label', args: { n: 1 } } })
    const same = [await ask('Label it?'), await ask('Label it?')]
    const other = await ask('Label another?')
    const lowRisk = await low()
    const mixed = await answers([...same, other, lowRisk].map(({ id }) => ({ id })))
    assert.deepEqual(outcomes(mixed), [
      ...[...same, other].map(({ id }) => [id, 403, 'consultation.not_identical']),
      [lowRisk.id, 200, 'responded'],
    ])
    assert.equal(await stateOf(other.id), 'pending')
    assert.deepEqual(
      outcomes(await answers(same.map(({ id }) => ({ id })))),
      same.map(({ id }) => [id, 200, 'responded']),
    )
    // Word for word the same, from another agent.
    const key = await addApiKey(t)
    const body = { title: 'Label another?', context: {}, action: { name: 'issue.label', args: { n: 1 } } }
    const theirs = (await t.call('POST', '/api/v1/requests', { as: key.raw, body })).body
    assert.equal(theirs.digest, other.digest)
    assert.deepEqual(outcomes(await answers([{ id: other.id }, { id: theirs.id }])), [
      [other.id, 403, 'consultation.not_identical'],
      [theirs.id, 403, 'consultation.not_identical'],
    ])
  })

  test('high and critical risk never, also alone and confirmed', async () => {
    for (const risk of ['high', 'critical']) {
      const { id, title } = await t.createRequest({ risk })
      const confirmation = { acknowledged: true, typed: title }
      const reply = await answers([{ id, confirmation }])
      assert.deepEqual(outcomes(reply), [[id, 403, 'consultation.not_in_bulk']])
      assert.equal(reply.body.items[0].problem.risk, risk)
    }
  })

  test("404 for each that is another organization's", async () => {
    const own = await low()
    const { reviewer } = await addOrganization(t)
    assert.deepEqual(outcomes(await answers([{ id: own.id }], { as: reviewer.token })), [
      [own.id, 404, 'consultation.not_found'],
    ])
    assert.equal(await stateOf(own.id), 'pending')
  })

  test('422 for one that is there twice, without a revision, none, or more than 200; nothing is answered', async () => {
    const { id } = await low()
    const twice = await answers([{ id }, { id: id.toUpperCase() }])
    assert.deepEqual([twice.status, twice.body.errors[0].path], [422, 'answers.1.id'])
    const unread = await answers([{ id, revision: undefined }])
    assert.deepEqual([unread.status, unread.body.errors[0].path], [422, 'answers.0.revision'])
    assert.equal((await answers([])).status, 422)
    assert.equal((await answers(Array.from({ length: 201 }, () => ({ id })))).status, 422)
    assert.equal(await stateOf(id), 'pending')
  })

  test('a repetition with the same Idempotency-Key gets the same reply', async () => {
    const { id } = await low()
    const headers = { 'idempotency-key': 'many-1' }
    const first = await answers([{ id }], { headers })
    const again = await answers([{ id }], { headers })
    assert.equal(again.headers['idempotency-replayed'], 'true')
    assert.equal(again.text, first.text)
    assert.equal((await answers([{ id, decision: 'reject' }], { headers })).status, 422)
  })

  test('200 at once; what is large is left out of the reply, as in a list', async () => {
    const requests = Array.from({ length: 200 }, () => ({
      title: 'May I?',
      context: { text: 'x'.repeat(4_200) },
      risk: 'low',
    }))
    const made = await t.call('POST', '/api/v1/requests/batch', { as: t.apiKey, body: { requests } })
    const reply = await answers(made.body.items.map(({ id }: { id: string }) => ({ id, hold_seconds: 5 })))
    assert.equal(reply.status, 200)
    for (const { status, request } of reply.body.items) {
      assert.equal(status, 200)
      assert.deepEqual([request.context, request.context_truncated], [{}, true])
      assert.ok(request.held_until)
    }
  })
})
