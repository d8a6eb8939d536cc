import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { orderOf } from '../../src/callbacks/order.ts'
import * as callbacks from '../../src/consultations/callback-progress.ts'
import type { Change, Consultation } from '../../src/consultations/consultation.ts'
import * as rules from '../../src/consultations/consultation.ts'
import { undo } from '../../src/consultations/hold.ts'
import { list } from '../../src/consultations/list-store.ts'
import { parseSearch } from '../../src/consultations/search/query.ts'
import * as store from '../../src/consultations/store.ts'
import { endAttempt, settledAttempt } from '../../src/deliveries/delivery.ts'
import * as outbox from '../../src/deliveries/store.ts'
import { type Caller, keyScopes, type Person } from '../../src/identity/principal.ts'
import { inTransaction } from '../../src/platform/database/db.ts'
import { newId } from '../../src/platform/ids.ts'
import { type JsonText, parseExactJson } from '../../src/platform/json.ts'
import { Problem } from '../../src/platform/problem.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addPerson, type TestKey, type TestPerson } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { bodyOf } from './body-of.ts'
import { coreQuestion } from './core-question.ts'
import { tableContents, totalsAndCounts } from './table-contents.ts'

let t: TestApp
let key: TestKey
let people: readonly TestPerson[]
before(async () => {
  t = await startTestApp()
  key = await addApiKey(t)
  people = [await addPerson(t), await addPerson(t)]
})
after(() => t.stop())

const certify: rules.Certify = (decided) => ({
  certificate: `h.${decided.id}.s`,
  certificateExpiresAt: new Date(decided.createdAt.getTime() + 86_400_000),
})
const owner = () => ({ organizationId: t.organizationId, agentId: key.agentId, apiKeyId: key.id })

function proposal(fields: Partial<rules.Proposal> = {}): rules.Proposal {
  return {
    title: 'x',
    description: null,
    context: '{"a": 1.0}' as JsonText,
    metadata: null,
    timeoutMinutes: 60,
    callbackUrl: 'https://agent.example.com/',
    callbackSecret: null,
    ...coreQuestion,
    callbackRetrySeconds: null,
    callbackEvents: null,
    traceparent: null,
    holdSeconds: 0,
    ...fields,
  }
}

const scope = () => ({ organizationId: t.organizationId })

async function inserted(fields: Partial<rules.Proposal> = {}): Promise<Consultation> {
  const { after: opened } = rules.open(proposal(fields), owner(), newId(), t.clock.now())
  await inTransaction(t.app.db, scope(), (tx) => store.insert(tx, [{ consultation: opened, idempotency: null }]))
  return opened
}

const readBack = async (...ids: readonly string[]): Promise<readonly Consultation[]> => {
  const { found } = await store.read(
    t.app.db.within(scope()),
    ids.map((id) => ({ organizationId: t.organizationId, id })),
  )
  return ids.map((id) => found.find((row) => row.id === id) ?? assert.fail(`${id} is not there`))
}

