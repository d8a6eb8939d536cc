import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'
import { recordedEvents } from '../recorded-events.ts'
import { tableContents } from './table-contents.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const path = '/api/v1/requests'
const minimal = { title: 'May I?', context: {} }
const create = (fields: Readonly<Record<string, unknown>>) =>
  t.call('POST', path, { as: t.apiKey, body: { ...minimal, ...fields } })

describe('201', () => {
  test('with only the required fields', async () => {
    const reply = await t.call('POST', path, { as: t.apiKey, body: minimal })
    assert.equal(reply.status, 201)
    const { id, agent_id: agentId, api_key_id: apiKeyId, ...rest } = reply.body
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.equal(reply.headers.location, `${path}/${id}`)
    assert.match(String(reply.headers['content-type']), /^application\/json/)
    assert.equal(reply.headers['idempotency-replayed'], undefined)
    const [key] = await t.sql('select agent_id from api_keys where id = $1', [apiKeyId])
    assert.equal(key?.agent_id, agentId)
    assert.deepEqual(rest, {
      title: 'May I?',
      description: null,
      context: {},
      metadata: null,
      action: null,
      answer: null,
      justification: null,
      presentation: null,
      risk: 'medium',
      risk_proposed: 'medium',
      priority: 'normal',
      tags: [],
      run_id: null,
      state: 'pending',
      revision: 1,
      response: null,
      responded_by: null,
      responded_at: null,
      decided_by: null,
      hold_seconds: 0,
      attachments: [],
      held_until: null,
      outcome: null,
      callback_webhook: null,
      callback_events: null,
      traceparent: null,
      callback_sent_at: null,
      callback: { status: 'none', attempts: 0, next_attempt_at: null, last_error: null },
      // SHA-256 of {"context":{},"description":null,"title":"May I?"}.
      digest: '3c991aaef594c8748ed52a5f7b8fc88766a05214e29556a9fa0429e09b8bcb97',
      certificate: null,
      certificate_expires_at: null,
      redeemed_at: null,
      erased_at: null,
      revised_at: null,
      timeout_at: new Date(t.clock.now().getTime() + 1_440 * 60_000).toISOString(),
      agent_paused: false,
      allowed_actions: ['cancel', 'revise'],
      created_at: t.clock.now().toISOString(),
      updated_at: t.clock.now().toISOString(),
    })
  })

  test('with every field; later reads equal the reply', async () => {
    const body = {
      ...minimal,
      description: 'All of it.',
      metadata: { run: 7 },
      callback_webhook: 'https://agent.example.com/hitl?x=1',
      callback_secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      callback_retry_seconds: [0, 604_800],
      timeout_minutes: 5,
    }
    const reply = await t.call('POST', path, { as: t.apiKey, body })
    assert.equal(reply.status, 201, reply.text)
    assert.equal(reply.body.callback_webhook, body.callback_webhook)
    assert.equal((await t.call('GET', `${path}/${reply.body.id}`, { as: t.apiKey })).text, reply.text)
  })

  test('the callback secret is in no reply and no event, and only encrypted in the database', async () => {
    const secret = 'a-very-recognisable-secret'
    const reply = await create({ callback_webhook: 'https://agent.example.com/', callback_secret: secret })
    assert.ok(!reply.text.includes(secret))
    const [row] = await t.sql(
      `select c::text as whole, octet_length(callback_secret) as bytes from consultation_requests c where id = $1`,
      [reply.body.id],
    )
    assert.ok(
      row && !String(row.whole).includes(secret) && !String(row.whole).includes(Buffer.from(secret).toString('hex')),
    )
    assert.ok(Number(row.bytes) > secret.length)
    const events = await t.sql(`select e::text as whole from events e where subject_id = $1`, [reply.body.id])
    assert.equal(events.length, 1)
    assert.ok(!JSON.stringify(events).includes(secret))
  })

  test('writes one event by the agent in the same commit', async () => {
    const reply = await t.call('POST', path, { as: t.apiKey, body: minimal, headers: { 'x-request-id': 'trace-1' } })
    const [event, ...more] = await recordedEvents(t.sql, { subject: reply.body.id })
    assert.equal(more.length, 0)
    const { kind, actor, http_request_id, before, after } = event ?? assert.fail('there is none')
    assert.deepEqual(
      [kind, actor.kind, actor.id, actor.key_id, http_request_id, before, after.state],
      ['request.created', 'agent', reply.body.agent_id, reply.body.api_key_id, 'trace-1', null, 'pending'],
    )
  })

  test('with a trailing slash', async () => {
    assert.equal((await t.call('POST', `${path}/`, { as: t.apiKey, body: minimal })).status, 201)
  })

  for (const [what, type] of [
    ['with a charset', 'application/json; charset=utf-8'],
    ['as a +json type', 'application/vnd.agent+json'],
    ['in capitals', 'Application/JSON'],
  ] as const) {
    test(`when the content type is JSON ${what}`, async () => {
      const headers = { 'content-type': type }
      assert.equal(
        (await t.call('POST', path, { as: t.apiKey, payload: JSON.stringify(minimal), headers })).status,
        201,
      )
    })
  }

  test('when the scheme name of the credential is in another case', async () => {
    const headers = { authorization: `bEaReR ${t.apiKey}` }
    assert.equal((await t.call('POST', path, { body: minimal, headers })).status, 201)
  })
})

