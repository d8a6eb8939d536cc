import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { risks } from '../../src/consultations/questions/tiers.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addPerson } from '../people-and-keys.ts'
import { putInto } from './table-contents.ts'

/**
 * Every act by every actor, on a request in every state and tier: what it is told, and the state that it leaves. The table says
 * the rules a second time, one row for each act; each refusal has to leave the request as it was.
 */

let t: TestApp
let tokens: Readonly<Record<Actor, string>>
before(async () => {
  t = await startTestApp()
  tokens = {
    'the agent that asked': t.apiKey,
    'another agent': (await addApiKey(t)).raw,
    'the reviewer who decided': t.reviewer.token,
    'another reviewer': (await addPerson(t)).token,
    'an admin': t.admin.token,
    'an auditor': (await addPerson(t, t.organizationId, 'auditor')).token,
    'the timer': '',
  }
})
after(() => t.stop())

const agents = ['the agent that asked', 'another agent'] as const
const deciders = ['the reviewer who decided', 'another reviewer', 'an admin'] as const
const actors = [...agents, ...deciders, 'an auditor', 'the timer'] as const
type Actor = (typeof actors)[number]
type Risk = (typeof risks)[number]

const post = (id: string, act: string, as: string, body?: object) =>
  t.call('POST', `/api/v1/requests/${id}/${act}`, { as, ...(body === undefined ? {} : { body }) })

async function decide(id: string, decision: string, risk: Risk, more: object = {}): Promise<void> {
  const reply = await post(id, 'respond', tokens['the reviewer who decided'], { ...answerOf(decision, risk), ...more })
  assert.equal(reply.status, 200, reply.text)
}

const confirmations = { low: {}, medium: {}, high: { acknowledged: true }, critical: { typed: 'orders' } }
const answerOf = (decision: string, risk: Risk) => ({
  decision,
  comment: 'because',
  ...(decision === 'approve' ? { confirmation: confirmations[risk] } : {}),
})

const past = (id: string, column: string) =>
  t.sql(`update consultation_requests set ${column} = $2, next_action_at = $2 where id = $1`, [id, t.clock.now()])

/** How a request gets into each state. */
const states: Readonly<Record<string, (id: string, risk: Risk) => Promise<unknown>>> = {
  pending: async () => {},
  overdue: (id) => past(id, 'timeout_at'),
  held: (id, risk) => decide(id, 'approve', risk, { hold_seconds: 300 }),
  'to be released': async (id, risk) => {
    await decide(id, 'approve', risk, { hold_seconds: 300 })
    await past(id, 'held_until')
  },
  approved: (id, risk) => decide(id, 'approve', risk),
  rejected: (id, risk) => decide(id, 'reject', risk),
  'sent back': (id, risk) => decide(id, 'request_changes', risk),
  'approved, callback sent': async (id, risk) => {
    await decide(id, 'approve', risk)
    await putInto(t, id, 'callback_sent', 'sent')
  },
  'approved, callback failed': async (id, risk) => {
    await decide(id, 'approve', risk)
    await putInto(t, id, 'callback_failed', 'failed')
  },
  'sent back, callback sent': async (id, risk) => {
    await decide(id, 'request_changes', risk)
    await putInto(t, id, 'callback_sent', 'sent')
  },
  'sent back, callback failed': async (id, risk) => {
    await decide(id, 'request_changes', risk)
    await putInto(t, id, 'callback_failed', 'failed')
  },
  used: async (id, risk) => {
    await decide(id, 'approve', risk)
    assert.equal((await post(id, 'redeem', t.apiKey)).status, 200)
  },
  completed: async (id, risk) => {
    await decide(id, 'approve', risk)
    assert.equal((await post(id, 'outcome', t.apiKey, { status: 'executed' })).status, 200)
  },
  'timed out': async (id) => {
    await past(id, 'timeout_at')
    await t.app.consultations.expireDue(100)
  },
  cancelled: async (id) => assert.equal((await post(id, 'cancel', t.apiKey)).status, 200),
}
type State = string

async function requestIn(state: State, risk: Risk): Promise<string> {
  const { id } = await t.createRequest({ risk, timeout_minutes: null, presentation: { target: 'orders' } })
  await states[state]?.(id, risk)
  return id
}

const isOpen = (state: State) => state === 'pending'
const isHeld = (state: State) => state === 'held' || state === 'to be released'
const isSentBack = (state: State) => state.startsWith('sent back')
const isUsable = (state: State) => state.startsWith('approved')
const isDecided = (state: State) =>
  isUsable(state) || isSentBack(state) || ['rejected', 'used', 'completed'].includes(state)

function closedAs(state: State): string {
  if (['overdue', 'timed out'].includes(state)) return '409 consultation.already_timeout'
  return state === 'cancelled' ? '409 consultation.already_cancelled' : '409 consultation.already_responded'
}

interface Verdict {
  /** The status, and the code of a refusal. */
  readonly told: string
  /** The state on the wire that it leaves, seen by people; left out of refusals. */
  readonly leaves?: string
}

const done = (told: '200' | '201' | '202', leaves: string): Verdict => ({ told, leaves })
const refused = (told: string): Verdict => ({ told })

interface Act {
  readonly name: string
  /** Who has the right at all. */
  readonly actors: readonly Actor[]
  readonly path: string
  readonly body: (risk: Risk) => object | undefined
  readonly verdict: (state: State, risk: Risk, actor: Actor) => Verdict
}

