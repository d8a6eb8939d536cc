import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refuseSecret } from '../../src/callbacks/signature.ts'
import { parseAnswer } from '../../src/consultations/new-answer.ts'
import { parseNewRequest } from '../../src/consultations/new-request.ts'
import { parseExactJson } from '../../src/platform/json.ts'
import { Problem } from '../../src/platform/problem.ts'
import { bodyOf } from './body-of.ts'
import { coreQuestion } from './core-question.ts'

const parse = (body: unknown, refuseTarget: (url: string) => string | null = () => null) =>
  parseNewRequest(parseExactJson(Buffer.from(JSON.stringify(body))), { refuseTarget, refuseSecret })
const least = { title: 'x', context: {} }

function refusal(act: () => unknown) {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof Problem, String(error))
    return [error.status, error.code, error.errors?.map(({ path }) => path)]
  }
  return assert.fail('it was not refused')
}

describe('a new request, from any entry point', () => {
  test('has defaults for fields that are left out or null', () => {
    const defaults = {
      title: 'x',
      description: null,
      context: '{}',
      metadata: null,
      timeoutMinutes: 1_440,
      callbackUrl: null,
      callbackSecret: null,
      ...coreQuestion,
      callbackRetrySeconds: null,
      callbackEvents: null,
      holdSeconds: 0,
    }
    assert.deepEqual(parse(least), defaults)
    const nulls = { description: null, metadata: null, callback_webhook: null, callback_secret: null }
    assert.deepEqual(parse({ ...least, ...nulls, callback_retry_seconds: null }), defaults)
    assert.equal(parse({ ...least, timeout_minutes: null }).timeoutMinutes, null, 'null is for ever')
  })

  test('keeps context and metadata as they were written', () => {
    const body = parseExactJson(Buffer.from('{"title":"x","context":{"a": 1.0},"metadata":{ "run" : 1E5 }}'))
    const { context, metadata } = parseNewRequest(body, { refuseTarget: () => null, refuseSecret })
    assert.deepEqual([context, metadata], ['{"a": 1.0}', '{ "run" : 1E5 }'])
  })

  for (const [what, fields, paths] of [
    ['a title that is too long', { title: 'x'.repeat(256) }, ['title']],
    ['an empty title', { title: '' }, ['title']],
    ['a description that is too long', { description: 'x'.repeat(100_001) }, ['description']],
    ['a context that is no object', { context: [] }, ['context']],
    ['a secret that is too long', { callback_secret: 'x'.repeat(256) }, ['callback_secret']],
    ['a time that is too long', { timeout_minutes: 10_081 }, ['timeout_minutes']],
    ['too many retries', { callback_retry_seconds: Array.from({ length: 21 }, () => 1) }, ['callback_retry_seconds']],
    ['two wrong fields', { title: 1, timeout_minutes: 0 }, ['title', 'timeout_minutes']],
  ] as const) {
    test(`${what}: 422 naming it`, () => {
      assert.deepEqual(
        refusal(() => parse({ ...least, ...fields })),
        [422, 'request.invalid', paths],
      )
    })
  }

  test('a callback address that is refused: 422 with the reason', () => {
    const url = 'https://10.0.0.1/'
    const create = () =>
      parse({ ...least, callback_webhook: url }, (asked) => (asked === url ? 'It is private.' : null))
    assert.deepEqual(refusal(create), [422, 'request.invalid', ['callback_webhook']])
    assert.throws(create, { message: 'callback_webhook is refused: It is private.' })
  })

  for (const value of [null, undefined, 1, 'x', []]) {
    test(`422 for ${JSON.stringify(value)} instead of an object`, () => {
      assert.deepEqual(
        refusal(() => parseNewRequest({ value, members: new Map() }, { refuseTarget: () => null, refuseSecret })),
        [422, 'request.invalid', ['']],
      )
    })
  }
})

describe('an answer, from any entry point', () => {
  test('has no comment and no revision where none are given', () => {
    assert.deepEqual(parseAnswer(bodyOf({ decision: 'reject' })), {
      decision: 'reject',
      comment: null,
      choices: null,
      data: null,
      args: null,
      attachments: null,
      confirmation: null,
      revision: undefined,
      digest: undefined,
      holdSeconds: undefined,
    })
  })

  for (const [what, body, paths] of [
    ['an unknown decision', { decision: 'maybe' }, ['decision']],
    ['choices that are no list', { choices: 'a' }, ['choices']],
    ['a confirmation of nothing', { confirmation: { acknowledged: 'yes' } }, ['confirmation.acknowledged']],
    ['data that is no object', { data: [] }, ['data']],
    ['too much data', { data: { a: 'x'.repeat(262_144) } }, ['data']],
    ['a comment that is too long', { decision: 'approve', comment: 'x'.repeat(10_001) }, ['comment']],
    ['a revision beyond what is kept', { decision: 'approve', revision: 2 ** 31 }, ['revision']],
    ['nothing at all', undefined, ['']],
  ] as const) {
    test(`${what}: 422 naming it`, () => {
      assert.deepEqual(
        refusal(() => parseAnswer(bodyOf(body))),
        [422, 'request.invalid', paths],
      )
    })
  }
})