/** 255 code points, 510 UTF-16 units, 1 020 bytes. */
const astral = '\u{1F9ED}'
const urlOf = (length: number): string => `https://agent.example.com/${'a'.repeat(length - 26)}`

const accepted: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['a title of 1 character', { title: '?' }],
  ['a title of 1 astral character', { title: astral }],
  ['a title of 255 characters', { title: 'x'.repeat(255) }],
  ['a title of 255 astral characters', { title: astral.repeat(255) }],
  ['a description of null', { description: null }],
  ['an empty description', { description: '' }],
  ['a description of 100 000 astral characters', { description: astral.repeat(100_000) }],
  ['metadata of null', { metadata: null }],
  ['empty metadata', { metadata: {} }],
  ['timeout_minutes 1', { timeout_minutes: 1 }],
  ['timeout_minutes 10080', { timeout_minutes: 10_080 }],
  ['timeout_minutes null', { timeout_minutes: null }],
  ['callback_webhook null', { callback_webhook: null }],
  ['an http callback_webhook', { callback_webhook: 'http://agent.example.com' }],
  ['a callback_webhook with a scheme in capitals', { callback_webhook: 'HTTPS://agent.example.com/' }],
  ['a callback_webhook of 2048 characters', { callback_webhook: urlOf(2_048) }],
  ['an allowed loopback callback_webhook', { callback_webhook: 'http://127.0.0.1:1/' }],
  ['callback_secret null', { callback_secret: null }],
  ['a callback_secret of 1 character', { callback_secret: 's' }],
  ['a callback_secret of 255 astral characters', { callback_secret: astral.repeat(255) }],
  ['no retries', { callback_retry_seconds: [] }],
  ['20 retries', { callback_retry_seconds: Array(20).fill(1) }],
  ['callback_retry_seconds null', { callback_retry_seconds: null }],
]

