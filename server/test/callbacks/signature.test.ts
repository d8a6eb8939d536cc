import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { refuseSecret, signatureHeaders } from '../../src/callbacks/signature.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { type ReceivedRequest, startReceiver } from '../receivers.ts'

const now = new Date()
const whsec = `whsec_${randomBytes(24).toString('base64')}`

/** Verifies as a receiver would, with the package of the Standard Webhooks project. Its `raw` text form is ASCII only. */
function verifyStandard(secret: string, body: Buffer, headers: Readonly<Record<string, unknown>>): unknown {
  const isStandard = /^whsec_[\w+/]+=*$/.test(secret)
  const webhook = isStandard ? new Webhook(secret) : new Webhook(Buffer.from(secret, 'utf8'), { format: 'raw' })
  return webhook.verify(body, headers as Record<string, string>)
}

function hexSignature(secret: string, body: Buffer): string {
  return `sha256=${createHmac('sha256', Buffer.from(secret, 'utf8')).update(body).digest('hex')}`
}

describe('the headers', () => {
  // Computed once with Python's hmac and base64 from the bytes below.
  test('of a fixed message are exactly these', () => {
    const at = new Date('2026-01-31T09:05:00.987Z')
    const headers = signatureHeaders('msg_1', '{"a":"ü"}', 'whsec_c2VjcmV0IGJ5dGVz', at)
    assert.deepEqual(headers, {
      'webhook-id': 'msg_1',
      'webhook-timestamp': '1769850300',
      'webhook-signature': 'v1,lDmHOAuJXyUd7NHxkwOVh7yr2nb8LOprhCaJBGfHJBA=',
      'x-webhook-signature': 'sha256=3787b39b9a75bdb8b53327a40bdafcbfd33043e24374fc4adcc161d9efcaf02e',
    })
  })

  test('without a secret: id and timestamp only', () => {
    const headers = signatureHeaders('msg_1', '{}', null, now)
    assert.deepEqual(Object.keys(headers).sort(), ['webhook-id', 'webhook-timestamp'])
  })

  for (const secret of ['x', 'a secret with ünïcödé ✓', 'whsec', 'whsec_', 'whsec_not base64!', 'x'.repeat(255)]) {
    test(`the secret ${JSON.stringify(secret.slice(0, 30))} is not a whsec_ one: its bytes are the key`, () => {
      const body = Buffer.from('{"b":"😀"}')
      const headers = signatureHeaders('msg_2', body.toString(), secret, now)
      verifyStandard(secret, body, headers)
      assert.equal(headers['x-webhook-signature'], hexSignature(secret, body))
    })
  }

  test('any id, body and secret verify with both signatures, and fail if a byte changes', () => {
    const secrets = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((text) => !text.startsWith('whsec_')),
      fc.uint8Array({ minLength: 1, maxLength: 64 }).map((key) => `whsec_${Buffer.from(key).toString('base64')}`),
    )
    fc.assert(
      fc.property(fc.uuid(), fc.string({ unit: 'grapheme' }), secrets, (id, text, secret) => {
        const body = Buffer.from(JSON.stringify({ text }))
        const headers = signatureHeaders(id, body.toString(), secret, now)
        assert.deepEqual(verifyStandard(secret, body, headers), { text })
        assert.equal(headers['x-webhook-signature'], hexSignature(secret, body))
        const forged = Buffer.from(body)
        forged.writeUInt8(forged.readUInt8(1) ^ 1, 1)
        assert.throws(() => verifyStandard(secret, forged, headers))
        assert.throws(() => verifyStandard('not the secret', body, headers))
        assert.throws(() => verifyStandard(secret, body, { ...headers, 'webhook-id': `${id}0` }))
      }),
    )
  })
})

describe('a secret that a receiver cannot use is refused, with what is right', () => {
  const base64 = Buffer.alloc(24, 0xfb).toString('base64')
  for (const [what, secret] of [
    ['a line end behind it', 'shared\n'],
    ['a line end behind a whsec_ one', `${whsec}\n`],
    ['a carriage return', 'shared\r'],
    ['a blank in front', ' shared'],
    ['a blank behind', `${whsec} `],
    ['blanks alone', '   '],
    ['a no-break space behind', 'shared\u00a0'],
    ['a byte order mark', '\ufeffshared'],
    ['a zero-width space', 'sha\u200bred'],
    ['a tab within', 'sha\tred'],
    ['the version of a signature', `v1,${whsec}`],
    ['nothing behind whsec_', 'whsec_'],
    ['base64url', `whsec_${base64.replaceAll('+', '-').replaceAll('/', '_')}`],
    ['no padding', 'whsec_c2VjcmV0IQ'],
    ['loose bits', 'whsec_c2VjcmV0IR=='],
    ['what is no base64', 'whsec_not base64!'],
    ['capitals', whsec.replace('whsec_', 'WHSEC_')],
    ['a key of the asymmetric scheme', 'whsk_c2VjcmV0IQ=='],
  ] as const) {
    test(what, () => assert.match(String(refuseSecret(secret)), /^must /))
  }
  for (const secret of [
    whsec,
    `whsec_${base64}`,
    'whsec_c2VjcmV0IQ==',
    'x',
    'two words',
    'gehëimnis ✓',
    '😀',
    base64,
  ]) {
    test(`${secret.slice(0, 12)} is good`, () => assert.equal(refuseSecret(secret), null))
  }
})

describe('a callback that arrived', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp()
  })
  after(() => t.stop())

  /** The first callback of a request with these fields, as its receiver got it. */
  async function received(fields: Readonly<Record<string, unknown>>): Promise<ReceivedRequest> {
    const receiver = await startReceiver()
    const { id } = await t.createRequest({ callback_webhook: `${receiver.url}/hook?a=1&b=%2F`, ...fields })
    const answer = { decision: 'approve', comment: 'Grüße, "quoted" \u2028 😀' }
    const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: answer })
    assert.equal(reply.status, 200, reply.text)
    await t.app.drain()
    const [request, ...more] = receiver.requests
    await receiver.close()
    assert.ok(request)
    assert.equal(more.length, 0)
    assert.equal(request.method, 'POST')
    assert.equal(request.path, '/hook?a=1&b=%2F')
    assert.equal(request.headers['content-type'], 'application/json')
    assert.equal(Number(request.headers['content-length']), request.body.length)
    return request
  }

  const metadata = { ключ: ['ß', '\u0001', 1.5e300, { deep: null }] }
  for (const secret of [whsec, 'plain shared secret', 'gehëimnis ✓']) {
    test(`with ${secret.replace(/_.*/, '_...')}: both signatures hold over the raw bytes`, async () => {
      const request = await received({ callback_secret: secret, metadata })
      const body = verifyStandard(secret, request.body, request.headers) as { readonly metadata: unknown }
      assert.equal(request.headers['x-webhook-signature'], hexSignature(secret, request.body))
      assert.deepEqual(body.metadata, metadata)
      const forged = Buffer.concat([request.body, Buffer.from(' ')])
      assert.throws(() => verifyStandard(secret, forged, request.headers))
      assert.throws(() => verifyStandard('another secret', request.body, request.headers))
    })
  }

  test('without a secret is not signed, and has a webhook-id', async () => {
    const { headers } = await received({})
    const sent = Object.keys(headers).filter((name) => name.includes('webhook'))
    assert.deepEqual(sent.sort(), ['webhook-id', 'webhook-timestamp'])
    assert.match(String(headers['webhook-id']), /^[0-9a-f-]{36}$/)
    assert.equal(headers['webhook-timestamp'], String(Math.floor(t.clock.now().getTime() / 1_000)))
  })
})
