import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type App, createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addPerson, type TestPerson } from '../people-and-keys.ts'
import { recordedEvents } from '../recorded-events.ts'
import { totalsAndCounts } from './table-contents.ts'

const path = '/api/v1/requests'
const responders = 16

let t: TestApp
/** A second process, from the database's point of view. */
let second: App
const people: TestPerson[] = []
before(async () => {
  t = await startTestApp()
  second = await createApp({
    config: testConfig(),
    secretKey,
    connection: t.connection,
    log: createLog('silent', false),
    clock: t.clock,
  })
  for (let added = 0; added < responders; added += 1) people.push(await addPerson(t))
})
after(async () => {
  await second.stop()
  await t.stop()
})

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: replies of every shape
  readonly body: any
}

/** Without the OpenAPI check of `call`, which would cost more than the calls. */
async function post(app: App, url: string, token: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}` }
  const reply = await app.http.inject({
    method: 'POST',
    url,
    headers,
    ...(body === undefined ? {} : { payload: body as object }),
  })
  return { status: reply.statusCode, body: JSON.parse(reply.body) }
}

async function createMany(count: number, fields: object = {}): Promise<readonly string[]> {
  const made = await Promise.all(
    Array.from({ length: count }, () => post(t.app, path, t.apiKey, { title: 'x', context: {}, ...fields })),
  )
  return made.map(({ body }) => body.id)
}

const closing = ['request.responded', 'request.cancelled', 'request.timed_out']

test('1 000 requests, 16 responders each: one 200 and fifteen 409 that name the winner', async () => {
  const decisions = ['approve', 'reject', 'request_changes']
  for (let wave = 0; wave < 100; wave += 1) {
    const ids = await createMany(10)
    const rounds = await Promise.all(
      ids.map((id) =>
        Promise.all(
          people.map((person, index) =>
            post(index % 2 === 0 ? t.app : second, `${path}/${id}/respond`, person.token, {
              decision: decisions[index % 3],
            }),
          ),
        ),
      ),
    )
    for (const [place, answers] of rounds.entries()) {
      const winners = answers.flatMap(({ status }, index) => (status === 200 ? [index] : []))
      assert.equal(winners.length, 1, `request ${ids[place]} was answered ${winners.length} times`)
      const winner = people[winners[0] ?? -1]
      const won = answers[winners[0] ?? -1]?.body
      assert.deepEqual(
        [won.response.responder_id, won.response.decision],
        [winner?.id, decisions[(winners[0] ?? 0) % 3]],
      )
      for (const lost of answers.filter(({ status }) => status !== 200)) {
        assert.deepEqual(
          [lost.status, lost.body.detail, lost.body.responded_by, lost.body.responded_at],
          [409, 'Request is already responded, cannot respond', winner?.id, won.responded_at],
        )
      }
    }
  }
  const [once] = await t.sql(
    `select count(*)::int as events, count(distinct e.subject_id)::int as requests,
       count(*) filter (where e.actor_id = c.responder_id and e.record::jsonb->'after'->>'decision' = c.decision)::int as agreeing
     from events e join consultation_requests c on c.id = e.subject_id where e.kind = 'request.responded'`,
  )
  assert.deepEqual(once, { events: 1_000, requests: 1_000, agreeing: 1_000 })
})

test('300 requests, answered, cancelled and timed out at once by two processes: exactly one outcome each', async () => {
  const outcomes = new Map<string, number>()
  for (const repliesBeforeTimeout of [0, 1, 150]) {
    const wave = await createMany(100, { timeout_minutes: 1 })
    const calls = (id: string): (() => Promise<Answer>)[] => [
      ...people
        .slice(0, 4)
        .map(
          (person, index) => () =>
            post(index % 2 ? t.app : second, `${path}/${id}/respond`, person.token, { decision: 'approve' }),
        ),
      () => post(second, `${path}/${id}/cancel`, t.apiKey),
      () => post(t.app, `${path}/${id}/cancel`, t.apiKey),
    ]
    // The clock jumps over the timeout when some are answered: earlier decisions count, the rest are late.
    const jump = Promise.withResolvers<void>()
    let replies = 0
    const jumpAfter = (count: number): void => {
      if (count !== repliesBeforeTimeout) return
      t.clock.advance(60_000)
      jump.resolve()
    }
    jumpAfter(0)
    const counted = async (answer: Promise<Answer>): Promise<Answer> => {
      const reply = await answer
      replies += 1
      jumpAfter(replies)
      return reply
    }
    // Most are answered first, some cancelled first.
    const startOf = (index: number, place: number): number => ((index % 8 === 0) === place < 4 ? 6 : 0)
    const sweep = async (app: App): Promise<void> => {
      for (let round = 0; round < 20; round += 1) await app.consultations.expireDue(10)
    }
    const [answers] = await Promise.all([
      Promise.all(
        wave.map((id, index) =>
          Promise.all(calls(id).map((call, place) => counted(turns(startOf(index, place)).then(call)))),
        ),
      ),
      jump.promise.then(() => Promise.all([sweep(t.app), sweep(second)])),
    ])
    // A sweep skips rows that a late answer has locked; the next one finds them.
    await t.app.consultations.expireDue(1_000)
    t.clock.advance(-60_000)
    for (const [index, id] of wave.entries()) {
      const won = (answers[index] ?? []).filter(({ status }) => status === 200)
      const lost = (answers[index] ?? []).filter(({ status }) => status === 409)
      assert.equal(won.length + lost.length, 6)
      const { body: read } = await t.call('GET', `${path}/${id}`, { as: t.apiKey })
      assert.equal(won.length, read.state === 'timeout' ? 0 : 1, `${id} is ${read.state}`)
      if (won[0] !== undefined) assert.deepEqual([won[0].body.state, won[0].body.response], [read.state, read.response])
      for (const { body } of lost) {
        assert.match(body.detail, new RegExp(`^Request is already ${read.state}, cannot (respond|cancel)$`))
        assert.equal(body.responded_by, read.responded_by)
      }
      const kind = { responded: 'request.responded', cancelled: 'request.cancelled', timeout: 'request.timed_out' }[
        String(read.state)
      ]
      assert.deepEqual(
        (await recordedEvents(t.sql, { subject: id, kinds: closing })).map((event) => event.kind),
        [kind],
      )
      outcomes.set(read.state, (outcomes.get(read.state) ?? 0) + 1)
    }
  }
  // Otherwise there was no race.
  for (const state of ['responded', 'cancelled', 'timeout']) assert.ok((outcomes.get(state) ?? 0) > 0, `never ${state}`)
  const { totals, counts } = await totalsAndCounts(t)
  assert.deepEqual(totals, counts)
})

/** Lets the event loop turn, so that calls meet at different points. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
