import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'
import { addOrganization, addPerson } from '../people-and-keys.ts'
import { addEvents, exportOf, sealAll, verified } from './chain.ts'

const hostile = `<script>alert(1)</script> "'& \u202egnp.exe`
let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const report = (query = '', as = t.admin.token) => t.call('GET', `/api/v1/events/report${query}`, { as })
const respond = async (id: string, as: string, decision = 'approve', more: object = {}) => {
  const body = { decision, comment: 'the comment', ...more }
  const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as, body })
  assert.equal(reply.status, 200, reply.text)
}

describe('the compliance report', () => {
  const asked: string[] = []
  let since = ''
  before(async () => {
    t.clock.advance(1)
    since = t.clock.now().toISOString()
    // Through the service, so that the audit knows who made the key and owns the agent.
    const name = 'Deploys'
    const agent = await t.call('POST', '/api/v1/agents', { as: t.admin.token, body: { name } })
    const key = await t.call('POST', '/api/v1/api-keys', {
      as: t.admin.token,
      body: { name, agent_id: agent.body.id },
    })
    assert.equal(key.status, 201, key.text)
    for (const title of ['One', 'Two', 'Three', 'Four']) {
      const made = await t.call('POST', '/api/v1/requests', { as: key.body.key, body: { title, context: {} } })
      assert.equal(made.status, 201, made.text)
      asked.push(made.body.id)
    }
    const [one = '', two = '', three = ''] = asked
    t.clock.advance(10_000)
    await respond(one, t.reviewer.token)
    t.clock.advance(50_000)
    await respond(two, t.admin.token)
    await respond(three, t.reviewer.token, 'reject', { hold_seconds: 60 })
    assert.equal((await t.call('POST', `/api/v1/requests/${three}/undo`, { as: t.reviewer.token })).status, 200)
    for (const legal_hold of [true, false]) {
      await t.call('PATCH', '/api/v1/events/policy', { as: t.admin.token, body: { legal_hold, reason: hostile } })
    }
    await t.sql('update users set name = $2 where id = $1', [t.reviewer.id, hostile])
    t.clock.advance(1)
  })

  test('says who decided what, how fast, and how they had signed in', async () => {
    const { status, body, headers } = await report(`?since=${since}`)
    assert.equal(status, 200)
    assert.match(
      String(headers['content-disposition']),
      /^attachment; filename="compliance-[0-9a-f-]{36}-.{10}\.json"$/,
    )
    assert.deepEqual([body.requests.created, body.requests.responded, body.decisions.total], [4, 3, 3])
    assert.deepEqual(body.decisions.by_decision, { approve: 2, reject: 1 })
    assert.deepEqual(body.decisions.by_assurance, { single_factor: 3 })
    assert.deepEqual(body.decisions.seconds, { median: 60, p90: 60, longest: 60 })
    assert.deepEqual(
      body.decisions.listed.map((one: Record<string, unknown>) => [
        one.request_id,
        one.decided_by,
        one.role,
        one.decision,
        one.seconds,
      ]),
      [
        [asked[0], t.reviewer.id, 'reviewer', 'approve', 10],
        [asked[1], t.admin.id, 'admin', 'approve', 60],
        [asked[2], t.reviewer.id, 'reviewer', 'reject', 60],
      ],
    )
    const [first] = body.people
    assert.deepEqual([first.id, first.decisions, first.approvals, first.seconds.median], [t.reviewer.id, 2, 1, 10])
    assert.deepEqual([body.events_left_out, body.mismatched_columns, body.decisions.left_out], [0, 0, 0])
  })

  test('lists exceptions: who approved what their own agent asked, decisions taken back, legal holds with their reason', async () => {
    const { exceptions } = (await report()).body
    const { self_approval, 'request.undone': undone, 'audit.policy_changed': policies } = exceptions.counts
    assert.deepEqual([self_approval, undone, policies], [1, 1, 2])
    const of = (kind: string) => exceptions.listed.filter((one: { kind: string }) => one.kind === kind)
    assert.deepEqual([of('self_approval')[0].subject_id, of('self_approval')[0].actor_id], [asked[1], t.admin.id])
    assert.deepEqual(
      of('audit.policy_changed').map((one: { after: { legal_hold: boolean }; reason: string }) => [
        one.after.legal_hold,
        one.reason,
      ]),
      [
        [true, hostile],
        [false, hostile],
      ],
    )
  })

  test('names the seals of its first and last event, and taking it is an event; the chain stays valid', async () => {
    await sealAll(t)
    const { body } = await report()
    const text = await exportOf(t)
    assert.ok(body.seals.length > 0)
    for (const { head } of body.seals) assert.ok(text.includes(`{"seal":"${head}"`))
    assert.deepEqual((await verified(t, text)).findings, [])
    const [event] = (await t.call('GET', '/api/v1/events?kind=audit.report_taken&limit=1', { as: t.admin.token })).body
      .items
    assert.deepEqual([event.actor.id, event.after.format, event.after.since], [t.admin.id, 'json', body.since])
  })

  test('is a page that runs nothing and shows what people wrote as text', async () => {
    const { status, text, headers } = await report('?format=html')
    assert.equal(status, 200)
    const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? ''
    const policy = String(headers['content-security-policy'])
    assert.ok(
      policy.includes(`'sha256-${createHash('sha256').update(style).digest('base64')}'`) && policy.includes('sandbox'),
    )
    assert.doesNotMatch(text, /<(script|img|link|iframe|form|object|svg)\b|\s(on\w+|src|href|style)\s*=/i)
    assert.ok(text.includes(`&lt;script&gt;alert(1)&lt;/script&gt; &quot;&#39;&amp; [U+202E]gnp.exe`))
    assert.deepEqual(text.match(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu), null)
    for (const shown of [asked[0] ?? '', 'approved what their own agent or key asked', '1 min 0 s', t.reviewer.id])
      assert.ok(text.includes(shown), shown)
  })

  test('reads only the period, and only the own organization', async () => {
    const other = await addOrganization(t)
    const { body } = await report('', other.admin.token)
    assert.deepEqual([body.decisions.total, body.people, body.names], [0, [], []])
    const until = encodeURIComponent(new Date(t.clock.now().getTime() - 30_000).toISOString())
    const { body: before } = await report(`?until=${until}`)
    assert.deepEqual([before.decisions.total, before.until, before.covered_until], [1, before.until, before.until])
  })

  test('422 for a period that is empty, too long or no time', async () => {
    for (const query of [
      '?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z',
      '?since=2024-01-01T00:00:00Z&until=2026-01-01T00:00:00Z',
      '?since=yesterday',
    ]) {
      assert.equal((await report(query)).status, 422, query)
    }
    assert.equal((await report('', (await addPerson(t)).token)).status, 403)
  })
})

