import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { callbackAttempted, redeliver } from '../../src/consultations/callback-progress.ts'
import {
  type CallbackProgress,
  type Certify,
  type Change,
  type Consultation,
  cancel,
  initialReply,
  open,
  type Proposal,
  requireErasable,
  respond,
  type State,
  states,
} from '../../src/consultations/consultation.ts'
import { actWhenDue as expire } from '../../src/consultations/due.ts'
import type { SettledAttempt } from '../../src/deliveries/delivery.ts'
import type { Actor } from '../../src/facts/fact.ts'
import type { JsonText } from '../../src/platform/json.ts'
import { Problem } from '../../src/platform/problem.ts'
import { coreAnswer, coreQuestion } from './core-question.ts'

const organizationId = '01890f3e-0000-7000-8000-000000000001'
const agentId = '01890f3e-0000-7000-8000-000000000006'
const apiKeyId = '01890f3e-0000-7000-8000-000000000002'
const id = '01890f3e-0000-7000-8000-000000000003'
const reviewerId = '01890f3e-0000-7000-8000-000000000004'
const reviewer = { userId: reviewerId, role: 'reviewer' }
const winnerId = '01890f3e-0000-7000-8000-000000000005'
const start = Date.parse('2026-01-31T09:00:00.000Z')
const at = (ms: number): Date => new Date(start + ms)
const hour = 3_600_000
const url = 'https://agent.example.com/hitl'
const person: Actor = { kind: 'person', id: reviewerId }
const agent: Actor = { kind: 'agent', id: agentId, keyId: apiKeyId }
const approve = { decision: 'approve', comment: 'fine' } as const
/** SHA-256 of {"context":{"a":1},"description":"In short.","title":"May I?"}. */
const digest = '3057d82b9a96a10af4571d3de4d8dfa63f2b32060f37525af45067d87b360dfc'
const certify: Certify = () => ({ certificate: 'h.p.s', certificateExpiresAt: at(24 * hour) })

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
}

function opened(fields: Partial<Proposal> = {}): Consultation {
  return frozen(open({ ...proposal, ...fields }, { organizationId, agentId, apiKeyId }, id, at(0)).after)
}

/** A consultation in `state`, answered if the state implies an answer. */
function found(state: State, fields: Partial<Consultation> = {}): Consultation {
  const answered = ['responded', 'callback_sent', 'callback_failed', 'completed'].includes(state)
  return frozen({
    ...opened(),
    state,
    ...(state === 'pending' ? {} : { nextActionAt: null, updatedAt: at(1_000) }),
    ...(answered
      ? {
          response: { ...coreAnswer, decision: 'reject', comment: null, responderId: winnerId, respondedAt: at(1_000) },
          decidedBy: 'human',
        }
      : {}),
    ...(state === 'timeout' ? { decidedBy: 'timeout' } : {}),
    ...fields,
  } as Consultation)
}

/** Rules must not change their arguments. */
function frozen<T>(value: T): T {
  if (value !== null && typeof value === 'object' && !(value instanceof Date) && !Buffer.isBuffer(value)) {
    for (const member of Object.values(value)) frozen(member)
    Object.freeze(value)
  }
  return value
}

function refusal(act: () => unknown): Problem {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof Problem, String(error))
    return error
  }
  return assert.fail('the act was not refused')
}

const pendingTimes = [
  { when: 'one millisecond before its time', now: at(hour - 1), timeoutAt: at(hour), open: true },
  { when: 'exactly at its time', now: at(hour), timeoutAt: at(hour), open: false },
  { when: 'one millisecond after its time', now: at(hour + 1), timeoutAt: at(hour), open: false },
  { when: 'that never times out, a century later', now: at(876_000 * hour), timeoutAt: null, open: true },
] as const

