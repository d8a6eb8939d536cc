import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { callbackRules } from '../../src/callbacks/callback.ts'
import { createCallbackChannel } from '../../src/callbacks/channel.ts'
import { createCallbackProofs } from '../../src/callbacks/proof.ts'
import * as store from '../../src/deliveries/store.ts'
import type { Limits } from '../../src/deliveries/targets.ts'
import { createDeliveryWorker, type DeliveryDependencies } from '../../src/deliveries/worker.ts'
import { createTransport } from '../../src/outbound/transport.ts'
import { installationId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { secretKey, startTestApp, type TestApp } from '../harness.ts'
import { addOrganization, type TestOrganization } from '../people-and-keys.ts'
import { receiverFor } from '../receivers.ts'

// Organizations share the slots of a process. The apps here only serve calls; the test delivers.

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { ROLE: 'api', DATABASE_POOL: '8' } })
})
after(() => t.stop())

/** Creates this many answered requests of an organization, with their callbacks due. */
async function dueCallbacks(of: TestOrganization, url: string, count: number, bytes = 0): Promise<void> {
  for (let made = 0; made < count; made += 1) {
    const metadata = { large: 'x'.repeat(bytes) }
    const body = { title: 'May I?', context: {}, callback_webhook: url, metadata }
    const created = await t.call('POST', '/api/v1/requests', { as: of.apiKey.raw, body })
    assert.equal(created.status, 201, created.text)
    const answer = { as: of.reviewer.token, body: { decision: 'approve' } }
    const answered = await t.call('POST', `/api/v1/requests/${created.body.id}/respond`, answer)
    assert.equal(answered.status, 200, answered.text)
  }
}

/** Organizations in the order of their ids. */
async function organizations(count: number): Promise<readonly TestOrganization[]> {
  const made: TestOrganization[] = []
  while (made.length < count) made.push(await addOrganization(t))
  return made.sort((one, other) => (one.organizationId < other.organizationId ? -1 : 1))
}

const forget = () => t.sql('update deliveries set due_at = null, status = $1 where due_at is not null', ['failed'])

function workerWithEightSlots(options: Partial<Pick<DeliveryDependencies, 'pollMs' | 'targets'>> = {}) {
  const log = createLog('silent', false)
  const callback = createCallbackChannel({
    transport: createTransport({ rules: callbackRules(['127.0.0.1']), timeoutMs: 60_000 }),
    log,
    proofs: createCallbackProofs([secretKey]),
    secretOf: () => null,
    requestOf: async () => null,
    traced: () => ({ traceparent: null, end: () => {} }),
    recordOutcomes: (tx, requests) => t.app.consultations.recordCallbacks(tx, requests),
  })
  return createDeliveryWorker({
    db: t.app.db,
    clock: t.clock,
    log,
    channels: new Map([['callback', callback]]),
    report: (tx, facts) => t.app.audit.append(tx, facts),
    hold: t.app.restored,
    targets: { total: 8, perTarget: 2 },
    ...options,
  })
}

describe('a worker with eight slots', () => {
  test('delivers for a new organization while another has more slow receivers than there are slots', async (c) => {
    c.after(forget)
    const [greedy, newcomer] = await organizations(2)
    assert.ok(greedy && newcomer)
    const held: ServerResponse[] = []
    const slow = await Promise.all(
      Array.from({ length: 10 }, () => receiverFor(c, { behaviour: (response) => void held.push(response) })),
    )
    for (const receiver of slow) await dueCallbacks(greedy, receiver.url, 2)
    const worker = workerWithEightSlots()
    c.after(() => worker.stop(0))
    worker.start()
    await eventually('its slow receivers have half of the slots', () => held.length === 4)

    const quick = await receiverFor(c)
    await dueCallbacks(newcomer, quick.url, 6)
    worker.wake()
    await quick.waitFor(6)
    assert.equal(held.length, 4, 'which is all it gets')

    for (const receiver of slow) receiver.behave({ body: 'ok' })
    for (const response of held) response.end('ok')
    await eventually('the greedy one is served', () => slow.every(({ requests }) => requests.length === 2))
    await worker.drain()
    const [left] = await t.sql(`select count(*)::int from deliveries where status <> 'sent'`)
    assert.equal(left?.count, 0)
  })

  test('sends the next callback the moment one comes back from a full receiver, not at the next poll', async (c) => {
    c.after(forget)
    const [organization] = await organizations(1)
    assert.ok(organization)
    const receiver = await receiverFor(c)
    await dueCallbacks(organization, receiver.url, 40)
    // There is no second poll.
    const worker = workerWithEightSlots({ pollMs: 3_600_000 })
    c.after(() => worker.stop(0))
    worker.start()
    await receiver.waitFor(40)
  })
})