describe('the row read back equals what the rule returned', () => {
  for (const [what, fields] of [
    [
      'with all fields',
      {
        metadata: '{ "m":[1E5,-0] }' as JsonText,
        description: 'd',
        callbackSecret: Buffer.of(0, 1, 255),
        ...coreQuestion,
        callbackRetrySeconds: [0, 5],
      },
    ],
    ['with none', { metadata: null, timeoutMinutes: null, callbackUrl: null, callbackRetrySeconds: [] }],
  ] as const) {
    test(`after open, ${what}`, async () => {
      const opened = await inserted(fields)
      assert.deepEqual(await readBack(opened.id), [opened])
    })
  }

  test('after every act of a random walk, one by one and many in one save', async () => {
    const acts: Readonly<Record<string, (before: Consultation, now: Date, text: string) => Change | null>> = {
      approve: (before, now, comment) =>
        rules.respond(
          before,
          { userId: people[0]?.id ?? '', role: 'reviewer' },
          { decision: 'approve', comment },
          now,
          certify,
        ),
      reject: (before, now) =>
        rules.respond(
          before,
          { userId: people[1]?.id ?? '', role: 'reviewer' },
          { decision: 'reject', comment: null },
          now,
          certify,
        ),
      cancel: (before, now) => rules.cancel(before, { kind: 'agent', id: key.id }, now),
      expire: rules.expire,
    }
    const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((value) => !value.includes('\0'))
    const step = fc.tuple(fc.constantFrom(...Object.keys(acts)), fc.integer({ min: 0, max: 7_200_000 }), text)
    const origin = t.clock.now().getTime()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 8 }), { minLength: 1, maxLength: 4 }), async (walks) => {
        const current = await Promise.all(walks.map(() => inserted({ callbackUrl: null })))
        for (let round = 0; round < 8; round += 1) {
          const changes: Change[] = []
          for (const [place, walk] of walks.entries()) {
            const [name, ms, said] = walk[round] ?? ['none', 0, '']
            const before = current[place]
            try {
              const change = before === undefined ? null : (acts[name]?.(before, new Date(origin + ms), said) ?? null)
              if (change === null) continue
              changes.push(change)
              current[place] = change.after
            } catch (error) {
              assert.ok(error instanceof Problem)
            }
          }
          if (changes.length > 0) await inTransaction(t.app.db, scope(), (tx) => store.save(tx, changes))
          assert.deepEqual(await readBack(...current.map(({ id }) => id)), current)
        }
        const { totals, counts } = await totalsAndCounts(t)
        assert.deepEqual(totals, counts)
      }),
      { numRuns: 60 },
    )
  })

  test('after every outcome of its callback that the outbox records: what the rule says', async () => {
    const outcomes = {
      sent: { kind: 'sent' },
      retry: { kind: 'retry', afterMs: 2_000, error: 'no', isRecovery: false, isAsked: false },
      recovery: { kind: 'retry', afterMs: 60_000, error: 'still no', isRecovery: true, isAsked: false },
      failed: { kind: 'failed', error: 'never' },
    } as const
    const step = fc.record({
      kind: fc.constantFrom(...Object.keys(outcomes), 'redeliver'),
      ms: fc.nat(5),
      held: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const opened = await inserted()
        const responder = { userId: people[0]?.id ?? '', role: 'reviewer' }
        const approve = { decision: 'approve', comment: null } as const
        const closed = callbacks.owing(rules.respond(opened, responder, approve, t.clock.now(), certify), newId)
        const [subject, leaseToken] = [
          { organizationId: t.organizationId, channel: 'callback', subjectId: opened.id },
          newId(),
        ]
        const { id, ...order } = orderOf(closed) ?? assert.fail('no callback is owed')
        const delivery = {
          ...subject,
          id,
          event: order.event,
          address: 'https://agent.example.com/',
          target: 'https://agent.example.com',
          secret: null,
          body: '{}',
          traceparent: null,
          proof: null,
          bodyBytes: 2,
          retrySeconds: [],
          recoverySeconds: [],
          createdAt: order.dueAt,
          changedAt: closed.after.updatedAt,
          isShown: true,
        }
        await inTransaction(t.app.db, scope(), async (tx) => {
          await store.save(tx, [closed])
          await outbox.enqueue(tx, [{ delivery, dueAt: new Date('2900-01-01'), leaseToken }], t.clock.now())
        })
        let current = closed.after
        let [attempts, roundAttempts, failedAt]: [number, number, Date | null] = [0, 0, null]
        let now = t.clock.now().getTime()
        for (const { kind, ms, held } of steps) {
          assert.deepEqual(await readBack(opened.id), [current])
          now += ms
          const at = new Date(now)
          if (kind === 'redeliver') {
            if (!['sent', 'failed'].includes(current.callback.status)) continue
            current = callbacks.redeliver(current, { kind: 'system', id: null }, at).after
            await inTransaction(t.app.db, scope(), (tx) => outbox.rearm(tx, [{ ...subject, id: delivery.id }], at))
            ;[roundAttempts, failedAt] = [0, null]
            continue
          }
          if (current.callback.nextAttemptAt === null) continue
          const next = outcomes[kind as keyof typeof outcomes]
          const isHeld = held && next.kind !== 'sent' && kind !== 'retry'
          const result = {
            statusCode: 500,
            durationMs: 1,
            reply: '',
            errorCode: null,
            error: null,
            isTargetInTrouble: true,
            next,
          }
          const leased = { ...delivery, attempts, roundAttempts, failedAt, bodySha256: null, leaseToken }
          const times = { id: newId(), startedAt: at, endedAt: at }
          const ended = { ...endAttempt(leased, result, times), ...(isHeld && { isHeld: true as const }) }
          await t.sql('update deliveries set lease_token = $2 where id = $1', [id, leaseToken])
          const settled = await inTransaction(t.app.db, scope(), (tx) => outbox.settle(tx, [ended], at))
          const { outcome, changedAt } = settledAttempt(
            ended,
            settled.get(times.id) ?? assert.fail('it was not settled'),
          )
          const change = callbacks.callbackAttempted(current, outcome, changedAt)
          await inTransaction(t.app.db, scope(), (tx) => store.moveTotals(tx, [change]))
          current = change.after
          if (!isHeld) [attempts, roundAttempts] = [attempts + 1, roundAttempts + 1]
        }
        assert.deepEqual(await readBack(opened.id), [current])
      }),
      { numRuns: 60 },
    )
  })

  test('lock and lockCore read the same as read', async () => {
    const opened = await inserted({ callbackSecret: Buffer.of(9) })
    const keys = [{ organizationId: t.organizationId, id: opened.id }]
    const {
      title,
      description,
      context,
      metadata,
      callbackUrl,
      callbackSecret,
      callbackRetrySeconds,
      callbackEvents,
      traceparent,
      holdSeconds,
      ...rest
    } = opened
    const { certificate, attachments, revisedAt, revisingKeyId, ...others } = rest
    const { action, answerAsked, justification, presentation, riskProposed, priority, tags, runId, ...core } = others
    assert.deepEqual(
      { action, answerAsked, justification, presentation, riskProposed, priority, tags, runId },
      coreQuestion,
    )
    assert.deepEqual(await inTransaction(t.app.db, scope(), (tx) => store.lock(tx, keys)), {
      found: [opened],
      left: [],
    })
    assert.deepEqual(await inTransaction(t.app.db, scope(), (tx) => store.lockCore(tx, keys)), [core])
    assert.deepEqual(
      [
        title,
        description,
        context,
        metadata,
        callbackUrl,
        callbackSecret,
        callbackRetrySeconds,
        callbackEvents,
        traceparent,
        holdSeconds,
        certificate,
        attachments,
        revisedAt,
        revisingKeyId,
      ].length,
      14,
    )
  })
})

