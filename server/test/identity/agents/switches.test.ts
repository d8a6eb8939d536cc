import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { App } from '../../../src/app.ts'
import { totalsAndCounts } from '../../consultations/table-contents.ts'
import { type CallOptions, type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { addApiKey, addOrganization, type TestKey } from '../../people-and-keys.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { startOther, statusAt, withinASecond } from '../two-processes.ts'

const requests = '/api/v1/requests'
let t: TestApp
let other: App
before(async () => {
  t = await startTestApp()
  other = await startOther(t)
})
after(async () => {
  await other.stop()
  await t.stop()
})

const admin = (method: string, path: string, options: CallOptions = {}) =>
  t.call(method, `/api/v1${path}`, { as: t.admin.token, ...options })
const turn = async (key: TestKey, act: string, body: object = { reason: 'It asks too much.' }): Promise<Reply> => {
  const reply = await admin('POST', `/agents/${key.agentId}/${act}`, { body })
  assert.equal(reply.status, 200, reply.text)
  return reply
}
const turnAll = async (act: string, body: object = { reason: 'A key was stolen.' }): Promise<Reply> => {
  const reply = await admin('POST', `/organization/${act}`, { body })
  assert.equal(reply.status, 200, reply.text)
  return reply
}
const create = (as: string, app: App = t.app): Promise<number> => statusAt(app, as, 'POST')
const ask = async (as: string): Promise<string> => {
  const reply = await t.call('POST', requests, { as, body: { title: 'May I?', context: {} } })
  assert.equal(reply.status, 201, reply.text)
  return reply.body.id
}
interface Shown {
  readonly id: string
  readonly agent_paused: boolean
}
const read = async (id: string) => (await t.call('GET', `${requests}/${id}`, { as: t.reviewer.token })).body

const calls: readonly (readonly [string, (id: string) => string, object | undefined])[] = [
  ['GET', () => requests, undefined],
  ['GET', (id) => `${requests}/${id}`, undefined],
  ['GET', (id) => `${requests}/${id}/deliveries`, undefined],
  ['GET', (id) => `${requests}/${id}/certificate`, undefined],
  ['POST', (id) => `${requests}/${id}/redeliver`, undefined],
  ['POST', (id) => `${requests}/${id}/redeem`, undefined],
  ['POST', (id) => `${requests}/${id}/cancel`, undefined],
]

for (const [whose, press] of [
  ['agent', turn],
  ['organization', (_key: TestKey, act: string, body?: object) => turnAll(act, body)],
] as const) {
  describe(`the switch of an ${whose}`, () => {
    test('paused: new requests are 403 with since and reason, every other call works; resumed: all calls work', async () => {
      const key = await addApiKey(t)
      const id = await ask(key.raw)
      await press(key, 'pause', { reason: 'Stop asking.' })
      const refused = await t.call('POST', requests, { as: key.raw, body: { title: 'x', context: {} } })
      const { status, code, since, reason, detail } = refused.body
      assert.deepEqual([status, code, reason], [403, `${whose}.paused`, 'Stop asking.'])
      assert.equal(since, t.clock.now().toISOString())
      assert.match(detail, /Stop asking.*New requests are refused.*administrator resumes/)
      for (const [method, path] of calls) {
        const reply = await t.call(method, path(id), { as: key.raw })
        assert.notEqual(reply.status, 403, `${method} ${path(id)}: ${reply.text}`)
      }
      await press(key, 'resume', {})
      assert.equal(await create(key.raw), 201)
    })

    test('stopped: every call is 403; the key works again when the agent is resumed', async () => {
      const key = await addApiKey(t)
      const id = await ask(key.raw)
      await press(key, 'stop', { reason: 'It was taken over.' })
      for (const [method, path, body] of [...calls, ['POST', () => requests, { title: 'x', context: {} }] as const]) {
        const reply = await t.call(method, path(id), { as: key.raw, ...(body === undefined ? {} : { body }) })
        assert.deepEqual([reply.status, reply.body.code], [403, `${whose}.stopped`], `${method} ${path(id)}`)
        assert.equal(reply.body.reason, 'It was taken over.')
      }
      assert.equal((await read(id)).state, 'pending', 'nothing was cancelled')
      await press(key, 'resume', {})
      assert.equal((await t.call('POST', `${requests}/${id}/cancel`, { as: key.raw })).status, 200)
      assert.equal(await create(key.raw), 201)
    })

    for (const [act, wanted] of [
      ['pause', 'POST'],
      ['stop', 'GET'],
    ] as const) {
      test(`${act} and resume take effect at once in this process and within a second in another`, async (context) => {
        const key = await addApiKey(t)
        const [here, there] = [t.app, other].map((app) => () => statusAt(app, key.raw, wanted))
        assert.ok(here && there)
        const fine = wanted === 'POST' ? 201 : 200
        assert.deepEqual([await here(), await there()], [fine, fine], 'now both remember it')
        await press(key, act)
        assert.equal(await here(), 403)
        await withinASecond(context, there, 403, `after ${act} it was still served`)
        await press(key, 'resume', {})
        assert.equal(await here(), fine)
        await withinASecond(context, there, fine, 'after resume it was still refused')
      })
    }

    test('a process that still has the agent cached as active creates nothing for it', async (context) => {
      const key = await addApiKey(t)
      const bystander = await addApiKey(t)
      for (const act of ['pause', 'stop']) {
        assert.equal(await create(key.raw, other), 201, 'now it remembers it')
        await press(key, act)
        const statuses = await Promise.all(
          Array.from({ length: 12 }, (_, index) => create(index % 2 === 0 ? key.raw : bystander.raw, other)),
        )
        const mine = statuses.filter((_, index) => index % 2 === 0)
        assert.deepEqual(mine, Array(6).fill(403))
        if (whose === 'agent') assert.ok(statuses.every((status, index) => status === (index % 2 === 0 ? 403 : 201)))
        await press(key, 'resume', {})
        await context.waitFor(async () => assert.equal(await create(key.raw, other), 201), { timeout: 5_000 })
      }
      const { totals, counts } = await totalsAndCounts(t)
      assert.deepEqual(totals, counts)
    })

    test('open requests show the pause while it lasts, alone and in lists; others do not', async () => {
      const [key, bystander] = [await addApiKey(t), await addApiKey(t)]
      const [open, answered, cancelled] = [await ask(key.raw), await ask(key.raw), await ask(key.raw)]
      const theirs = await ask(bystander.raw)
      await t.call('POST', `${requests}/${cancelled}/cancel`, { as: key.raw })
      const before = new Date(t.clock.now().getTime() - 1).toISOString()
      const shown = async (...ids: string[]) => {
        const alone = await Promise.all(ids.map(async (id) => (await read(id)).agent_paused))
        for (const filter of ['', `&updated_after=${before}`]) {
          const page = await t.call('GET', `${requests}?limit=100${filter}`, { as: t.reviewer.token })
          const listed = new Map(page.body.items.map((item: Shown) => [item.id, item.agent_paused]))
          assert.deepEqual(
            ids.map((id) => listed.get(id)),
            alone,
            filter,
          )
        }
        return alone
      }
      assert.deepEqual(await shown(open, answered, cancelled, theirs), Array(4).fill(false))
      const { updated_at: changedAt } = await read(open)
      t.clock.advance(1_000)
      await press(key, 'pause')
      assert.deepEqual(await shown(open, answered, cancelled, theirs), [true, true, false, whose === 'organization'])
      assert.equal((await read(open)).updated_at, changedAt, 'the request itself has not changed')

      const body = { decision: 'approve' }
      const reply = await t.call('POST', `${requests}/${answered}/respond`, { as: t.reviewer.token, body })
      assert.deepEqual([reply.status, reply.body.agent_paused], [200, false], 'an answer is still possible')
      await press(key, 'stop')
      assert.deepEqual(await shown(open, answered, theirs), [true, false, whose === 'organization'])
      await press(key, 'resume', {})
      assert.deepEqual(await shown(open, answered, cancelled, theirs), Array(4).fill(false))
    })

    test('a second pause keeps the first time and reason; a pause does not weaken a stop', async () => {
      const key = await addApiKey(t)
      const first = (await press(key, 'pause', { reason: 'first' })).body
      t.clock.advance(1_000)
      const second = (await press(key, 'pause', { reason: 'second' })).body
      assert.deepEqual([second.paused_at, second.pause_reason], [first.paused_at, 'first'])
      const stopped = (await press(key, 'stop', { reason: 'third' })).body
      assert.deepEqual(
        [stopped.status, stopped.paused_at, stopped.paused_by, stopped.pause_reason],
        ['stopped', t.clock.now().toISOString(), t.admin.id, 'third'],
      )
      const path = whose === 'agent' ? `/agents/${key.agentId}/pause` : '/organization/pause'
      const weaker = await admin('POST', path, { body: { reason: 'fourth' } })
      assert.deepEqual([weaker.status, weaker.body.code], [409, `${whose}.already_stopped`])
      const resumed = (await press(key, 'resume', {})).body
      assert.deepEqual(
        [resumed.status, resumed.paused_at, resumed.paused_by, resumed.pause_reason],
        ['active', null, null, null],
      )
      assert.deepEqual((await press(key, 'resume', {})).body, resumed)
    })

    test('each change of the switch is one event with who, before, after and the reason', async () => {
      const key = await addApiKey(t)
      const subject = whose === 'agent' ? key.agentId : t.organizationId
      const kinds = ['paused', 'stopped', 'resumed'].map((act) => `${whose}.${act}`)
      const told = async () =>
        (await recordedEvents(t.sql, { subject, kinds })).map(({ kind, actor, before, after, erasable }) => ({
          kind,
          actor_id: actor.id,
          before: before.status,
          after: after.status,
          reason: erasable.reason,
        }))
      const earlier = (await told()).length
      for (const [act, body] of [
        ['pause', { reason: 'one' }],
        ['pause', { reason: 'again' }],
        ['stop', { reason: 'two' }],
        ['resume', { reason: 'three' }],
        ['resume', {}],
      ] as const) {
        t.clock.advance(1)
        await press(key, act, body)
      }
      const by = { actor_id: t.admin.id }
      assert.deepEqual((await told()).slice(earlier), [
        { kind: `${whose}.paused`, ...by, before: 'active', after: 'paused', reason: 'one' },
        { kind: `${whose}.stopped`, ...by, before: 'paused', after: 'stopped', reason: 'two' },
        { kind: `${whose}.resumed`, ...by, before: 'stopped', after: 'active', reason: 'three' },
      ])
    })

    test('the first refused call of an agent acknowledges the pause, once per pause', async (context) => {
      const key = await addApiKey(t)
      const told = async () =>
        (await recordedEvents(t.sql, { subject: key.agentId, kinds: ['agent.pause_acknowledged'] })).map(
          ({ actor, after, erasable }) => ({
            actor_kind: actor.kind,
            actor_id: actor.id,
            key_id: actor.key_id,
            network: erasable.network,
            switch: after.switch,
          }),
        )
      const acknowledgedAt = async () => (await admin('GET', `/agents/${key.agentId}`)).body.pause_acknowledged_at
      await press(key, 'pause')
      assert.equal((await t.call('GET', requests, { as: key.raw })).status, 200)
      assert.equal(await acknowledgedAt(), null, 'it has not noticed yet')
      const met = t.clock.now().toISOString()
      await Promise.all(Array.from({ length: 4 }, () => create(key.raw)))
      await context.waitFor(async () => assert.equal(await acknowledgedAt(), met), { timeout: 5_000 })
      assert.deepEqual(await Promise.all([create(key.raw), create(key.raw, other)]), [403, 403])
      await press(key, 'stop')
      assert.equal(await acknowledgedAt(), null)
      assert.equal((await t.call('GET', requests, { as: key.raw })).status, 403)
      await context.waitFor(async () => assert.notEqual(await acknowledgedAt(), null), { timeout: 5_000 })
      const once = { actor_kind: 'agent', actor_id: key.agentId, key_id: key.id, network: '127.0.0.1', switch: whose }
      assert.deepEqual(await told(), [once, once])
      await press(key, 'resume', {})
      assert.equal(await acknowledgedAt(), null)
    })

    for (const act of ['pause', 'stop']) {
      for (const body of [{}, { reason: '' }, { reason: null }, { reason: 'x'.repeat(513) }, { reason: 5 }]) {
        test(`422, and the switch is unchanged: ${act} ${JSON.stringify(body).slice(0, 30)}`, async () => {
          const key = await addApiKey(t)
          const path = whose === 'agent' ? `/agents/${key.agentId}/${act}` : `/organization/${act}`
          assert.equal((await admin('POST', path, { body })).status, 422)
          assert.equal(await create(key.raw), 201)
        })
      }
    }
  })
}

test('an agent registered while its organization is stopped is stopped too; agents of others are not', async () => {
  const foreign = await addOrganization(t)
  await turnAll('stop')
  const { body: made } = await admin('POST', '/api-keys', { body: { name: 'late' } })
  const agent = (await admin('GET', `/agents/${made.agent_id}`)).body
  assert.deepEqual([agent.status, agent.organization_status], ['active', 'stopped'])
  assert.equal(await statusAt(t.app, made.key), 403)
  assert.equal(await create(foreign.apiKey.raw), 201)
  const shown = await admin('GET', '/organization/pause')
  assert.deepEqual([shown.body.status, shown.body.pause_reason], ['stopped', 'A key was stolen.'])
  await turnAll('resume', {})
  assert.equal(await create(made.key), 201)
})

test('with both switches set, resuming one leaves the other', async () => {
  const key = await addApiKey(t)
  const id = await ask(key.raw)
  const now = async (status: number, isPaused: boolean): Promise<void> => {
    assert.equal(await create(key.raw), status)
    assert.equal((await read(id)).agent_paused, isPaused)
  }
  await turn(key, 'pause')
  await turnAll('pause')
  await turnAll('resume', {})
  await now(403, true)
  await turnAll('pause')
  await turn(key, 'resume', {})
  await now(403, true)
  await turnAll('resume', {})
  await now(201, false)
})

test('creates that race a pause in two processes: none begins after it', async () => {
  for (let round = 0; round < 8; round += 1) {
    const key = await addApiKey(t)
    const act = round % 2 === 0 ? 'pause' : 'stop'
    let paused = false
    let wrong = 0
    const flood = async (app: App): Promise<void> => {
      for (let call = 0; call < 30; call += 1) {
        const begunAfter = paused
        if ((await create(key.raw, app)) === 201 && begunAfter) wrong += 1
      }
    }
    const floods = [t.app, t.app, t.app, other, other, other].map(flood)
    await create(key.raw)
    await turn(key, act)
    paused = true
    await Promise.all(floods)
    assert.equal(wrong, 0, 'a request was created by a call that began after the pause')
    const rows = await t.sql('select id from consultation_requests where agent_id = $1', [key.agentId])
    assert.notEqual(rows.length, 0, 'nothing was created before the pause')
    assert.equal((await read(String(rows[0]?.id))).agent_paused, true)
  }
  const { totals, counts } = await totalsAndCounts(t)
  assert.deepEqual(totals, counts)
})