test('a report is bounded: it says where it ends and how many events it leaves out, and a flood of one kind hides no other', async (context) => {
  const u = await startTestApp()
  context.after(() => u.stop())
  const at = `'2025-03-01T00:00:00Z'::timestamptz + n * interval '1 ms'`
  await addEvents(u, { count: 100_050, at })
  await addEvents(u, { count: 250, kind: 'access.refused', at })
  await addEvents(u, { kind: 'audit.restored', at: `'2025-03-01T00:00:01Z'::timestamptz` })
  const path = '/api/v1/events/report?since=2025-03-01T00:00:00Z&until=2025-03-02T00:00:00Z'
  const { body } = await u.call('GET', path, { as: u.admin.token })
  assert.deepEqual([body.events, body.events_left_out], [100_000, 301])
  assert.ok(body.covered_until < body.until)
  assert.deepEqual(body.exceptions.counts, { 'access.refused': 250, 'audit.restored': 1 })
  assert.deepEqual([body.exceptions.listed.length, body.exceptions.left_out], [201, 50])
  const { text } = await u.call('GET', `${path}&format=html`, { as: u.admin.token })
  assert.match(text, /301 later events are left out/)
  const rest = await u.call('GET', `/api/v1/events/report?since=${body.covered_until}&until=${body.until}`, {
    as: u.admin.token,
  })
  assert.deepEqual([rest.body.events_left_out, rest.body.events >= 301], [0, true])
})
