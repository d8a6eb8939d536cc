import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { bodyAgain, isRedelivery, orderOf as orderOfChange } from '../../src/callbacks/order.ts'
import { callbackAttempted, owing, redeliver } from '../../src/consultations/callback-progress.ts'
import {
  type Certify,
  type Change,
  type Consultation,
  cancel,
  expire,
  open,
  type Proposal,
  respond,
} from '../../src/consultations/consultation.ts'
import { redeem } from '../../src/consultations/redemption.ts'
import type { Actor } from '../../src/facts/fact.ts'
import type { JsonText } from '../../src/platform/json.ts'
import { coreQuestion } from '../consultations/core-question.ts'
import { openedCertificate } from '../consultations/opened-certificate.ts'

const owner = {
  organizationId: '01890f3e-0000-7000-8000-000000000001',
  agentId: '01890f3e-0000-7000-8000-000000000006',
  apiKeyId: '01890f3e-0000-7000-8000-000000000002',
}
const id = '01890f3e-0000-7000-8000-000000000003'
const reviewerId = '01890f3e-0000-7000-8000-000000000004'
const reviewer = { userId: reviewerId, role: 'reviewer' }
const at = (ms: number): Date => new Date(Date.parse('2026-01-31T09:00:00.000Z') + ms)
const hour = 3_600_000
const url = 'https://agent.example.com/hitl'
const agent: Actor = { kind: 'agent', id: owner.agentId, keyId: owner.apiKeyId }
const approve = { decision: 'approve', comment: 'fine' } as const
/** SHA-256 of {"context":{"a":1},"description":"In short.","title":"May I?"}. */
const digest = '3057d82b9a96a10af4571d3de4d8dfa63f2b32060f37525af45067d87b360dfc'
const certify: Certify = () => ({ certificate: 'h.p.s', certificateExpiresAt: at(24 * hour) })

function opened(fields: Partial<Proposal> = {}): Consultation {
  const proposal: Proposal = {
    title: 'May I?',
    description: 'In short.',
    context: '{"a":1.0}' as JsonText,
    metadata: '{ "run" : 1E5 }' as JsonText,
    timeoutMinutes: 60,
    callbackUrl: url,
    callbackSecret: Buffer.from('sealed'),
    ...coreQuestion,
    callbackRetrySeconds: [1, 2],
    callbackEvents: null,
    traceparent: null,
    holdSeconds: 0,
    ...fields,
  }
  return open(proposal, owner, id, at(0)).after
}

const callbackId = '01890f3e-0000-7000-8000-000000000007'
/** As the service saves a change: with the id of the callback that it owes. */
const orderOf = (change: Change) => orderOfChange(owing(change, () => callbackId))

const closings = [
  ['respond', (before: Consultation) => respond(before, reviewer, approve, at(5), certify), 'request.responded'],
  ['cancel', (before: Consultation) => cancel(before, agent, at(5)), 'request.cancelled'],
  ['expire', (before: Consultation) => expire(before, at(hour)) as Change, 'request.timeout'],
] as const