/** What refusals say: [code, sentence for respond, sentence for cancel]. */
const closedStates = [
  [
    'responded',
    'consultation.already_responded',
    'Request is already responded, cannot respond',
    'Request is already responded, cannot cancel',
  ],
  [
    'callback_sent',
    'consultation.already_responded',
    'Request is already callback_sent, cannot respond',
    'Request is already callback_sent, cannot cancel',
  ],
  [
    'callback_failed',
    'consultation.already_responded',
    'Request is already callback_failed, cannot respond',
    'Request is already callback_failed, cannot cancel',
  ],
  [
    'timeout',
    'consultation.already_timeout',
    'Request is already timeout, cannot respond',
    'Request is already timeout, cannot cancel',
  ],
  [
    'cancelled',
    'consultation.already_cancelled',
    'Request is already cancelled, cannot respond',
    'Request is already cancelled, cannot cancel',
  ],
  [
    'completed',
    'consultation.already_responded',
    'Request is already completed, cannot respond',
    'Request is already completed, cannot cancel',
  ],
] as const

test('the tables below cover every state', () => {
  assert.deepEqual(new Set(['pending', ...closedStates.map(([state]) => state)]), new Set(states))
})

describe('open', () => {
  test('a new request is pending at revision 1, with its timer and no callback yet', () => {
    const { after, facts } = open(proposal, { organizationId, agentId, apiKeyId }, id, at(0))
    assert.deepEqual(after, {
      title: 'May I?',
      description: 'In short.',
      context: '{"a":1.0}',
      metadata: '{ "run" : 1E5 }',
      callbackUrl: url,
      callbackSecret: Buffer.from('sealed'),
      ...coreQuestion,
      callbackRetrySeconds: [1, 2],
      attachments: null,
      callbackEvents: null,
      traceparent: null,
      holdSeconds: 0,
      organizationId,
      agentId,
      apiKeyId,
      id,
      state: 'pending',
      revision: 1,
      timeoutAt: at(hour),
      nextActionAt: at(hour),
      response: null,
      decidedBy: null,
      heldUntil: null,
      outcome: null,
      callbackId: null,
      callback: { status: 'none', attempts: 0, nextAttemptAt: null, lastError: null, sentAt: null },
      digest,
      certificate: null,
      certificateExpiresAt: null,
      redeemedAt: null,
      closingCall: null,
      redeemingCall: null,
      revisedAt: null,
      revisingKeyId: null,
      risk: 'medium',
      responseBytes: 0,
      erasedAt: null,
      createdAt: at(0),
      updatedAt: at(0),
    })
    const shown = { state: 'pending', timeout_at: at(hour), risk: 'medium' }
    const erasable = { title: 'May I?', callback_webhook: url }
    assert.deepEqual(facts, [{ kind: 'request.created', actor: agent, before: null, after: shown, erasable }])
  })

  for (const [minutes, ms] of [
    [1, 60_000],
    [1_440, 24 * hour],
    [10_080, 168 * hour],
  ] as const) {
    test(`timeout_minutes ${minutes} is a timer ${ms} ms ahead`, () => {
      const after = opened({ timeoutMinutes: minutes })
      assert.deepEqual([after.timeoutAt, after.nextActionAt], [at(ms), at(ms)])
    })
  }

  test('timeout_minutes null is no timer at all', () => {
    const after = opened({ timeoutMinutes: null })
    assert.deepEqual([after.timeoutAt, after.nextActionAt], [null, null])
  })

  test('neither secret nor context is in the event', () => {
    const told = JSON.stringify(open(proposal, { organizationId, agentId, apiKeyId }, id, at(0)).facts)
    assert.doesNotMatch(told, /sealed|c2VhbGVk|"a":1/)
  })
})

