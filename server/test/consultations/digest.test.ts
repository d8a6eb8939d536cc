import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '../../src/consultations/digest.ts'
import type { JsonText } from '../../src/platform/json.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { startReceiver } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'
import { coreQuestion } from './core-question.ts'

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex')

/** RFC 8785 written from its text and differently from the service, as a reference for the digests. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}

const asked = (context: string, title = 'May I?', description: string | null = null) => ({
  title,
  description,
  context: context as JsonText,
  ...coreQuestion,
})

describe('the digest', () => {
  test('is SHA-256 over the canonical JSON of context, description and title', () => {
    assert.equal(
      digestOf(asked('{"b":[1.50,true],"a":"\\u20ac"}', 'Pay?', 'Now.')),
      sha256('{"context":{"a":"€","b":[1.5,true]},"description":"Now.","title":"Pay?"}'),
    )
    assert.equal(digestOf(asked('{}')), sha256('{"context":{},"description":null,"title":"May I?"}'))
  })
  test('is that of RFC 8785, 3.2.3 for its own example of sorting', () => {
    const context =
      '{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis"}'
    const sorted =
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
    assert.equal(digestOf(asked(context)), sha256(`{"context":${sorted},"description":null,"title":"May I?"}`))
  })
  test('is the same however the question is written', () => {
    const one = digestOf(asked('{"a":1,"b":{"c":"x","d":[1,2]}}'))
    for (const same of [
      ' { "b" : { "d" : [ 1.0, 2e0 ], "c" : "\\u0078" } , "a" : 10e-1 } ',
      '{"a":1.000,"b":{"c":"x","d":[1,2]}}',
    ]) {
      assert.equal(digestOf(asked(same)), one)
    }
  })
  test('has more members where more is asked, each as it is on the wire', () => {
    const full = {
      ...asked('{"b":2}', 'Pay?'),
      action: '{"name":"pay","args":{"z":1.0,"a":2}}' as JsonText,
      answerAsked: '{"edit_args": true}' as JsonText,
      justification: 'Due.',
      presentation: '{"target":"x"}' as JsonText,
    }
    assert.equal(
      digestOf(full),
      sha256(
        '{"action":{"args":{"a":2,"z":1},"name":"pay"},"answer":{"edit_args":true},"context":{"b":2},"description":null,' +
          '"justification":"Due.","presentation":{"target":"x"},"title":"Pay?"}',
      ),
    )
  })
  test('differs for every other question', () => {
    const questions = [
      asked('{"a":1}'),
      asked('{"a":"1"}'),
      asked('{"a":[1]}'),
      asked('{"a":null}'),
      asked('{"A":1}'),
      asked('{"a":1,"__proto__":{}}'),
      asked('{"a":1,"__proto__":{"b":1}}'),
      asked('{"a":1}', 'May I'),
      asked('{"a":1}', 'May I?', ''),
      asked('{"a":1}', 'May I?', 'null'),
      { ...asked('{"a":1}'), action: '{"name":"x","args":{}}' as JsonText },
      { ...asked('{"a":1}'), action: '{"name":"x","args":{"a":1}}' as JsonText },
      { ...asked('{"a":1}'), answerAsked: '{"decisions":[]}' as JsonText },
      { ...asked('{"a":1}'), presentation: '{"decisions":[]}' as JsonText },
      { ...asked('{"a":1}'), justification: 'because' },
    ]
    assert.equal(new Set(questions.map(digestOf)).size, questions.length)
  })
  test('agrees with another implementation for any JSON', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ stringUnit: 'grapheme' })),
        fc.string({ unit: 'grapheme' }),
        (context, title) => {
          const text = JSON.stringify(context) as JsonText
          const expected = sha256(canonical({ title, description: null, context: JSON.parse(text) }))
          assert.equal(digestOf(asked(text, title)), expected)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('on the wire', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp()
  })
  after(() => t.stop())
  const question = { z: 1.5, a: ['€', { b: null }] }
  const expected = (title: string): string => sha256(canonical({ title, description: null, context: question }))

  test('is in the request from its creation on, in lists, in its events and in its callback', async (context) => {
    const receiver = await startReceiver()
    context.after(() => receiver.close())
    const created = await t.createRequest({ title: 'Digest?', context: question, callback_webhook: receiver.url })
    assert.equal(created.digest, expected('Digest?'))
    const body = { decision: 'reject' }
    const path = `/api/v1/requests/${created.id}`
    const answered = await t.call('POST', `${path}/respond`, { as: t.reviewer.token, body })
    await t.app.drain()
    const list = await t.call('GET', '/api/v1/requests', { as: t.apiKey })
    const listed = list.body.items.find((item: { id: string }) => item.id === created.id)
    for (const shown of [answered.body, listed, (await t.call('GET', path, { as: t.apiKey })).body]) {
      assert.equal(shown.digest, created.digest)
    }
    assert.equal(JSON.parse(String(receiver.requests[0]?.body)).digest, created.digest)
    const events = await recordedEvents(t.sql, { subject: created.id })
    assert.deepEqual(events.map((event) => event.kind).sort(), [
      'request.callback_sent',
      'request.created',
      'request.responded',
    ])
    for (const event of events) assert.equal(event.digest, created.digest)
  })
  test('is computed quickly even for the largest body', async () => {
    const large = { rows: Array.from({ length: 9_000 }, (_, n) => ({ n, text: 'x'.repeat(80), ok: true })) }
    const created = await t.createRequest({ context: large })
    assert.equal(created.digest, sha256(canonical({ title: 'May I?', description: null, context: large })))
  })
})
