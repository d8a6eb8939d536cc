import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { oldestDueTimer } from '../../src/metrics/store.ts'
import { createAuthority } from '../certificates.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { freePort, type Receiver, startReceiver } from '../receivers.ts'

const token = 'metrics-of-a-test-0123456789'

/** The value of each series of a text of Prometheus, by its name and labels in order. */
function seriesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

const scrapeOf = (t: TestApp, as: string | null = token) =>
  t.app.http.inject({ url: '/metrics', ...(as === null ? {} : { headers: { authorization: `Bearer ${as}` } }) })

async function read(t: TestApp): Promise<ReadonlyMap<string, number>> {
  const reply = await scrapeOf(t)
  assert.equal(reply.statusCode, 200, reply.body)
  return seriesOf(reply.body)
}

function done(reply: Reply): Reply {
  assert.ok(reply.status < 300, reply.text)
  return reply
}

describe('with METRICS_TOKEN', () => {
  let t: TestApp
  let receiver: Receiver
  let atTheStart: ReadonlyMap<string, number>
  let folder: string
  before(async () => {
    receiver = await startReceiver()
    folder = await mkdtemp(join(tmpdir(), 'hitl-metrics-'))
    // Each lives for an hour.
    const [one, other] = [createAuthority().cert, createAuthority().cert]
    await writeFile(join(folder, 'ca.pem'), `${one}${other}`)
    t = await startTestApp({
      environment: {
        METRICS_TOKEN: token,
        RATE_LIMIT_ADDRESS: '40/60',
        METRICS_PER_ORGANIZATION: 'true',
        SMTP_CA: join(folder, 'ca.pem'),
      },
    })
    await t.app.drain()
    atTheStart = await read(t)
  })
  after(async () => {
    await t.stop()
    await receiver.close()
    await rm(folder, { recursive: true })
  })

  test('a day of requests: the counters are those of the audit, exactly', async () => {
    const act = (id: string, name: string, body: object, as = t.reviewer.token) =>
      t.call('POST', `/api/v1/requests/${id}/${name}`, { as, body })
    const [one, two, three, four, five, critical] = await Promise.all([
      t.createRequest({ callback_webhook: receiver.url }),
      t.createRequest({ timeout_minutes: 5 }),
      t.createRequest(),
      t.createRequest({ hold_seconds: 60 }),
      t.createRequest(),
      t.createRequest({ risk: 'critical' }),
    ])
    done(await act(one.id, 'respond', { decision: 'approve' }))
    done(await act(three.id, 'cancel', {}, t.apiKey))
    done(await act(four.id, 'respond', { decision: 'reject' }))
    done(await act(four.id, 'undo', {}))
    done(await act(four.id, 'respond', { decision: 'reject' }))
    done(await act(five.id, 'respond', { decision: 'request_changes' }))
    assert.equal((await act(five.id, 'respond', { decision: 'approve' })).status, 409)
    t.clock.advance(400_000)
    await t.app.drain()
    const wrong = new URLSearchParams({ username: 'reviewer@example.com', password: 'not this one' })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const refused = await t.call('POST', '/api/v1/auth/login', { payload: String(wrong), headers })
    assert.equal(refused.status, 401, refused.text)
    await t.app.drain()

    const now = await read(t)
    const added = (name: string): number => (now.get(name) ?? 0) - (atTheStart.get(name) ?? 0)
    const kinds = await t.sql('select kind, count(*)::int as total from events group by kind')
    for (const { kind, total } of kinds) {
      assert.equal(now.get(`hitl_events_total{kind="${kind}"}`), total, `${kind}`)
    }
    const counted = [...now].filter(([name, value]) => name.startsWith('hitl_events_total') && value > 0)
    assert.equal(counted.length, kinds.length)
    const of = (kind: string): number => added(`hitl_events_total{kind="${kind}"}`)
    assert.equal(added('hitl_requests_created_total'), 6)
    const closed = (outcome: string, by: string) =>
      now.get(`hitl_requests_closed_total{outcome="${outcome}",decided_by="${by}"}`)
    assert.deepEqual(
      [
        closed('approve', 'human'),
        closed('reject', 'human'),
        closed('request_changes', 'human'),
        closed('timeout', 'timeout'),
        closed('cancelled', 'agent'),
      ],
      [1, 1, 1, 1, 1],
    )
    assert.equal(of('request.responded') - of('request.undone'), 3)
    assert.equal(added('hitl_request_decision_seconds_count'), 3)
    assert.equal(added('hitl_timer_lateness_seconds_count'), of('request.timed_out') + of('request.released'))
    assert.equal(of('sign_in.failed'), 1)
    const { id } = critical
    assert.ok(id !== two.id)
    const rows = await t.sql(
      `select case when risk in ('high', 'critical') then risk else 'other' end as tier, count(*)::int as total,
         min(created_at) as oldest from consultation_requests where state = 'pending' group by 1`,
    )
    for (const { tier, total, oldest } of rows) {
      assert.equal(now.get(`hitl_requests_open{tier="${tier}"}`), total)
      const age = (t.clock.now().getTime() - (oldest as Date).getTime()) / 1_000
      assert.equal(now.get(`hitl_requests_oldest_open_seconds{tier="${tier}"}`), age)
    }
    assert.equal(rows.length, 2)
    const open = rows.reduce((sum, { total }) => sum + Number(total), 0)
    assert.equal(now.get(`hitl_organization_requests_open{organization_id="${t.organizationId}"}`), open)
    assert.equal(now.get('hitl_audit_unsealed_events'), 0)
    const sent = receiver.requests.length
    assert.equal(now.get('hitl_callback_attempt_duration_seconds_count{outcome="sent"}'), sent)
    assert.equal(of('request.callback_sent'), sent)
    assert.equal(
      now.get('hitl_http_requests_total{route="/api/v1/requests/:id/respond",method="POST",status="4xx"}'),
      1,
    )
    assert.equal(now.get('hitl_http_problems_total{code="consultation.already_responded"}'), 1)
  })

  test('what expires: keys in use alone, certificates, the age of signing keys; and the timer that is late', async () => {
    const now = t.clock.now()
    const soon = new Date(now.getTime() + 3 * 86_400_000)
    const set = (used: Date | null, expires: Date, active: boolean) =>
      t.sql(
        `update api_keys set last_used_at = $1, expires_at = $2, is_active = $3, revoked_at = case when $3 then null else now() end`,
        [used, expires, active],
      )
    const counted = async () => {
      await t.app.drain()
      return (await read(t)).get('hitl_api_keys_expiring')
    }
    const before = await t.sql('select expires_at from api_keys')
    await set(now, soon, true)
    assert.equal(await counted(), before.length)
    for (const [used, expires, active] of [
      [null, soon, true],
      [new Date(now.getTime() - 8 * 86_400_000), soon, true],
      [now, new Date(now.getTime() + 8 * 86_400_000), true],
      [now, new Date(now.getTime() - 1_000), true],
      [now, soon, false],
    ] as const) {
      await set(used, expires, active)
      assert.equal(await counted(), 0)
    }
    await set(now, new Date(now.getTime() + 300 * 86_400_000), true)
    const found = await read(t)
    const left = found.get('hitl_certificate_expiry_seconds{setting="SMTP_CA"}') ?? 0
    assert.ok(left > 2_000 && left < 3_600, `${left}`)
    // The clock of this test has moved on.
    const age = found.get('hitl_signing_key_age_seconds{purpose="audit_head"}') ?? 0
    assert.ok(age >= 400 && age < 1_000, `${age}`)
    for (const check of ['audit', 'secrets', 'sending']) assert.equal(found.get(`hitl_check_ok{check="${check}"}`), 1)

    assert.equal(found.get('hitl_timers_oldest_due_seconds'), 0)
    await t.createRequest({ timeout_minutes: 1 })
    assert.equal(await oldestDueTimer(t.app.db, new Date(now.getTime() + 59_000)), null)
    const due = await oldestDueTimer(t.app.db, new Date(now.getTime() + 90_000))
    assert.equal(due?.getTime(), now.getTime() + 60_000)
  })

  test('a wrong token: 401, and 429 like any other; the right one still gets them', async () => {
    const replies = []
    for (let n = 0; n < 45; n += 1) replies.push((await scrapeOf(t, `wrong-${n}`)).statusCode)
    assert.equal(replies[0], 401)
    assert.equal(replies.at(-1), 429)
    assert.equal((await scrapeOf(t, null)).statusCode, 429)
    assert.equal((await scrapeOf(t)).statusCode, 200)
  })

  test('2,000 made-up addresses and methods are one route', async () => {
    const names = ['/x', '/api/v1/x', '/metrics/x', '/api/v1/requests/x/y/z']
    for (let n = 0; n < 2_000; n += 1) await t.app.http.inject(`${names[n % names.length]}${n}`)
    const routes = new Set([...(await read(t)).keys()].map((name) => /route="([^"]*)"/.exec(name)?.[1]))
    const registered = [...routes].filter((route) => route !== undefined && /\d{3}/.test(route))
    assert.deepEqual(registered, [])
    assert.ok(routes.has('none'))
  })

  test('every metric is in docs/operations.md with its help, and nothing else is', async () => {
    const text = await readFile(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8')
    const { body } = await scrapeOf(t)
    const types = new Map([...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]))
    const rows = [...body.matchAll(/^# HELP (\S+) (.*)$/gm)].map(
      ([, name, help]) => `| \`${name}\` | ${types.get(name ?? '')} | ${help} |`,
    )
    const listed = text.split('\n').filter((line) => line.startsWith('| `hitl_'))
    assert.deepEqual(listed, rows)
  })
})

test('without METRICS_TOKEN and METRICS_PORT: 404', async (c) => {
  const t = await startTestApp()
  c.after(t.stop)
  assert.equal((await scrapeOf(t)).statusCode, 404)
})

test('METRICS_PORT: there and not at the API, where a token is asked for only if there is one', async (c) => {
  for (const own of [null, token]) {
    const port = await freePort()
    const environment = { METRICS_PORT: String(port), ...(own === null ? {} : { METRICS_TOKEN: own }) }
    const t = await startTestApp({ environment })
    c.after(t.stop)
    await t.app.listenForMetrics()
    assert.equal((await scrapeOf(t)).statusCode, 404)
    const url = `http://127.0.0.1:${port}`
    const bare = await fetch(`${url}/metrics`)
    assert.equal(bare.status, own === null ? 200 : 401)
    const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${own}` } })
    assert.match(await reply.text(), /^hitl_processes 1$/m)
    assert.equal((await fetch(`${url}/api/v1/requests`)).status, 404)
  }
})