const ofAgent = (name: string, path: string, body: Act['body'], verdict: (state: State) => Verdict): Act => ({
  name,
  actors: agents,
  path,
  body,
  verdict: (state, _risk, actor) =>
    actor === 'another agent' ? refused('404 consultation.not_found') : verdict(state),
})
const answering = (name: string, body: Act['body'], unconfirmed: (risk: Risk) => boolean): Act => ({
  name,
  actors: deciders,
  path: 'respond',
  body,
  verdict: (state, risk) => {
    if (!isOpen(state)) return refused(closedAs(state))
    return unconfirmed(risk) ? refused('403 consultation.confirmation_required') : done('200', 'responded')
  },
})

const acts: readonly Act[] = [
  answering(
    'approve, confirmed',
    (risk) => answerOf('approve', risk),
    () => false,
  ),
  answering(
    'approve',
    () => ({ decision: 'approve' }),
    (risk) => risk === 'high' || risk === 'critical',
  ),
  answering(
    'reject',
    (risk) => answerOf('reject', risk),
    () => false,
  ),
  answering(
    'send back',
    (risk) => answerOf('request_changes', risk),
    () => false,
  ),
  {
    name: 'undo',
    actors: deciders,
    path: 'undo',
    body: () => undefined,
    verdict: (state, _risk, actor) => {
      if (state === 'to be released' || isDecided(state)) return refused('409 consultation.already_released')
      if (!isHeld(state)) return refused('409 consultation.nothing_to_undo')
      return actor === 'the reviewer who decided' ? done('200', 'pending') : refused('403 consultation.not_the_decider')
    },
  },
  ofAgent(
    'cancel',
    'cancel',
    () => undefined,
    (state) => (isOpen(state) || isHeld(state) ? done('200', 'cancelled') : refused(closedAs(state))),
  ),
  ofAgent(
    'revise',
    'revisions',
    () => ({ title: 'y', context: {} }),
    (state) =>
      isOpen(state) || isHeld(state) || isSentBack(state) ? done('201', 'pending') : refused(closedAs(state)),
  ),
  ofAgent(
    'revise another revision',
    'revisions',
    () => ({ title: 'y', context: {}, revision: 2 }),
    (state) =>
      isOpen(state) || isHeld(state) || isSentBack(state)
        ? refused('412 consultation.revision_changed')
        : refused(closedAs(state)),
  ),
  ofAgent(
    'redeem',
    'redeem',
    () => undefined,
    (state) => {
      if (state === 'completed') return refused('409 consultation.already_completed')
      if (state === 'used') return refused('409 consultation.already_redeemed')
      return isUsable(state) ? done('200', wireStateOf(state)) : refused('409 consultation.not_approved')
    },
  ),
  ofAgent(
    'report the outcome',
    'outcome',
    () => ({ status: 'failed' }),
    (state) => {
      if (state === 'completed') return refused('409 consultation.already_completed')
      return isDecided(state) && !isSentBack(state)
        ? done('200', 'completed')
        : refused('409 consultation.nothing_to_report')
    },
  ),
  {
    name: 'redeliver',
    actors: [...agents, ...deciders],
    path: 'redeliver',
    body: () => undefined,
    verdict: (state, _risk, actor) => {
      if (actor === 'another agent') return refused('404 consultation.not_found')
      return state.includes('callback')
        ? done('202', wireStateOf(state))
        : refused('409 consultation.nothing_to_redeliver')
    },
  },
]

function wireStateOf(state: State): string {
  return state.endsWith('sent') ? 'callback_sent' : state.endsWith('failed') ? 'callback_failed' : 'responded'
}

/** The row without what a read changes: nothing. */
const rowOf = async (id: string): Promise<unknown> => {
  const [row] = await t.sql(
    `select md5(c::text || coalesce((select string_agg(a::text, ',' order by a::text) from consultation_answers a
       where a.request_id = c.id), '') || (select count(*) from consultation_revisions r where r.request_id = c.id)) as row
     from consultation_requests c where c.id = $1`,
    [id],
  )
  return row?.row
}

const wireState = async (id: string): Promise<string> =>
  (await t.call('GET', `/api/v1/requests/${id}`, { as: t.admin.token })).body.state

let cells = 0
for (const risk of risks) {
  describe(`at ${risk} risk`, () => {
    for (const state of Object.keys(states)) {
      test(state, async () => {
        const shared = await requestIn(state, risk)
        const before = await rowOf(shared)
        for (const act of acts) {
          const play = async (actor: Actor): Promise<void> => {
            const cell = `${act.name} by ${actor}`
            const mayAct = act.actors.includes(actor)
            const verdict = mayAct ? act.verdict(state, risk, actor) : refused('403 auth.forbidden')
            const id = verdict.leaves === undefined ? shared : await requestIn(state, risk)
            const reply = await post(id, act.path, tokens[actor], act.body(risk))
            const told = reply.status < 300 ? `${reply.status}` : `${reply.status} ${reply.body.code}`
            assert.equal(told, verdict.told, cell)
            if (verdict.leaves !== undefined) assert.equal(await wireState(id), verdict.leaves, cell)
          }
          const callers = actors.filter((actor) => actor !== 'the timer')
          cells += callers.length
          await Promise.all(callers.map(play))
        }
        assert.equal(await rowOf(shared), before, 'a refusal has changed the request')
        cells += 1
        // Due ones of other states are done by now.
        await t.app.consultations.expireDue(100)
        const swept = { overdue: 'timeout', 'to be released': 'responded' }[state]
        if (swept === undefined) assert.equal(await rowOf(shared), before, 'the timer has changed it')
        else assert.equal(await wireState(shared), swept)
      })
    }
  })
}

test('every cell was played', () => {
  assert.equal(cells, risks.length * Object.keys(states).length * (acts.length * (actors.length - 1) + 1))
})