describe('respond', () => {
  for (const { when, now, timeoutAt, open: isOpen } of pendingTimes) {
    test(`pending, ${when}: ${isOpen ? 'responded' : '409 already timeout'}`, () => {
      const before = found('pending', { timeoutAt, nextActionAt: timeoutAt })
      if (!isOpen) {
        const problem = refusal(() => respond(before, reviewer, approve, now, certify))
        assert.deepEqual(
          [problem.status, problem.code, problem.message, problem.extra],
          [
            409,
            'consultation.already_timeout',
            'Request is already timeout, cannot respond',
            { state: 'timeout', decision: null, responded_by: null, responded_at: null, closed_at: timeoutAt },
          ],
        )
        return
      }
      const change = respond(before, reviewer, approve, now, certify)
      assert.equal(change.before, before)
      assert.deepEqual(change.after, {
        ...before,
        state: 'responded',
        nextActionAt: null,
        response: { ...coreAnswer, decision: 'approve', comment: 'fine', responderId: reviewerId, respondedAt: now },
        decidedBy: 'human',
        callback: { status: 'pending', attempts: 0, nextAttemptAt: now, lastError: null, sentAt: null },
        certificate: 'h.p.s',
        certificateExpiresAt: at(24 * hour),
        updatedAt: now,
      })
      assert.equal(change.facts.length, 1)
      const [fact] = change.facts
      assert.deepEqual(
        [fact?.kind, fact?.actor, fact?.before, fact?.after, fact?.erasable],
        [
          'request.responded',
          person,
          { state: 'pending' },
          { state: 'responded', revision: 1, decision: 'approve', role: 'reviewer' },
          { comment: 'fine' },
        ],
      )
    })
  }

  for (const [state, code, detail] of closedStates) {
    test(`${state}: 409 ${code}, naming who won and when`, () => {
      // What happened to its callback since then changed it again.
      const before = found(state, { timeoutAt: at(hour), updatedAt: at(9_000) })
      const problem = refusal(() => respond(before, reviewer, approve, at(9_500), certify))
      assert.deepEqual([problem.status, problem.code, problem.message], [409, code, detail])
      assert.deepEqual(problem.extra, {
        state,
        decision: before.response?.decision ?? null,
        responded_by: before.response?.responderId ?? null,
        responded_at: before.response?.respondedAt ?? null,
        closed_at: state === 'timeout' ? at(hour) : at(state === 'cancelled' ? 9_000 : 1_000),
      })
    })
  }

  for (const decision of ['approve', 'reject', 'request_changes'] as const) {
    test(`${decision} is kept as it was said, without a comment too`, () => {
      const { after } = respond(opened(), reviewer, { decision, comment: null }, at(5), certify)
      assert.deepEqual(after.response, {
        ...coreAnswer,
        decision,
        comment: null,
        responderId: reviewerId,
        respondedAt: at(5),
      })
    })
  }

  test('the revision that was read is accepted', () => {
    assert.equal(
      respond(found('pending', { revision: 3 }), reviewer, { ...approve, revision: 3 }, at(5), certify).after.state,
      'responded',
    )
  })

  for (const revision of [1, 2, 4]) {
    test(`412 for an answer to revision ${revision} when the request is at 3`, () => {
      const problem = refusal(() =>
        respond(found('pending', { revision: 3 }), reviewer, { ...approve, revision }, at(5), certify),
      )
      assert.deepEqual(
        [problem.status, problem.code, problem.message],
        [
          412,
          'consultation.revision_changed',
          `The request is at revision 3, and what you sent is for revision ${revision}. Read it again.`,
        ],
      )
    })
  }

  test('a closed request is 409 even if the revision is old', () => {
    assert.equal(
      refusal(() => respond(found('responded'), reviewer, { ...approve, revision: 9 }, at(5), certify)).status,
      409,
    )
  })
})

describe('cancel', () => {
  for (const actor of [agent, person]) {
    for (const { when, now, timeoutAt, open: isOpen } of pendingTimes) {
      test(`by ${actor.kind}: pending, ${when}: ${isOpen ? 'cancelled' : '409 already timeout'}`, () => {
        const before = found('pending', { timeoutAt, nextActionAt: timeoutAt })
        if (!isOpen) {
          const problem = refusal(() => cancel(before, actor, now))
          assert.deepEqual(
            [problem.status, problem.code, problem.message],
            [409, 'consultation.already_timeout', 'Request is already timeout, cannot cancel'],
          )
          return
        }
        const { after, facts } = cancel(before, actor, now)
        assert.deepEqual(after, {
          ...before,
          state: 'cancelled',
          nextActionAt: null,
          callback: { status: 'pending', attempts: 0, nextAttemptAt: now, lastError: null, sentAt: null },
          updatedAt: now,
        })
        assert.deepEqual(
          facts.map(({ kind, actor: by, before: was, after: is }) => ({ kind, by, was, is })),
          [
            {
              kind: 'request.cancelled',
              by: actor,
              was: { state: 'pending' },
              is: { state: 'cancelled', revision: 1 },
            },
          ],
        )
      })
    }
    for (const [state, code, , detail] of closedStates) {
      test(`by ${actor.kind}: ${state}: 409 ${code}`, () => {
        const problem = refusal(() => cancel(found(state), actor, at(2_000)))
        assert.deepEqual([problem.status, problem.code, problem.message], [409, code, detail])
      })
    }
  }
})