describe('who waited for the lock', () => {
  const responder = () => ({ userId: people[0]?.id ?? '', role: 'reviewer' })
  /** What two that wait for the lock of `opened` find once `change` is saved. */
  const waited = async (opened: Consultation, change: rules.Change) => {
    const keys = [{ organizationId: t.organizationId, id: opened.id }]
    const waiting: Promise<unknown>[] = []
    await inTransaction(t.app.db, scope(), async (tx) => {
      await store.lock(tx, keys)
      waiting.push(inTransaction(t.app.db, scope(), (late) => store.lock(late, keys)))
      waiting.push(inTransaction(t.app.db, scope(), (late) => store.lockCore(late, keys)))
      await eventually('both wait for the lock', async () => {
        const [row] = await t.sql(`select count(*)::int as waiting from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`)
        return row?.waiting === 2
      })
      await store.save(tx, [change])
    })
    const [whole, core] = await Promise.all(waiting)
    assert.deepEqual(whole, { found: [change.after], left: [] })
    assert.deepEqual((core as readonly rules.ConsultationCore[])[0]?.response, change.after.response)
  }

  test('sees the answer that closed the request meanwhile, with its text', async () => {
    const opened = await inserted({ callbackUrl: null })
    const answer = { decision: 'approve', comment: 'I was first.' } as const
    await waited(opened, rules.respond(opened, responder(), answer, t.clock.now(), certify))
  })

  test('sees the new answer of a person who took another one back meanwhile', async () => {
    const opened = await inserted({ callbackUrl: null, holdSeconds: 60 })
    const first = { decision: 'approve', comment: 'Fine.' } as const
    const held = rules.respond(opened, responder(), first, t.clock.now(), certify)
    await inTransaction(t.app.db, scope(), async (tx) => {
      await store.lock(tx, [{ organizationId: t.organizationId, id: opened.id }])
      await store.save(tx, [held])
    })
    const undone = undo(held.after, responder(), t.clock.now())
    const again = rules.respond(
      undone.after,
      responder(),
      { ...first, comment: 'On reflection.' },
      t.clock.now(),
      certify,
    )
    await waited(opened, { ...again, before: held.after })
  })
})