describe('bodies under way are weighed', () => {
  test('hanging receivers of large callbacks hold half of the bytes, and small callbacks go past them', async (c) => {
    c.after(forget)
    const [organization] = await organizations(1)
    assert.ok(organization)
    const held: ServerResponse[] = []
    const slow = await Promise.all(
      Array.from({ length: 2 }, () => receiverFor(c, { behaviour: (response) => void held.push(response) })),
    )
    for (const { url } of slow) await dueCallbacks(organization, url, 10, 100_000)
    const worker = workerWithEightSlots({ targets: { totalBytes: 1_000_000 } })
    c.after(() => worker.stop(0))
    worker.start()
    const quick = await receiverFor(c)
    await dueCallbacks(organization, quick.url, 40)
    worker.wake()
    await quick.waitFor(40)
    assert.equal(held.length, 4, 'a body and what belongs to it are a little more than 100 000 bytes')

    for (const receiver of slow) receiver.behave({ body: 'ok' })
    for (const response of held) response.end('ok')
    await eventually('all are sent', () => slow.every(({ requests }) => requests.length === 10))
    await worker.drain()
    const [left] = await t.sql(`select count(*)::int from deliveries where due_at is not null`)
    assert.equal(left?.count, 0)
  })
})

describe('a claim', () => {
  const unlimited: Limits = {
    perOrganization: 1_000,
    organizations: {},
    receivers: {},
    perNewReceiver: 1_000,
    newReceivers: {},
    bytes: 2 ** 31,
    organizationBytes: {},
  }

  /** Claims callbacks and returns how many each organization got, in order. */
  async function claimed(
    of: readonly TestOrganization[],
    wanted: Partial<Parameters<typeof store.claim>[1]> = {},
  ): Promise<readonly number[]> {
    const now = t.clock.now()
    const leases = await store.claim(t.app.db.within({ worker: true }), {
      now,
      leaseUntil: new Date(now.getTime() + 8_000),
      perReceiver: 100,
      perOrganization: 100,
      total: 100,
      limits: unlimited,
      after: installationId,
      ...wanted,
    })
    return of.map(({ organizationId }) => leases.filter((lease) => lease.organizationId === organizationId).length)
  }

  test('takes turns: it begins after the organization that was served last', async (c) => {
    c.after(forget)
    const all = await organizations(3)
    const [first, second, third] = all
    assert.ok(first && second && third)
    for (const one of all) await dueCallbacks(one, 'http://127.0.0.1:9/', 6)
    assert.deepEqual(await claimed(all, { total: 4, perOrganization: 2 }), [2, 2, 0])
    assert.deepEqual(await claimed(all, { total: 4, perOrganization: 2, after: second.organizationId }), [2, 0, 2])
    assert.deepEqual(await claimed(all, { total: 4, perOrganization: 2, after: first.organizationId }), [0, 2, 2])
    assert.deepEqual(await claimed(all, { after: third.organizationId }), [2, 2, 2], 'each once, whoever is left')
    assert.deepEqual(await claimed(all), [0, 0, 0])
  })

  test('respects the limits of organizations and receivers', async (c) => {
    c.after(forget)
    const all = await organizations(3)
    const [first, second, third] = all
    assert.ok(first && second && third)
    for (const one of all) {
      for (const port of [1, 2]) await dueCallbacks(one, `http://127.0.0.1:${port}/`, 3)
    }
    const limits: Limits = {
      ...unlimited,
      perOrganization: 5,
      organizations: { [first.organizationId]: 1, [second.organizationId]: 0 },
      receivers: { [`${third.organizationId} http://127.0.0.1:1`]: 1 },
    }
    assert.deepEqual(await claimed(all, { limits, perReceiver: 2 }), [1, 0, 3])
    assert.deepEqual(await claimed(all, { limits: { ...limits, receivers: {} } }), [1, 0, 3])
    assert.deepEqual(await claimed(all), [4, 6, 0])
  })

  test('skips the backlog of a dead receiver: no step of its plan reads many more rows than it claims', async (c) => {
    const own = await startTestApp({ environment: { ROLE: 'api' } })
    c.after(() => own.stop())
    // 200 organizations, each with 20 receivers, each with 10 callbacks due and 10 settled, so that the planner cannot know that
    // one receiver has 100 000. Only the outbox has rows, because the requests do not matter here.
    await own.sql(`set session_replication_role = replica`)
    const rows = (targets: string, count: number, due: string) =>
      own.sql(
        `insert into deliveries (organization_id, id, channel, subject_id, address, target, body, body_bytes, retry_seconds, recovery_seconds, status,
           due_at, created_at, updated_at)
         select lpad(to_hex(organization), 32, '0')::uuid, gen_random_uuid(), 'callback', gen_random_uuid(), '',
           'https://' || target, '{}', 2, '{1}', '{}', case when ${due} is null then 'sent' else 'pending' end, ${due}, now(), now()
         from ${targets}, generate_series(1, $1) number`,
        [count],
      )
    const all = 'generate_series(1, 200) organization, generate_series(1, 20) target'
    await rows(all, 10, "timestamptz '2020-01-01'")
    await rows(all, 10, 'null::timestamptz')
    await rows("(values (1, 'dead')) as one(organization, target)", 100_000, "timestamptz '2020-01-01'")
    await own.sql('analyze deliveries')
    const { text } = store.claimStatement
    const now = own.clock.now()
    const [explained] = await own.app.db.within({ worker: true }).execute<{ 'QUERY PLAN': string }>(
      { name: 'explain_claim', text: `explain (analyze, format json) ${text}` },
      // The limits of a worker's claim: 32 per receiver, 64 per organization, 128 in all.
      [now, new Date(now.getTime() + 8_000), 32, 128, '{}', installationId, 64, '{}', 2 ** 31, '{}', '{}', 32],
    )
    const plan = JSON.parse(String(explained?.['QUERY PLAN']))[0].Plan
    assert.equal(plan['Actual Rows'], 128)
    assert.deepEqual(stepsOver(plan, 1_000), [])
  })

  test('takes bodies up to the bytes that are free, and the first one in any case', async (c) => {
    c.after(forget)
    const all = await organizations(2)
    const [first, second] = all
    assert.ok(first && second)
    for (const one of all) await dueCallbacks(one, 'http://127.0.0.1:9/', 4, 100_000)
    const limits = { ...unlimited, bytes: 250_000 }
    assert.deepEqual(await claimed(all, { limits }), [2, 0])
    assert.deepEqual(
      await claimed(all, { limits: { ...limits, organizationBytes: { [first.organizationId]: 50_000 } } }),
      [0, 2],
    )
    assert.deepEqual(await claimed(all, { limits: { ...limits, bytes: 50_000 } }), [0, 0])
    await dueCallbacks(second, 'http://127.0.0.1:9/', 2)
    assert.deepEqual(await claimed(all, { limits: { ...limits, bytes: 0 } }), [0, 2], 'small ones are not weighed')
    assert.deepEqual(await claimed(all), [2, 2])
  })
})

interface PlanStep {
  readonly 'Node Type': string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly Plans?: readonly PlanStep[]
}

/** The steps of a plan that read more rows than this. */
function stepsOver(step: PlanStep, rows: number): readonly string[] {
  const own =
    step['Actual Rows'] > rows ? [`${step['Node Type']} ${step['Index Name'] ?? ''}: ${step['Actual Rows']}`] : []
  return [...own, ...(step.Plans ?? []).flatMap((below) => stepsOver(below, rows))]
}