describe('expire', () => {
  for (const { when, now, timeoutAt, open: isOpen } of pendingTimes) {
    test(`pending, ${when}: ${isOpen ? 'nothing' : 'timeout'}`, () => {
      const before = found('pending', { timeoutAt, nextActionAt: timeoutAt })
      const change = expire(before, now)
      if (isOpen) return assert.equal(change, null)
      assert.deepEqual(change?.after, {
        ...before,
        state: 'timeout',
        nextActionAt: null,
        decidedBy: 'timeout',
        callback: { status: 'pending', attempts: 0, nextAttemptAt: now, lastError: null, sentAt: null },
        updatedAt: now,
      })
      assert.equal(change?.after.response, null, 'silence is no answer')
      assert.deepEqual(
        change?.facts.map(({ kind, actor, before: was, after: is }) => ({ kind, actor, was, is })),
        [
          {
            kind: 'request.timed_out',
            actor: { kind: 'timer', id: null },
            was: { state: 'pending' },
            is: { state: 'timeout', revision: 1 },
          },
        ],
      )
    })
  }
  for (const [state] of closedStates) {
    test(`${state}: nothing, however late`, () => assert.equal(expire(found(state), at(999 * hour)), null))
  }
})

describe('a request that closes', () => {
  const closings = [
    ['respond', (before: Consultation) => respond(before, reviewer, approve, at(5), certify)],
    ['cancel', (before: Consultation) => cancel(before, agent, at(5))],
    ['expire', (before: Consultation) => expire(before, at(hour)) as Change],
  ] as const
  for (const [name, act] of closings) {
    test(`${name} has no callback without a callback_webhook`, () => {
      const none = { status: 'none', attempts: 0, nextAttemptAt: null, lastError: null, sentAt: null }
      assert.deepEqual(act(opened({ callbackUrl: null, callbackSecret: null })).after.callback, none)
    })
  }
})

type CallbackOutcome = SettledAttempt['outcome']
const outcomes: Record<CallbackOutcome['kind'], CallbackOutcome> = {
  sent: { kind: 'sent', at: at(9_000) },
  retry: { kind: 'retry', at: at(9_000), error: 'The receiver replied 500.', nextAttemptAt: at(11_000) },
  failed: { kind: 'failed', at: at(9_000), error: 'The receiver replied 500.' },
}
const lastTry: CallbackProgress = {
  status: 'delivering',
  attempts: 2,
  nextAttemptAt: at(8_000),
  lastError: 'no answer',
  sentAt: null,
}

