import assert from 'node:assert/strict'
import { createPublicKey, hash, randomUUID, verify } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { leafOf } from '../../../cli/test/audit-export.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { startReceiver } from '../receivers.ts'
import { sealAll } from './chain.ts'

let t: TestApp
let id = ''
const hostile = `<script>alert(1)</script> "'& \u202egnp.exe`
before(async () => {
  t = await startTestApp()
  const receiver = await startReceiver()
  for (let n = 0; n < 3; n += 1) await t.createRequest()
  const made = await t.createRequest({
    title: hostile,
    description: hostile,
    context: { html: hostile, n: 1.5 },
    callback_webhook: receiver.url,
  })
  id = made.id
  for (let n = 0; n < 4; n += 1) await t.createRequest()
  const body = { decision: 'approve', comment: hostile }
  assert.equal((await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })).status, 200)
  await t.app.drain()
  await receiver.close()
})
after(() => t.stop())

const evidence = (format: string) =>
  t.call('GET', `/api/v1/requests/${id}/evidence?format=${format}`, { as: t.admin.token })

interface Proof {
  readonly seal: number
  readonly position: number
  readonly index: number
  readonly size: number
  readonly path: readonly string[]
}

/** RFC 9162, 2.1.3.2: the root that a leaf and its audit path give. */
function rootOf(leaf: Buffer, { index, size, path }: Proof): string {
  const join = (left: Buffer, right: Buffer) => hash('sha256', Buffer.concat([Buffer.from([1]), left, right]), 'buffer')
  let node = leaf
  let place = index
  let last = size - 1
  for (const sibling of path.map((hex) => Buffer.from(hex, 'hex'))) {
    assert.ok(last > 0, 'the path is too long')
    if (place % 2 === 1 || place === last) {
      node = join(sibling, node)
      while (place % 2 === 0 && place !== 0) {
        place >>= 1
        last >>= 1
      }
    } else {
      node = join(node, sibling)
    }
    place >>= 1
    last >>= 1
  }
  assert.equal(last, 0, 'the path is too short')
  return node.toString('hex')
}

