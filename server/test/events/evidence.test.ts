import assert from 'node:assert/strict'
import { createPublicKey, hash, randomUUID, verify } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { leafOf } from '../../../cli/test/audit-export.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { startReceiver } from '../receivers.ts'
import { addEvents, sealAll } from './chain.ts'

let t: TestApp
let id = ''
const hostile = `<script>alert(1)</script> "'& \u202egnp.exe`
/** What nobody sees: format characters, a separator, a tag, fillers. */
const unseen = '\u00ad\u200b\u2060\ufeff\u2028\u{e0041}\u3164\u115f\u1160\uffa0\u180e\u001b\u0085'
before(async () => {
  t = await startTestApp()
  const receiver = await startReceiver()
  for (let n = 0; n < 3; n += 1) await t.createRequest()
  const made = await t.createRequest({
    title: `${hostile.replace('\u202e', '')} a\u200bb`,
    description: `${hostile}\nsecond line${unseen}`,
    context: { html: hostile, n: 1.5, 'key\u200b': unseen },
    callback_webhook: receiver.url,
  })
  id = made.id
  for (let n = 0; n < 4; n += 1) await t.createRequest()
  const body = { decision: 'approve', comment: hostile + unseen }
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
    const published = (await t.call('GET', '/.well-known/jwks.json')).body.keys
    const byId = (a: { kid: string }, b: { kid: string }) => (a.kid < b.kid ? -1 : 1)
    assert.deepEqual(body.keys.toSorted(byId), published.toSorted(byId))
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
      const body = { decision: 'approve', comment: hostile + unseen }
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

describe('the checks of the pack', () => {
  const unprotected = async (u: TestApp, statement: string, values: readonly unknown[]): Promise<void> => {
    await u.sql('alter table events disable trigger user')
    await u.sql(statement, values)
    await u.sql('alter table events enable trigger user')
  }
  let u: TestApp
  before(async () => {
    u = await startTestApp()
    for (const rule of ['certified_when_decided', 'certificate_expires', 'redeemed_when_approved']) {
      await u.sql(`alter table consultation_requests drop constraint ${rule}`)
    }
  })
  after(() => u.stop())

  const approved = async (): Promise<string> => {
    const made = await u.createRequest({ title: 'Pay 10?', context: { amount: 10 } })
    const body = { decision: 'approve', comment: 'Fine.' }
    await u.call('POST', `/api/v1/requests/${made.id}/respond`, { as: u.reviewer.token, body })
    await u.call('POST', `/api/v1/requests/${made.id}/redeem`, { as: u.apiKey })
    await sealAll(u)
    return made.id
  }
  const packOf = async (request: string) => {
    const { body } = await u.call('GET', `/api/v1/requests/${request}/evidence`, { as: u.admin.token })
    const checks = body.checks as { check: string; result: string; detail: string }[]
    // The event that the pack was taken may not be sealed yet.
    const results = checks.filter(({ check }) => check !== 'seals').map(({ check, result }) => [check, result])
    return { body, checks, results: Object.fromEntries(results) as Readonly<Record<string, string>> }
  }
  const page = async (request: string) =>
    (await u.call('GET', `/api/v1/requests/${request}/evidence?format=html`, { as: u.admin.token })).text
  const all = {
    digest: 'holds',
    asked: 'holds',
    revisions: 'holds',
    decision: 'holds',
    certificate: 'holds',
    redeemed: 'holds',
    erasures: 'holds',
  }

  test('hold where row, events and certificate agree, and the page says so with names, role and expiry', async () => {
    const request = await approved()
    const { results, body } = await packOf(request)
    assert.deepEqual(results, all)
    const named = body.names.find(({ id }: { id: string }) => id === u.reviewer.id)
    assert.equal(named.kind, 'person')
    const html = await page(request)
    assert.doesNotMatch(html, /DO NOT RELY ON THIS/)
    assert.match(html, /Role at the time<\/th><td>reviewer/)
    assert.match(html, /How they had signed in<\/th><td>with a password only/)
    assert.match(html, /The approval can be used until/)
    assert.ok(html.includes(`&lt;${named.email}&gt;`))
  })

  const other = async () =>
    (await u.sql('select certificate from consultation_requests where id = $1', [await approved()]))[0]?.certificate
  for (const [what, column, value, failing] of [
    ['the context of the row was edited', 'context', () => '{"amount":99999}', ['digest']],
    ['the title of the row was edited', 'title', () => 'Pay 99999?', ['digest', 'asked']],
    [
      'the digest of the row was edited',
      'digest',
      () => Buffer.alloc(32),
      ['digest', 'asked', 'decision', 'certificate'],
    ],
    ['the decision was flipped', 'decision', () => 'reject', ['decision']],
    ['the comment was edited', 'a.comment', () => 'Not fine.', ['decision']],
    ['the time was edited', 'a.answered_at', () => '2026-01-01', ['decision']],
    ['the responder is another one', 'responder_id', () => u.admin.id, ['decision']],
    ['the certificate was swapped', 'certificate', other, ['decision', 'certificate']],
    ['the certificate was removed', 'certificate', () => null, ['decision', 'certificate']],
    ['the use was undone', 'redeemed_at', () => null, ['redeemed']],
  ] as const) {
    test(`${what}: ${failing.join(', ')}`, async () => {
      const request = await approved()
      const edited = await value()
      const update = column.startsWith('a.')
        ? `update consultation_answers set ${column.slice(2)} = $2 where request_id = $1`
        : `update consultation_requests set ${column} = $2 where id = $1`
      await u.sql(update, [request, edited])
      const { results } = await packOf(request)
      const failed = Object.entries(results).filter(([, result]) => result === 'fails')
      // The swapped certificate may be of the same moment.
      const names = failed
        .map(([check]) => check)
        .filter((check) => what !== 'the certificate was swapped' || check !== 'decision')
      assert.deepEqual(
        names,
        failing.filter((check) => what !== 'the certificate was swapped' || check !== 'decision'),
      )
      assert.match(await page(request), /DO NOT RELY ON THIS: \d of 8 checks fail/)
    })
  }

  test('a part that was cut out fails, and one that was erased holds', async () => {
    const [cut, erased] = [await approved(), await approved()]
    await unprotected(u, `update events set erasable = null where subject_id = $1 and kind = 'request.responded'`, [
      cut,
    ])
    assert.equal((await packOf(cut)).results.erasures, 'fails')
    const body = { request_id: erased, reason: 'Case 17' }
    const reply = await u.call('POST', '/api/v1/events/erasures', { as: u.admin.token, body })
    assert.equal(reply.status, 200, reply.text)
    await sealAll(u)
    const { results, body: pack } = await packOf(erased)
    assert.equal(results.erasures, 'holds')
    assert.equal(pack.erasures[0].record.kind, 'audit.erased')
  })

  test('of a certificate whose key leaked cannot be said', async () => {
    const request = await approved()
    await u.app.identity.signingKeys.rotate('certificate', { revoke: true })
    const { results, body } = await packOf(request)
    assert.deepEqual(results, { ...all, certificate: 'open' })
    assert.ok(body.keys.some((key: { purpose: string; revoked_at: string | null }) => key.revoked_at !== null))
  })

  test('the event of the decision was hidden by its columns', async () => {
    const request = await approved()
    await unprotected(
      u,
      `update events set subject_id = gen_random_uuid() where subject_id = $1 and kind = 'request.responded'`,
      [request],
    )
    assert.equal((await packOf(request)).results.decision, 'fails')
  })
})

test('of more than 1 000 events the pack holds the first and the last 500, and says how many it leaves out', async (context) => {
  const u = await startTestApp()
  context.after(() => u.stop())
  const made = await u.createRequest()
  const at = `'${made.created_at}'::timestamptz + n * interval '1 ms'`
  await addEvents(u, { count: 1_200, subjectId: made.id, at })
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

const unescaped = (html: string): string =>
  html
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')

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

  test('shows what people and agents wrote as text, with everything invisible as its code point', async () => {
    const { text } = await evidence('html')
    assert.ok(!text.includes('<script>'))
    assert.ok(!text.includes('\u202e'))
    assert.ok(
      text.includes('&lt;script&gt;alert(1)&lt;/script&gt; &quot;&#39;&amp; [U+202E]gnp.exe\nsecond line[U+00AD]'),
    )
    assert.ok(text.includes('gnp.exe a[U+200B]b</h1>'))
    assert.deepEqual(text.match(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u3164\u115f\u1160\uffa0\u180e]/gu), null)
    const asked = JSON.parse(unescaped(/<pre>([\s\S]*?)<\/pre>/.exec(text)?.[1] ?? ''))
    assert.deepEqual(asked, { html: hostile, n: 1.5, 'key\u200b': unseen }, 'what is shown is the same JSON')
    assert.ok(text.includes('approve') && text.includes('request.responded') && text.includes('password'))
  })
})

describe('the page of a large request', () => {
  const nested = (depth: number, inside: string): string => '['.repeat(depth) + inside + ']'.repeat(depth)

  for (const [what, context] of [
    ['deep and wide', `{"a":${nested(90, Array.from({ length: 400_000 }, () => '1').join())}}`],
    ['with many deep parts', `{"a":[${Array.from({ length: 4_000 }, () => nested(90, '1')).join()}]}`],
    ['deep, and small enough to be indented', `{"a":${nested(90, Array.from({ length: 30_000 }, () => '1').join())}}`],
  ] as const) {
    test(`${what}: is about as large as the request, and shows it`, async () => {
      const payload = `{"title":"Large","context":${context}}`
      const headers = { 'content-type': 'application/json' }
      const made = await t.call('POST', '/api/v1/requests', { as: t.apiKey, payload, headers })
      assert.equal(made.status, 201, made.text)
      const path = `/api/v1/requests/${made.body.id}/evidence?format=html`
      const reply = await t.app.http.inject({ url: path, headers: { authorization: `Bearer ${t.admin.token}` } })
      const text = reply.payload
      assert.equal(reply.statusCode, 200)
      assert.ok(text.length < 3 * payload.length + 100_000, `${text.length} of ${payload.length}`)
      const shown = unescaped(/<pre>([\s\S]*?)<\/pre>/.exec(text)?.[1] ?? '')
      assert.ok(shown.replaceAll(/\s/g, '') === context)
    })
  }
})