describe('callbackAttempted', () => {
  // state before -> [after sent, after retry, after failed]
  const moves: Record<State, readonly [State, State, State]> = {
    pending: ['pending', 'pending', 'pending'],
    responded: ['callback_sent', 'responded', 'callback_failed'],
    callback_sent: ['callback_sent', 'callback_sent', 'callback_sent'],
    callback_failed: ['callback_sent', 'callback_failed', 'callback_failed'],
    timeout: ['timeout', 'timeout', 'timeout'],
    cancelled: ['cancelled', 'cancelled', 'cancelled'],
    completed: ['completed', 'completed', 'completed'],
  }
  for (const state of states) {
    const [sent, retry, failed] = moves[state]
    const before = found(state, { callback: lastTry })
    test(`${state}, sent: ${sent}`, () => {
      const { after, facts } = callbackAttempted(before, outcomes.sent)
      assert.deepEqual(after, {
        ...before,
        state: sent,
        callback: { status: 'sent', attempts: 3, nextAttemptAt: null, lastError: null, sentAt: at(9_000) },
        updatedAt: at(9_000),
      })
      assert.deepEqual(facts, [
        {
          kind: 'request.callback_sent',
          actor: { kind: 'system', id: null },
          before: { state },
          after: { state: sent, attempts: 3 },
        },
      ])
    })
    test(`${state}, failed with a retry to come: stays ${retry}, and no event`, () => {
      const { after, facts } = callbackAttempted(before, outcomes.retry)
      assert.deepEqual(after, {
        ...before,
        state: retry,
        callback: {
          status: 'delivering',
          attempts: 3,
          nextAttemptAt: at(11_000),
          lastError: 'The receiver replied 500.',
          sentAt: null,
        },
        updatedAt: at(9_000),
      })
      assert.deepEqual(facts, [])
    })
    test(`${state}, failed for the last time: ${failed}`, () => {
      const { after, facts } = callbackAttempted(before, outcomes.failed)
      assert.deepEqual(after, {
        ...before,
        state: failed,
        callback: {
          status: 'failed',
          attempts: 3,
          nextAttemptAt: null,
          lastError: 'The receiver replied 500.',
          sentAt: null,
        },
        updatedAt: at(9_000),
      })
      assert.deepEqual(facts, [
        {
          kind: 'request.callback_failed',
          actor: { kind: 'system', id: null },
          before: { state },
          after: { state: failed, attempts: 3, error: 'The receiver replied 500.' },
        },
      ])
    })
  }

  describe('when the quick retries are used up', () => {
    const nextAttemptAt = at(69_000)
    const error = 'The receiver replied 500.'
    const recovering = { kind: 'retry', at: at(9_000), error, nextAttemptAt, isRecovery: true } as const
    const first = callbackAttempted(found('responded', { callback: lastTry }), recovering)

    test('the callback has failed, and the time of the next attempt is known', () => {
      const { state, callback } = first.after
      assert.deepEqual([state, callback.status, callback.nextAttemptAt], ['callback_failed', 'failed', nextAttemptAt])
      const [fact] = first.facts
      assert.equal(fact?.kind, 'request.callback_failed')
      const told = { state: 'callback_failed', attempts: 3, error, next_attempt_at: nextAttemptAt }
      assert.deepEqual(fact?.after, told)
    })

    test('further failures count, and there is no further event before the last one', () => {
      const second = callbackAttempted(first.after, { ...recovering, nextAttemptAt: at(99_000) })
      assert.deepEqual(second.facts, [])
      assert.equal(second.after.callback.attempts, 4)
      const quick = callbackAttempted(second.after, outcomes.retry)
      assert.deepEqual([quick.after.callback.status, quick.facts], ['failed', []])
      const last = callbackAttempted(second.after, outcomes.failed)
      assert.deepEqual(
        last.facts.map(({ kind }) => kind),
        ['request.callback_abandoned'],
      )
      assert.deepEqual([last.after.state, last.after.callback.nextAttemptAt], ['callback_failed', null])
    })

    test('a success moves callback_failed to callback_sent', () => {
      const { after, facts } = callbackAttempted(first.after, outcomes.sent)
      assert.deepEqual([after.state, after.callback.status], ['callback_sent', 'sent'])
      assert.deepEqual(facts[0]?.before, { state: 'callback_failed' })
    })

    test('held back without an attempt: nothing is counted, and the last error stays', () => {
      const { after } = callbackAttempted(found('responded', { callback: lastTry }), { ...recovering, isHeld: true })
      const { attempts, lastError } = after.callback
      assert.deepEqual([after.state, attempts, lastError], ['callback_failed', lastTry.attempts, lastTry.lastError])
    })

    test('it can be sent again on request, but not be erased before the recovery has ended', () => {
      const { after } = redeliver(first.after, { kind: 'system', id: null }, at(10_000))
      assert.deepEqual([after.callback.status, after.callback.nextAttemptAt], ['pending', at(10_000)])
      assert.throws(() => requireErasable(first.after), /still open, or its callback is under way/)
    })
  })

  test('a redelivery that fails keeps the time when the callback was sent', () => {
    const sent: CallbackProgress = { ...lastTry, status: 'pending', sentAt: at(4_000) }
    const { after } = callbackAttempted(found('callback_sent', { callback: sent }), outcomes.failed)
    assert.deepEqual(
      [after.state, after.callback.status, after.callback.sentAt],
      ['callback_sent', 'failed', at(4_000)],
    )
  })
})

