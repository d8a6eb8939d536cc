import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { recordedEvents } from '../recorded-events.ts'

let t: TestApp
const lines: string[] = []
before(async () => {
  const log = createLog('error', false, { write: (line: string) => void lines.push(line) })
  t = await startTestApp({ log })
  // Somebody who has the database drops its rules first.
  for (const rule of ['certified_when_decided', 'certificate_expires', 'redeemed_when_approved']) {
    await t.sql(`alter table consultation_requests drop constraint ${rule}`)
  }
})
after(() => t.stop())

const decided = async (decision = 'approve') => {
  const { id } = await t.createRequest({ title: `May I ${decision}?` })
  const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision } })
  assert.equal(reply.status, 200, reply.text)
  return reply.body as { readonly id: string; readonly certificate: string }
}
const edit = (id: string, column: string, value: unknown) =>
  column === 'answered_at'
    ? t.sql('update consultation_answers set answered_at = $2 where request_id = $1', [id, value])
    : t.sql(`update consultation_requests set ${column} = $2 where id = $1`, [id, value])
const redeem = (id: string) => t.call('POST', `/api/v1/requests/${id}/redeem`, { as: t.apiKey })
const certificateOf = (id: string) => t.call('GET', `/api/v1/requests/${id}/certificate`, { as: t.reviewer.token })
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const claimsOf = (certificate: string) => JSON.parse(String(Buffer.from(certificate.split('.')[1] ?? '', 'base64url')))