describe('a batch is bounded in bytes', () => {
  const large = (mebibytes: number) => inserted({ context: `{"a":"${'x'.repeat(mebibytes * 1_048_576)}"}` as JsonText })
  const keysOf = (rows: readonly Consultation[]) => rows.map(({ organizationId, id }) => ({ organizationId, id }))

  for (const [what, look] of [
    ['read', (keys) => store.read(t.app.db.within(scope()), keys)],
    ['lock', (keys) => inTransaction(t.app.db, scope(), (tx) => store.lock(tx, keys))],
    ['lockFree', (keys) => inTransaction(t.app.db, scope(), (tx) => store.lockFree(tx, keys))],
  ] as const satisfies readonly (readonly [string, (keys: ReturnType<typeof keysOf>) => Promise<store.Batch>])[]) {
    test(`${what}: what comes after 8 MiB is left for the next, and one that is larger comes alone`, async () => {
      const rows = [await large(3), await large(3), await large(3), await large(1)]
      const { found, left } = await look(keysOf(rows))
      assert.deepEqual(
        [found.map(({ id }) => id), left],
        [keysOf(rows.slice(0, 2)).map(({ id }) => id), keysOf(rows.slice(2))],
      )
      const [alone] = [await large(9)]
      assert.deepEqual((await look(keysOf([alone, ...rows]))).left.length, 3)
      assert.deepEqual(await look(keysOf([alone])), { found: [alone], left: [] })
    })
  }
})

describe('every statement is limited to its organization', () => {
  test("reads, locks, saves and lists with another organization's id return and change nothing", async () => {
    const opened = await inserted()
    const foreign = { organizationId: newId(), id: opened.id }
    const { db } = t.app
    // In the row's own scope, because this tests the filters of the stores and not row-level security.
    const own = db.within(scope())
    const nothing = { found: [], left: [] }
    assert.deepEqual(await store.read(own, [foreign]), nothing)
    assert.deepEqual(await inTransaction(db, scope(), (tx) => store.lock(tx, [foreign])), nothing)
    assert.deepEqual(await inTransaction(db, scope(), (tx) => store.lockCore(tx, [foreign])), [])
    const contents = await tableContents(t)
    const { after: expired } = rules.cancel(opened, { kind: 'system', id: null }, t.clock.now())
    const wrong = { ...expired, organizationId: foreign.organizationId }
    await inTransaction(db, { organizationId: foreign.organizationId }, (tx) =>
      store.save(tx, [{ before: wrong, after: wrong, facts: [] }]),
    )
    assert.deepEqual(await tableContents(t), contents)
    const filter = {
      agentId: null,
      states: null,
      priorities: null,
      risks: null,
      runId: null,
      aside: null,
      search: null,
      answered: null,
      tags: null,
      updatedAfter: null,
      updatedUntil: null,
      sort: 'newest' as const,
      createdAfter: null,
      createdBefore: null,
      dueBefore: null,
      metadata: [],
      after: null,
      limit: 10,
      offset: 0,
      light: false,
    }
    for (const varied of [
      {},
      { agentId: key.agentId },
      { states: ['pending' as const] },
      { states: ['pending' as const, 'callback_sent' as const] },
      { sort: 'priority' as const },
      { updatedAfter: new Date(0), updatedUntil: new Date() },
      { after: { id: newId(), due: null, rank: null, window: null } },
      { sort: 'oldest' as const },
      { sort: 'due' as const },
    ]) {
      const page = await list(own, { ...filter, ...varied, organizationId: foreign.organizationId })
      assert.deepEqual([page.items, page.total], [[], 0])
    }
    for (const looked of [
      ...[false, true].map((isWanted) => ({ aside: { userId: people[0]?.id ?? '', now: new Date(0), isWanted } })),
      { createdAfter: new Date(0) },
      { search: parseSearch('may'), sort: 'relevance' as const },
      { search: parseSearch('may') },
      { dueBefore: t.clock.now() },
      { metadata: [['a', '1']] as const },
      { tags: ['a'] },
      { runId: 'a' },
      { priorities: ['urgent' as const] },
      { risks: ['high' as const] },
    ]) {
      const page = await list(own, { ...filter, ...looked, organizationId: foreign.organizationId })
      assert.deepEqual([page.items, page.total, page.next], [[], null, null])
    }
    assert.equal(await store.byIdempotencyKey(own, foreign.organizationId, key.agentId, 'x'), null)
  })
})

