import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { allowedActions } from '../../src/consultations/allowed-actions.ts'
import {
  type Consultation,
  callbackStatuses,
  open,
  type Response,
  type State,
  states,
} from '../../src/consultations/consultation.ts'
import { pageJson } from '../../src/consultations/representation.ts'
import { type KeyScope, keyScopes, type Principal, type Role } from '../../src/identity/principal.ts'
import type { JsonText } from '../../src/platform/json.ts'
import { coreAnswer, coreQuestion } from './core-question.ts'

const id = '01890f3e-0000-7000-8000-000000000003'
const at = (ms: number): Date => new Date(Date.parse('2026-01-31T09:00:00.000Z') + ms)
const hour = 3_600_000
const person = (role: Role): Principal => ({ kind: 'person', organizationId: id, userId: id, accountId: id, role })
const agent = (scopes: readonly KeyScope[] = keyScopes): Principal => ({
  kind: 'agent',
  organizationId: id,
  agentId: id,
  apiKeyId: id,
  scopes,
})
const owner = { organizationId: id, agentId: id, apiKeyId: id }
const asked = open(
  {
    title: 'x',
    description: null,
    context: '{}' as JsonText,
    metadata: null,
    timeoutMinutes: 60,
    callbackUrl: null,
    callbackSecret: null,
    ...coreQuestion,
    callbackRetrySeconds: null,
    callbackEvents: null,
    traceparent: null,
    holdSeconds: 0,
  },
  owner,
  id,
  at(0),
).after

const callers: readonly (readonly [string, Principal, readonly string[]])[] = [
  ['an agent', agent(), ['cancel', 'revise']],
  ['an agent whose key may read only', agent(['requests:read']), []],
  ['an agent whose key may cancel only', agent(['requests:cancel']), ['cancel']],
  ['an agent whose key may ask only', agent(['requests:create']), ['revise']],
  ['a reviewer', person('reviewer'), ['respond']],
  ['an admin', person('admin'), ['respond']],
  ['an owner', person('owner'), ['respond']],
  ['an auditor', person('auditor'), []],
]
const mayRedeliver = ['an agent', 'a reviewer', 'an admin', 'an owner']
const closedStates = states.filter((state): state is Exclude<State, 'pending'> => state !== 'pending')

describe('what a caller may do', () => {
  for (const [name, caller, acts] of callers) {
    for (const { when, now, timeoutAt, isOpen } of [
      { when: 'one millisecond before its time', now: at(hour - 1), timeoutAt: at(hour), isOpen: true },
      { when: 'exactly at its time', now: at(hour), timeoutAt: at(hour), isOpen: false },
      { when: 'one millisecond after its time', now: at(hour + 1), timeoutAt: at(hour), isOpen: false },
      { when: 'that never times out, a century later', now: at(876_000 * hour), timeoutAt: null, isOpen: true },
    ]) {
      const expected = isOpen ? acts : []
      test(`${name}, pending, ${when}: ${expected.join() || 'nothing'}`, () => {
        assert.deepEqual(allowedActions({ ...asked, timeoutAt }, caller, now), expected)
      })
    }
    for (const state of closedStates) {
      for (const status of callbackStatuses) {
        const expected = (status === 'sent' || status === 'failed') && mayRedeliver.includes(name) ? ['redeliver'] : []
        test(`${name}, ${state}, callback ${status}: ${expected[0] ?? 'nothing'}`, () => {
          const found: Consultation = { ...asked, state, callback: { ...asked.callback, status } }
          assert.deepEqual(allowedActions(found, caller, at(2_000)), expected)
        })
      }
    }
  }
})

describe('an approval can be redeemed', () => {
  const response: Response = { ...coreAnswer, decision: 'approve', comment: null, responderId: id, respondedAt: at(5) }
  const outcome = { status: 'executed', detail: null, data: null, reportedAt: at(8) } as const
  const approved: Consultation = { ...asked, state: 'responded', response, certificateExpiresAt: at(hour) }
  for (const [what, fields, caller, now, expected] of [
    ['by an agent', {}, agent(), at(9), ['redeem', 'report_outcome']],
    ['by an agent whose key may do that only', {}, agent(['requests:redeem']), at(9), ['redeem', 'report_outcome']],
    ['not by one whose key may not', {}, agent(['requests:read']), at(9), []],
    ['not by a person', {}, person('owner'), at(9), []],
    ['not twice', { redeemedAt: at(8) }, agent(), at(9), ['report_outcome']],
    ['not when it has expired', {}, agent(), at(hour), ['report_outcome']],
    [
      'not when it is a rejection',
      { response: { ...response, decision: 'reject' } },
      agent(),
      at(9),
      ['report_outcome'],
    ],
    ['not while it is held back', { state: 'pending', heldUntil: at(60) }, agent(), at(9), ['cancel', 'revise']],
    ['not when its outcome is reported', { state: 'completed', outcome }, agent(), at(9), []],
    [
      'nor reported, when it asks for changes',
      { response: { ...response, decision: 'request_changes' } },
      agent(),
      at(9),
      ['revise'],
    ],
  ] as const) {
    test(what, () => assert.deepEqual(allowedActions({ ...approved, ...fields }, caller, now), expected))
  }
})

test('callers that share a page are each shown their own actions', () => {
  const page = {
    items: [asked, { ...asked, state: 'cancelled' as const }],
    total: 2,
    limit: 20,
    offset: 0,
    next: null,
    updatedUntil: null,
    search: null,
  }
  const shown = (caller: Principal): readonly string[][] =>
    JSON.parse(pageJson(page, caller, at(1), '/requests')).items.map(
      (item: { allowed_actions: string[] }) => item.allowed_actions,
    )
  for (const [name, caller, acts] of [...callers, ...callers]) {
    assert.deepEqual(shown(caller), [acts, []], name)
  }
})