const refused: readonly (readonly [string, Readonly<Record<string, unknown>>, string])[] = [
  ['no title', { title: undefined }, 'title'],
  ['title null', { title: null }, 'title'],
  ['an empty title', { title: '' }, 'title'],
  ['a title of 256 characters', { title: 'x'.repeat(256) }, 'title'],
  ['a title of spaces', { title: ' ' }, 'title'],
  ['a title of two lines', { title: 'one\ntwo' }, 'title'],
  ['a title of 256 astral characters', { title: astral.repeat(256) }, 'title'],
  ['a number as title', { title: 5 }, 'title'],
  ['no context', { context: undefined }, 'context'],
  ['context null', { context: null }, 'context'],
  ['an array as context', { context: [] }, 'context'],
  ['an array that holds the context', { context: [{}] }, 'context'],
  ['a string as context', { context: '{}' }, 'context'],
  ['a number as description', { description: 1 }, 'description'],
  ['a description of 100 001 characters', { description: 'x'.repeat(100_001) }, 'description'],
  ['an array as metadata', { metadata: [] }, 'metadata'],
  ['a string as metadata', { metadata: 'x' }, 'metadata'],
  ['timeout_minutes 0', { timeout_minutes: 0 }, 'timeout_minutes'],
  ['timeout_minutes -1', { timeout_minutes: -1 }, 'timeout_minutes'],
  ['timeout_minutes 10081', { timeout_minutes: 10_081 }, 'timeout_minutes'],
  ['timeout_minutes "60"', { timeout_minutes: '60' }, 'timeout_minutes'],
  ['timeout_minutes 1.5', { timeout_minutes: 1.5 }, 'timeout_minutes'],
  ['timeout_minutes true', { timeout_minutes: true }, 'timeout_minutes'],
  ['timeout_minutes [60]', { timeout_minutes: [60] }, 'timeout_minutes'],
  ['an empty callback_webhook', { callback_webhook: '' }, 'callback_webhook'],
  ['a callback_webhook of 2049 characters', { callback_webhook: urlOf(2_049) }, 'callback_webhook'],
  ['a number as callback_webhook', { callback_webhook: 80 }, 'callback_webhook'],
  ['a relative callback_webhook', { callback_webhook: '/hook' }, 'callback_webhook'],
  ['a callback_webhook without a scheme', { callback_webhook: 'agent.example.com' }, 'callback_webhook'],
  ['an ftp callback_webhook', { callback_webhook: 'ftp://agent.example.com/' }, 'callback_webhook'],
  ['a file callback_webhook', { callback_webhook: 'file:///etc/passwd' }, 'callback_webhook'],
  ['a javascript callback_webhook', { callback_webhook: 'javascript:alert(1)' }, 'callback_webhook'],
  ['a callback_webhook with credentials', { callback_webhook: 'https://a:b@agent.example.com/' }, 'callback_webhook'],
  ['a callback_webhook with a fragment', { callback_webhook: 'https://agent.example.com/#x' }, 'callback_webhook'],
  ['a callback_webhook with a space', { callback_webhook: 'https://agent.example.com/a b' }, 'callback_webhook'],
  ['a private callback_webhook that is not allowed', { callback_webhook: 'http://10.0.0.1/' }, 'callback_webhook'],
  ['a cloud metadata callback_webhook', { callback_webhook: 'http://169.254.169.254/latest' }, 'callback_webhook'],
  ['an empty callback_secret', { callback_secret: '' }, 'callback_secret'],
  ['a callback_secret of 256 characters', { callback_secret: 's'.repeat(256) }, 'callback_secret'],
  ['a number as callback_secret', { callback_secret: 1 }, 'callback_secret'],
  ['a callback_secret with a line end', { callback_secret: 'shared\n' }, 'callback_secret'],
  ['a callback_secret that no library reads', { callback_secret: 'whsec_-_' }, 'callback_secret'],
  ['21 retries', { callback_retry_seconds: Array(21).fill(1) }, 'callback_retry_seconds'],
  ['a retry after more than a week', { callback_retry_seconds: [604_801] }, 'callback_retry_seconds.0'],
  ['a retry in the past', { callback_retry_seconds: [1, -1] }, 'callback_retry_seconds.1'],
  ['half a second of retry', { callback_retry_seconds: [0.5] }, 'callback_retry_seconds.0'],
  ['one number as callback_retry_seconds', { callback_retry_seconds: 5 }, 'callback_retry_seconds'],
]

describe('the borders of every field', () => {
  for (const [what, fields] of accepted) {
    test(`201 for ${what}, which comes back`, async () => {
      const reply = await create(fields)
      assert.equal(reply.status, 201, reply.text)
      const { callback_secret: _secret, callback_retry_seconds: _retries, timeout_minutes: minutes, ...shown } = fields
      for (const [name, value] of Object.entries(shown)) assert.deepEqual(reply.body[name], value)
      if (minutes !== undefined) {
        const ms = minutes === null ? null : new Date(t.clock.now().getTime() + Number(minutes) * 60_000).toISOString()
        assert.equal(reply.body.timeout_at, ms)
      }
    })
  }
  for (const [what, fields, field] of refused) {
    test(`422 naming ${field} for ${what}`, async () => {
      const reply = await create(fields)
      assert.equal(reply.status, 422, reply.text)
      assert.equal(reply.body.code, 'request.invalid')
      assert.ok(
        reply.body.errors.some((error: { path: string }) => error.path === field),
        reply.text,
      )
      assert.equal(typeof reply.body.detail, 'string')
      assert.ok(reply.body.detail.startsWith(field), reply.body.detail)
    })
  }
  test('422 names every wrong field at once', async () => {
    const reply = await create({ title: '', timeout_minutes: '60', callback_secret: 1 })
    assert.deepEqual(
      new Set(reply.body.errors.map((error: { path: string }) => error.path)),
      new Set(['title', 'timeout_minutes', 'callback_secret']),
    )
  })
})