/** Signed with a key that this service never had. */
function forged({ certificate }: { readonly certificate: string }): string {
  const { privateKey } = generateKeyPairSync('ed25519')
  const signed = certificate.split('.').slice(0, 2).join('.')
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`
}

describe('a row that its certificate contradicts: 409, an event and an error, and nothing is used', () => {
  type Made = Awaited<ReturnType<typeof decided>>
  for (const [what, decision, column, value, differs] of [
    ['a rejection made an approval', 'reject', 'decision', () => 'approve', ['decision']],
    ['an approval made a rejection', 'approve', 'decision', () => 'reject', ['decision']],
    [
      "another request's certificate",
      'approve',
      'certificate',
      async () => (await decided()).certificate,
      ['request_id'],
    ],
    ['another digest', 'approve', 'digest', () => Buffer.alloc(32), ['digest']],
    ['another revision, to which there is no answer', 'approve', 'revision', () => 2, ['certificate']],
    ['a later expiry', 'approve', 'certificate_expires_at', () => '2100-01-01', ['exp']],
    ['another time of the decision', 'approve', 'answered_at', () => '2026-01-01', ['iat', 'decided_at']],
    ['another decider', 'approve', 'decided_by', () => 'policy', ['decided_by']],
    ["a stranger's signature", 'approve', 'certificate', forged, ['certificate']],
    [
      'claims changed under the old signature',
      'reject',
      'certificate',
      ({ certificate }: Made) => {
        const [header, , signature] = certificate.split('.')
        return `${header}.${encode({ ...claimsOf(certificate), decision: 'approve' })}.${signature}`
      },
      ['certificate'],
    ],
    [
      'alg none',
      'approve',
      'certificate',
      ({ certificate }: Made) => `${encode({ alg: 'none' })}.${certificate.split('.')[1]}.`,
      ['certificate'],
    ],
    [
      'a signature of ours for another purpose',
      'approve',
      'certificate',
      ({ certificate }: Made) =>
        t.app.identity.signingKeys.sign('audit_head', claimsOf(certificate), { typ: 'hitl-decision+jwt' }),
      ['certificate'],
    ],
    ['no JWS at all', 'approve', 'certificate', () => 'x', ['certificate']],
    ['no certificate', 'approve', 'certificate', () => null, ['certificate']],
  ] as const) {
    test(what, async () => {
      const made = await decided(decision)
      await edit(made.id, column, await value(made))
      lines.length = 0
      const read = (as: string) => t.call('GET', `/api/v1/requests/${made.id}`, { as })
      const [asAgent, asPerson] = [await read(t.apiKey), await read(t.reviewer.token)]
      for (const reply of [
        await redeem(made.id),
        await redeem(made.id),
        await certificateOf(made.id),
        asAgent,
        asPerson,
      ]) {
        assert.deepEqual(
          [reply.status, reply.body.code, reply.body.differs],
          [409, 'consultation.certificate_contradicts', differs],
          reply.text,
        )
      }
      const [row] = await t.sql('select redeemed_at from consultation_requests where id = $1', [made.id])
      assert.equal(row?.redeemed_at, null)
      const kinds = ['request.contradicted', 'request.redeemed']
      const events = await recordedEvents(t.sql, { subject: made.id, kinds })
      assert.deepEqual(
        events.map(({ kind, actor, after }) => [kind, actor.kind, after.differs]),
        [['request.contradicted', 'system', differs]],
        'one event, however often it is tried',
      )
      assert.deepEqual(
        lines.map((line) => JSON.parse(line)).map(({ level, consultation_id }) => [level, consultation_id]),
        [['error', made.id]],
      )
    })
  }
})

describe('a question that is not the one that was asked: 409, an event and an error, and nobody decides on it', () => {
  const told = async (id: string) =>
    (await recordedEvents(t.sql, { subject: id, kinds: ['request.contradicted'] })).map(({ after }) => after.differs)
  const respond = (id: string, body = {}) =>
    t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: { decision: 'approve', ...body } })

  for (const [column, value] of [
    ['context', '{"amount":10}'],
    ['title', 'Pay 10?'],
    ['description', 'Less.'],
  ] as const) {
    test(`its ${column} was edited while it was open`, async () => {
      const { id } = await t.createRequest({ title: 'Pay 99999?', context: { amount: 99_999 } })
      assert.equal((await t.call('GET', `/api/v1/requests/${id}`, { as: t.reviewer.token })).status, 200)
      await edit(id, column, value)
      lines.length = 0
      for (const reply of [await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey }), await respond(id)]) {
        assert.deepEqual([reply.status, reply.body.code], [409, 'consultation.question_changed'], reply.text)
      }
      const [row] = await t.sql('select state, decision from consultation_requests where id = $1', [id])
      assert.deepEqual(row, { state: 'pending', decision: null })
      assert.deepEqual([await told(id), lines.length], [[['digest']], 1])
    })

    test(`its ${column} was edited after it was approved`, async () => {
      const { id } = await decided()
      await edit(id, column, value)
      for (const reply of [await redeem(id), await certificateOf(id)]) {
        assert.deepEqual([reply.status, reply.body.code], [409, 'consultation.question_changed'], reply.text)
      }
      assert.deepEqual(await told(id), [['digest']])
    })
  }

  test('who looks into it still gets its timeline and its evidence', async () => {
    const { id } = await decided()
    await edit(id, 'title', 'Another one')
    for (const path of ['events', 'evidence']) {
      const reply = await t.call('GET', `/api/v1/requests/${id}/${path}`, { as: t.admin.token })
      assert.equal(reply.status, 200, reply.text)
    }
  })

  test('the answer carries the digest of what was shown: 409 when something else was asked, and nothing is decided', async () => {
    const [asked, other] = [await t.createRequest({ title: 'Pay 10?' }), await t.createRequest({ title: 'Pay 99999?' })]
    const refused = await respond(other.id, { digest: asked.digest })
    assert.deepEqual([refused.status, refused.body.code], [409, 'consultation.other_question_shown'], refused.text)
    assert.equal(refused.body.digest, other.digest)
    assert.deepEqual(await told(other.id), [['shown']])
    assert.equal((await respond(asked.id, { digest: asked.digest })).status, 200)
    assert.equal((await respond(other.id, { digest: null })).status, 200)
    for (const digest of ['', 'x', 5]) assert.equal((await respond(other.id, { digest })).status, 422)
  })
})

test('a decision under a key that another process has just made is used at once', async () => {
  const log = createLog('silent', false)
  const other = await createApp({ config: testConfig(), secretKey, connection: t.connection, log, clock: t.clock })
  try {
    const { id } = await t.createRequest()
    // This process has looked the keys up by now, and would not look again for 800 ms.
    assert.equal((await redeem((await decided()).id)).status, 200)
    await other.identity.signingKeys.rotate('certificate', { revoke: true })
    const headers = { authorization: `Bearer ${t.reviewer.token}` }
    const url = `/api/v1/requests/${id}/respond`
    const reply = await other.http.inject({ method: 'POST', url, headers, payload: { decision: 'approve' } })
    assert.equal(reply.statusCode, 200, reply.body)
    assert.equal((await redeem(id)).status, 200)
  } finally {
    await other.stop()
  }
})

test('409 consultation.certificate_revoked: the certificate of a revoked key is not shown as one that counts', async () => {
  const { id } = await decided()
  await t.app.identity.signingKeys.rotate('certificate', { revoke: true })
  for (const reply of [await certificateOf(id), await redeem(id)]) {
    assert.deepEqual([reply.status, reply.body.code], [409, 'consultation.certificate_revoked'])
  }
})