describe('the evidence pack as JSON', () => {
  test('holds the request, its events, certificate, deliveries, seals and keys', async () => {
    await sealAll(t)
    const { status, body, headers } = await evidence('json')
    assert.equal(status, 200)
    assert.match(String(headers['content-disposition']), /attachment; filename="evidence-[0-9a-f-]{36}\.json"/)
    const { body: request } = await t.call('GET', `/api/v1/requests/${id}`, { as: t.admin.token })
    assert.deepEqual(body.request, request)
    assert.equal(body.certificate, request.certificate)
    assert.equal(body.deliveries.length, 1)
    assert.deepEqual(body.keys, (await t.call('GET', '/.well-known/jwks.json')).body.keys)
    assert.deepEqual(
      body.events.map((event: { record: { kind: string } }) => event.record.kind),
      ['request.created', 'request.responded', 'request.callback_sent', 'audit.evidence_taken'],
    )
  })

  test('proves each event on its own: its record leads to the root in the signed head of its seal', async () => {
    const { body, text } = await eventually('sealed', async () => {
      const reply = await evidence('json')
      return reply.body.events.every(({ proof }: { proof: unknown }) => proof !== null) ? reply : null
    })
    const heads = new Map<number, Readonly<Record<string, unknown>>>()
    for (const { number, head } of body.seals) {
      const [header = '', payload = '', signature = ''] = head.split('.')
      const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
      const jwk = body.keys.find((key: { kid: string }) => key.kid === kid)
      assert.equal(jwk.purpose, 'audit_head')
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      assert.ok(verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')))
      heads.set(number, JSON.parse(Buffer.from(payload, 'base64url').toString()))
    }
    // The bytes of the text itself: parsing and writing them again would only be the same by chance.
    const records = [...text.matchAll(/\{"record":(\{.*?,"v":1\}),"erasable":/g)].map(([, record = '']) => record)
    assert.equal(records.length, body.events.length)
    for (const [place, { proof, erasable, record }] of body.events.entries()) {
      const head = heads.get(proof.seal)
      assert.equal(rootOf(leafOf(records[place] ?? ''), proof), head?.root)
      assert.notEqual(rootOf(leafOf(`${records[place]} `), proof), head?.root)
      assert.equal(proof.position, Number(head?.first) + proof.index)
      if (erasable !== null) assert.match(record.erasable_sha256, /^[0-9a-f]{64}$/)
    }
  })

  test('404 for a request that does not exist', async () => {
    const reply = await t.call('GET', `/api/v1/requests/${randomUUID()}/evidence`, { as: t.admin.token })
    assert.equal(reply.status, 404)
  })

  test('the audit records that it was downloaded', async () => {
    await evidence('html')
    const { body } = await t.call('GET', '/api/v1/events?kind=audit.evidence_taken&limit=1', { as: t.admin.token })
    assert.deepEqual(
      [body.items[0].subject, body.items[0].actor.id, body.items[0].after],
      [{ kind: 'request', id }, t.admin.id, { format: 'html' }],
    )
  })
})

describe('an event that differs from what was sealed is marked', () => {
  /** Bypasses the triggers that protect the tables, which only a superuser can. */
  const unprotected = async (u: TestApp, statement: string, values: readonly unknown[]): Promise<void> => {
    for (const table of ['events', 'audit_seals']) await u.sql(`alter table ${table} disable trigger user`)
    await u.sql(statement, values)
    for (const table of ['events', 'audit_seals']) await u.sql(`alter table ${table} enable trigger user`)
  }
  const approvedAsRejected = `update events set record = replace(record, '"approve"', '"reject"')
    where subject_id = $1 and kind = 'request.responded'`
  const cases: readonly (readonly [string, string, string])[] = [
    ['edited', approvedAsRejected, 'request.responded'],
    [
      'edited, and its leaf hash too',
      `with edited as (${approvedAsRejected} returning *), was as (
         select e.*, sha256('\\x00'::bytea || convert_to(e.record, 'UTF8')) as leaf from events e
         where subject_id = $1 and kind = 'request.responded')
       update audit_seals s set leaves = overlay(s.leaves
         placing (select sha256('\\x00'::bytea || convert_to(record, 'UTF8')) from edited)
         from position(was.leaf in s.leaves) for 32)
       from was where position(was.leaf in s.leaves) > 0`,
      'request.responded',
    ],
    [
      'its words edited',
      `update events set erasable = replace(erasable, 'alert', 'avert') where subject_id = $1 and kind = 'request.responded'`,
      'request.responded',
    ],
    [
      'put in in front of sealed ones',
      `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, occurred_at, xact, record)
       select organization_id, gen_random_uuid(), 'request.claimed', 'request', subject_id, 'system', occurred_at, '3',
         replace(record, 'request.created', 'request.claimed') from events where subject_id = $1 and kind = 'request.created'`,
      'request.claimed',
    ],
  ]
  for (const [what, statement, kind] of cases) {
    test(what, async (context) => {
      const u = await startTestApp()
      context.after(() => u.stop())
      const made = await u.createRequest()
      await sealAll(u)
      const body = { decision: 'approve', comment: hostile }
      await u.call('POST', `/api/v1/requests/${made.id}/respond`, { as: u.reviewer.token, body })
      await sealAll(u)
      const pack = (format: string) =>
        u.call('GET', `/api/v1/requests/${made.id}/evidence?format=${format}`, { as: u.admin.token })
      const standings = async () => {
        const reply = await pack('json')
        const known = reply.body.events as { record: { kind: string }; standing: string }[]
        return known.filter(({ record }) => record.kind !== 'audit.evidence_taken')
      }
      assert.ok((await standings()).every(({ standing }) => standing === 'sealed'))
      assert.doesNotMatch((await pack('html')).text, /DOES NOT MATCH its seal/)
      await unprotected(u, statement, [made.id])
      for (const { record, standing } of await standings()) {
        assert.equal(standing, record.kind === kind ? 'differs' : 'sealed', record.kind)
      }
      const { text } = await pack('html')
      assert.equal(text.match(/<td><strong>DOES NOT MATCH its seal/g)?.length, 1)
    })
  }
})

test('with more than 1 000 events the pack has the first and last 500 and the number that it leaves out', async (context) => {
  const u = await startTestApp()
  context.after(() => u.stop())
  const made = await u.createRequest()
  await u.sql(
    `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, occurred_at, record)
     select $1, gen_random_uuid(), 'x.tried', 'request', $2, 'system', $3::timestamptz + n * interval '1 ms',
       '{"actor":{},"erasable_sha256":null,"kind":"x.tried","n":' || n || ',"v":1}' from generate_series(1, 1200) n`,
    [u.organizationId, made.id, made.created_at],
  )
  u.clock.advance(60_000)
  const body = { decision: 'approve', comment: null }
  await u.call('POST', `/api/v1/requests/${made.id}/respond`, { as: u.reviewer.token, body })
  const path = `/api/v1/requests/${made.id}/evidence`
  const { body: pack } = await u.call('GET', path, { as: u.admin.token })
  assert.deepEqual([pack.events_total, pack.events_left_out, pack.events.length], [1_203, 203, 1_000])
  const kinds = pack.events.map(({ record }: { record: { kind: string } }) => record.kind)
  assert.deepEqual([kinds[0], ...kinds.slice(-2)], ['request.created', 'request.responded', 'audit.evidence_taken'])
  const { text } = await u.call('GET', `${path}?format=html`, { as: u.admin.token })
  assert.match(text, /204 of 1204 events are left out/)
})

describe('the evidence pack as a page', () => {
  test('runs no script, loads nothing, and allows only its own style', async () => {
    const { status, text, headers } = await evidence('html')
    assert.equal(status, 200)
    const policy = String(headers['content-security-policy'])
    const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? ''
    assert.ok(policy.includes(`style-src 'sha256-${hash('sha256', style, 'base64')}'`))
    assert.match(policy, /^default-src 'none';/)
    assert.match(policy, /sandbox/)
    // The page carries its own policy, because it may be opened from a disk.
    assert.match(text, /<meta http-equiv="content-security-policy" content="default-src &#39;none&#39;/)
    assert.doesNotMatch(text, /<(script|img|link|iframe|form|object|svg)\b/i)
    assert.doesNotMatch(text, /\s(on\w+|src|href|style)\s*=/i)
  })

  test('shows what people and agents wrote as text, with direction marks as their code points', async () => {
    const { text } = await evidence('html')
    assert.ok(!text.includes('<script>'))
    assert.ok(!text.includes('\u202e'))
    assert.ok(text.includes('&lt;script&gt;alert(1)&lt;/script&gt; &quot;&#39;&amp; &amp;#x202e;gnp.exe'))
    assert.ok(text.includes('approve') && text.includes('request.responded') && text.includes('password'))
  })
})