describe('the callback that the closing commit orders', () => {
  for (const [name, act, event] of closings) {
    test(`${name} orders ${event} with the URL, sealed secret and schedule of the request`, () => {
      const order = orderOf(act(opened()))
      assert.equal(JSON.parse(order?.body ?? '').event, event)
      assert.deepEqual(
        [order?.organizationId, order?.id, order?.requestId, order?.url, order?.secret, order?.retrySeconds],
        [owner.organizationId, callbackId, id, url, Buffer.from('sealed'), [1, 2]],
      )
    })

    test(`the body that ${name} orders can be made again, to the byte, after everything that may follow`, () => {
      const change = act(opened())
      const { body, dueAt } = orderOf(change) ?? {}
      assert.ok(body && dueAt)
      const { after: failed } = callbackAttempted(change.after, { kind: 'failed', at: at(9), error: 'x' })
      const { after: again } = redeliver(failed, agent, at(3 * hour))
      const { after: sent } = callbackAttempted(again, { kind: 'sent', at: at(4 * hour) })
      for (const later of [change.after, failed, again, sent, { ...sent, state: sent.state, redeemedAt: at(5 * hour) }])
        assert.equal(bodyAgain(later, dueAt), body)
      assert.equal(bodyAgain(opened(), dueAt), null)
    })

    test(`${name} without a callback_webhook orders nothing`, () => {
      assert.equal(orderOf(act(opened({ callbackUrl: null, callbackSecret: null }))), null)
    })

    test(`after ${name}, no other act orders a callback: a redelivery sends the stored bytes`, () => {
      const closed = act(opened()).after
      const { after: sent } = callbackAttempted(closed, { kind: 'sent', at: at(2 * hour) })
      const others = [
        callbackAttempted(closed, { kind: 'retry', at: at(9), error: 'x', nextAttemptAt: at(10) }),
        callbackAttempted(closed, { kind: 'failed', at: at(9), error: 'x' }),
        callbackAttempted(closed, { kind: 'sent', at: at(9) }),
        redeliver(sent, agent, at(3 * hour)),
        ...(name === 'respond' ? [redeem(closed, agent, null, at(6), openedCertificate(closed))] : []),
      ]
      assert.deepEqual(
        others.map((change) => orderOf(change)),
        others.map(() => null),
      )
    })
  }

  test('one from before names were kept is made again as it was, without one', () => {
    const dueAt = at(5)
    const { after } = respond(opened(), { ...reviewer, name: 'Robin' }, approve, dueAt, certify)
    assert.match(`${bodyAgain(after, dueAt)}`, /"responder":\{"id":"[^"]+","name":"Robin"\}/)
    const older = after.response && { ...after.response, responderName: null }
    const body = bodyAgain({ ...after, response: older }, dueAt)
    assert.equal(body, bodyAgain(after, dueAt)?.replace(/"responder":\{[^}]*\},/, ''))
  })

  test('a new request orders nothing', () => {
    assert.equal(orderOfChange({ before: null, after: opened() }), null)
  })

  test('only redeliver is a redelivery', () => {
    for (const [, act] of closings) {
      const closing = act(opened())
      assert.equal(isRedelivery(closing), false)
      for (const outcome of [{ kind: 'sent' }, { kind: 'failed', error: 'x' }] as const) {
        const attempted = callbackAttempted(closing.after, { ...outcome, at: at(2 * hour) })
        assert.equal(isRedelivery(attempted), false)
        assert.equal(isRedelivery(redeliver(attempted.after, agent, at(3 * hour))), true)
      }
    }
    assert.equal(isRedelivery({ before: null, after: opened() }), false)
  })
})

describe('the bytes of a callback', () => {
  test('after an answer, metadata as the agent wrote it', () => {
    assert.equal(
      orderOf(respond(opened(), reviewer, approve, at(5), certify))?.body,
      `{"event":"request.responded","request_id":"${id}","metadata":{ "run" : 1E5 },` +
        `"response":{"decision":"approve","comment":"fine","choices":null,"data":null,"args":null,"args_patch":null,"attachments":null,` +
        `"responder_id":"${reviewerId}","responder":{"id":"${reviewerId}","name":null},"responded_at":"2026-01-31T09:00:00.005Z","revision":1},` +
        `"timestamp":"2026-01-31T09:00:00.005Z","state":"responded","revision":1,"digest":"${digest}","certificate":"h.p.s"}`,
    )
  })

  test('after a timeout, without metadata', () => {
    const change = expire(opened({ metadata: null }), at(hour)) as Change
    assert.equal(
      orderOf(change)?.body,
      `{"event":"request.timeout","request_id":"${id}","metadata":null,"response":null,` +
        `"timestamp":"2026-01-31T10:00:00.000Z","state":"timeout","revision":1,"digest":"${digest}","certificate":null}`,
    )
  })

  test('after a cancellation, at a later revision', () => {
    assert.equal(
      orderOf(cancel({ ...opened(), revision: 2 }, agent, at(7)))?.body,
      `{"event":"request.cancelled","request_id":"${id}","metadata":{ "run" : 1E5 },"response":null,` +
        `"timestamp":"2026-01-31T09:00:00.007Z","state":"cancelled","revision":2,"digest":"${digest}","certificate":null}`,
    )
  })

  test('have the time of the act, even if the clock was set back since the last change', () => {
    const body = orderOf(cancel({ ...opened(), updatedAt: at(99) }, agent, at(7)))?.body ?? ''
    assert.equal(JSON.parse(body).timestamp, '2026-01-31T09:00:00.007Z')
  })

  test('are valid JSON after a comment of any characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (comment) => {
        const change = respond(opened(), reviewer, { decision: 'reject', comment }, at(5), certify)
        assert.equal(JSON.parse(orderOf(change)?.body ?? '').response.comment, comment)
      }),
    )
  })
})