describe('refusals leave every table as it was', () => {
  const bodies: readonly (readonly [string, number, string, string])[] = [
    ['an empty body', 400, 'json.empty', ''],
    ['a cut-off body', 400, 'json.malformed', '{"title":"x","context":{'],
    ['a trailing comma', 400, 'json.malformed', '{"title":"x","context":{},}'],
    ['two values', 400, 'json.malformed', '{"title":"x","context":{}} {}'],
    ['NaN', 400, 'json.malformed', '{"title":"x","context":{"a":NaN}}'],
    ['null', 422, 'request.invalid', 'null'],
    ['an array', 422, 'request.invalid', '[{"title":"x","context":{}}]'],
    ['a string', 422, 'request.invalid', '"title"'],
    ['fields only under __proto__', 422, 'request.invalid', '{"__proto__":{"title":"x","context":{}}}'],
    ['a field twice', 422, 'request.invalid', '{"title":"x","context":{},"title":"y"}'],
  ]
  for (const [what, status, code, payload] of bodies) {
    test(`${status} ${code} for ${what}`, async () => {
      const contents = await tableContents(t)
      const headers = { 'content-type': 'application/json' }
      const reply = await t.call('POST', path, { as: t.apiKey, payload, headers })
      assert.deepEqual([reply.status, reply.body.code], [status, code], reply.text)
      assert.deepEqual(await tableContents(t), contents)
    })
  }

  test('400 for bytes that are not UTF-8', async () => {
    const payload = Buffer.concat([Buffer.from('{"title":"'), Buffer.of(0xff, 0xfe), Buffer.from('","context":{}}')])
    const reply = await t.call('POST', path, { as: t.apiKey, payload, headers: { 'content-type': 'application/json' } })
    assert.deepEqual([reply.status, reply.body.code], [400, 'json.malformed'])
  })

  test('401 without a credential, and with one that is none', async () => {
    const contents = await tableContents(t)
    for (const headers of [
      {},
      { authorization: 'Bearer x' },
      { authorization: `Basic ${t.apiKey}` },
      { authorization: t.apiKey },
    ]) {
      const reply = await t.call('POST', path, { body: minimal, headers })
      assert.equal(reply.status, 401)
      assert.equal(typeof reply.body.detail, 'string')
    }
    const broken = `${t.apiKey.slice(0, -1)}${t.apiKey.endsWith('0') ? '1' : '0'}`
    assert.equal((await t.call('POST', path, { as: broken, body: minimal })).status, 401)
    assert.deepEqual(await tableContents(t), contents)
  })

  test('401 comes before any error in the body', async () => {
    assert.equal(
      (await t.call('POST', path, { payload: '{', headers: { 'content-type': 'application/json' } })).status,
      401,
    )
  })

  test('403 for people: asking needs an API key', async () => {
    for (const as of [t.reviewer.token, t.admin.token]) {
      const reply = await t.call('POST', path, { as, body: minimal })
      assert.deepEqual(
        [reply.status, reply.body.code, reply.body.detail],
        [403, 'auth.forbidden', 'This call needs an API key; people cannot make it.'],
      )
    }
  })

  test('413 beyond 1 MiB, 201 at exactly 1 MiB', async () => {
    const fill = (bytes: number): string => {
      const frame = '{"title":"x","context":{"big":""}}'
      return frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`)
    }
    const headers = { 'content-type': 'application/json' }
    const contents = await tableContents(t)
    const tooLarge = await t.call('POST', path, { as: t.apiKey, payload: fill(1_048_577), headers })
    assert.deepEqual([tooLarge.status, tooLarge.body.code], [413, 'http.body_too_large'])
    assert.deepEqual(await tableContents(t), contents)
    const largest = await t.call('POST', path, { as: t.apiKey, payload: fill(1_048_576), headers })
    assert.equal(largest.status, 201)
    assert.equal((await t.call('GET', `${path}/${largest.body.id}`, { as: t.apiKey })).text, largest.text)
  })

  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
  ]) {
    test(`415 for ${type}`, async () => {
      const headers = { 'content-type': type }
      const reply = await t.call('POST', path, { as: t.apiKey, payload: JSON.stringify(minimal), headers })
      assert.deepEqual([reply.status, reply.body.code], [415, 'http.media_type'])
    })
  }

  test('415 for a compressed body', async () => {
    const reply = await t.call('POST', path, { as: t.apiKey, body: minimal, headers: { 'content-encoding': 'gzip' } })
    assert.deepEqual([reply.status, reply.body.code], [415, 'http.content_encoding'])
  })
})

test('422 for every internal address when CALLBACK_ALLOW is empty', async () => {
  const strict = await startTestApp({ environment: { CALLBACK_ALLOW: '' } })
  try {
    for (const url of [
      'http://127.0.0.1:8080/',
      'http://[::1]/',
      'http://localhost/',
      'http://2130706433/',
      'http://0x7f.1/',
      'http://agent/',
    ]) {
      const reply = await strict.call('POST', path, { as: strict.apiKey, body: { ...minimal, callback_webhook: url } })
      assert.equal(reply.status, 422, `${url}: ${reply.text}`)
      assert.equal(reply.body.errors[0].path, 'callback_webhook')
      assert.doesNotMatch(reply.body.detail, /\.\.$/)
    }
    const [{ requests } = { requests: -1 }] = await strict.sql(
      `select count(*)::int as requests from consultation_requests where callback_url is not null`,
    )
    assert.equal(requests, 0)
  } finally {
    await strict.stop()
  }
})