const reviewer = () => ({ organizationId: t.organizationId, id: t.reviewer.id })
const callerOf = (person: { organizationId: string; id: string }): Caller<Person> => ({
  principal: {
    kind: 'person',
    organizationId: person.organizationId,
    userId: person.id,
    accountId: person.id,
    role: 'reviewer',
  },
  httpRequestId: 'batch',
})

describe('a batch with one act that the database refuses', () => {
  test('fails only for that act, and each of the others is called back once', async () => {
    const receiver = await startReceiver()
    const made = await Promise.all(
      Array.from({ length: 30 }, () => t.createRequest({ callback_webhook: receiver.url })),
    )
    const poisoned = 17
    const stranger = callerOf({ organizationId: t.organizationId, id: newId() })
    const settled = await Promise.allSettled(
      made.map(({ id }, index) =>
        t.app.consultations.respond(
          index === poisoned ? stranger : callerOf(reviewer()),
          id,
          bodyOf({
            decision: 'approve',
            comment: null,
          }),
        ),
      ),
    )
    assert.deepEqual(
      settled.map(({ status }) => status),
      made.map((_, index) => (index === poisoned ? 'rejected' : 'fulfilled')),
    )
    await t.app.drain()
    const told = receiver.requests.map(({ body }) => JSON.parse(body.toString()).request_id)
    assert.deepEqual(
      [...told].sort(),
      made
        .filter((_, index) => index !== poisoned)
        .map(({ id }) => id)
        .sort(),
    )
    assert.equal(
      (await t.call('GET', `/api/v1/requests/${made[poisoned]?.id}`, { as: t.apiKey })).body.state,
      'pending',
    )
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(totals, counts)
    await receiver.close()
  })

  test('fails only for that creation', async () => {
    const agent = (agentId: string) => ({
      principal: { kind: 'agent' as const, ...owner(), agentId, scopes: keyScopes },
      httpRequestId: 'batch',
    })
    const body = parseExactJson(Buffer.from('{"title":"x","context":{"a":1.0}}'))
    const settled = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        t.app.consultations.create(agent(index === 3 ? newId() : key.agentId), body, {
          idempotency: null,
          traceparent: null,
        }),
      ),
    )
    assert.deepEqual(
      settled.flatMap(({ status }, index) => (status === 'rejected' ? [index] : [])),
      [3],
    )
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(totals, counts)
  })

  test('a refusal by the rule (409, 404) affects only its caller', async () => {
    const { id } = await t.createRequest()
    const answers = await Promise.allSettled([
      t.app.consultations.respond(callerOf(reviewer()), newId(), bodyOf({ decision: 'reject', comment: null })),
      t.app.consultations.respond(
        callerOf(reviewer()),
        id,
        bodyOf({ decision: 'approve', comment: null, revision: 7 }),
      ),
      t.app.consultations.respond(callerOf(reviewer()), id, bodyOf({ decision: 'approve', comment: 'first' })),
      t.app.consultations.respond(
        callerOf(people[0] ?? assert.fail()),
        id,
        bodyOf({ decision: 'reject', comment: null }),
      ),
    ])
    const codes = answers.map((answer) => (answer.status === 'rejected' ? answer.reason.status : answer.value.state))
    assert.deepEqual(codes.slice(0, 3), [404, 412, 'responded'])
    assert.equal(answers[3]?.status, 'rejected')
  })
})

test('an answer that replaces one that was taken back replaces every column of it', async () => {
  const rows = await t.sql(
    `select column_name as name from information_schema.columns where table_name = 'consultation_answers'`,
  )
  const key = ['organization_id', 'request_id', 'revision', 'responder_id']
  const others = rows.map(({ name }) => String(name)).filter((name) => !key.includes(name))
  assert.deepEqual(others.sort(), [...store.answerTexts, 'voided_at'].sort())
})