describe('redeliver', () => {
  const none = 'This request has sent no callback, so there is nothing to send again.'
  const busy = 'The callback is still being delivered. Wait for its outcome before asking for another delivery.'
  const verdicts = [
    ['none', none],
    ['pending', busy],
    ['delivering', busy],
    ['sent', null],
    ['failed', null],
  ] as const
  for (const state of states) {
    for (const [status, refused] of verdicts) {
      const before = found(state, { callback: { ...lastTry, status } })
      test(`${state}, callback ${status}: ${refused === null ? 'due again at once' : '409 nothing_to_redeliver'}`, () => {
        if (refused !== null) {
          const problem = refusal(() => redeliver(before, person, at(9_000)))
          assert.deepEqual(
            [problem.status, problem.code, problem.message, problem.extra],
            [409, 'consultation.nothing_to_redeliver', refused, { state }],
          )
          return
        }
        for (const actor of [person, agent]) {
          const { after, facts } = redeliver(before, actor, at(9_000))
          const callback = { ...lastTry, status: 'pending', nextAttemptAt: at(9_000) }
          assert.deepEqual(after, { ...before, callback, updatedAt: at(9_000) })
          assert.deepEqual(facts, [
            {
              kind: 'request.redelivery_requested',
              actor,
              before: { callback: status },
              after: { callback: 'pending' },
            },
          ])
        }
      })
    }
  }
})

describe('initialReply', () => {
  for (const state of states) {
    test(`${state}: as it was when it was created`, () => {
      const now = found(state, { callback: lastTry, revision: 4, updatedAt: at(50) })
      assert.deepEqual(initialReply(now), opened())
    })
  }
  test('a request that never times out has no timeout in it either', () => {
    assert.deepEqual(initialReply(found('responded', { timeoutAt: null })), opened({ timeoutMinutes: null }))
  })
})

type Step = (before: Consultation, now: Date) => Change | null
const steps: Readonly<Record<string, Step>> = {
  approve: (before, now) => respond(before, reviewer, approve, now, certify),
  reject: (before, now) =>
    respond(before, { userId: winnerId, role: 'reviewer' }, { decision: 'reject', comment: null }, now, certify),
  cancel: (before, now) => cancel(before, agent, now),
  expire,
  sent: (before, now) => callbackAttempted(before, { kind: 'sent', at: now }),
  retry: (before, now) => callbackAttempted(before, { kind: 'retry', at: now, error: 'x', nextAttemptAt: now }),
  failed: (before, now) => callbackAttempted(before, { kind: 'failed', at: now, error: 'x' }),
  redeliver: (before, now) => redeliver(before, person, now),
}
const walk = fc.array(fc.tuple(fc.constantFrom(...Object.keys(steps)), fc.integer({ min: -120, max: 120 })), {
  maxLength: 30,
})

test('after any acts in any order, a request closes at most once and never reopens', () => {
  const closing = /^request\.(responded|cancelled|timed_out)$/
  fc.assert(
    fc.property(walk, (path) => {
      let current = opened()
      let closings = 0
      for (const [name, minute] of path) {
        let change: Change | null = null
        try {
          change = steps[name]?.(current, at(minute * 60_000)) ?? null
        } catch (error) {
          assert.ok(error instanceof Problem && error.status === 409, String(error))
        }
        if (change === null) continue
        closings += change.facts.filter(({ kind }) => closing.test(kind)).length
        assert.ok(
          change.after.updatedAt > current.updatedAt,
          'updated_at moves with every change, even when the clock goes back',
        )
        assert.ok(current.state === 'pending' || change.after.state !== 'pending', `${current.state} became pending`)
        assert.equal(change.after.state === 'pending' ? 0 : 1, closings)
        if (current.state !== 'pending') {
          assert.deepEqual([change.after.response, change.after.decidedBy], [current.response, current.decidedBy])
        }
        current = frozen(change.after)
      }
    }),
    { numRuns: 2_000 },
  )
})
