import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answerErrors, type GivenAnswer } from '../../../src/consultations/questions/answer-check.ts'
import {
  type AnswerAsked,
  type CommentRule,
  commentRules,
  type Decision,
  decisions,
  questionOf,
} from '../../../src/consultations/questions/question.ts'
import type { JsonText } from '../../../src/platform/json.ts'

const json = (value: unknown) => JSON.stringify(value) as JsonText
const ask = (answer: AnswerAsked | null, action: unknown = null) =>
  questionOf({ answer: answer && json(answer), action: action === null ? null : json(action) })
const nothing: GivenAnswer = {
  decision: null,
  comment: null,
  choices: null,
  data: null,
  args: null,
  attachments: null,
  files: [],
}
const paths = (asked: ReturnType<typeof ask>, given: Partial<GivenAnswer>, needsReason = false) =>
  answerErrors(asked, { ...nothing, ...given }, needsReason).map(({ path }) => path)

const asks = [
  null,
  [],
  ['acknowledge'],
  ['approve', 'reject'],
  ['reject', 'approve', 'request_changes', 'acknowledge'],
] as const satisfies readonly (readonly Decision[] | null)[]

describe('every decision against every list that was asked for', () => {
  for (const offered of asks) {
    const asked = ask(offered === null ? null : { decisions: offered, comment: 'optional' })
    const allowed: readonly Decision[] = offered ?? ['approve', 'reject', 'request_changes']
    for (const decision of [null, ...decisions]) {
      const isRight = allowed.length === 0 ? decision === null : decision !== null && allowed.includes(decision)
      test(`asked for ${offered ?? 'nothing'}: ${decision} is ${isRight ? 'taken' : 'refused'}`, () => {
        assert.deepEqual(paths(asked, { decision }), isRight ? [] : ['decision'])
        const [error] = answerErrors(asked, { ...nothing, decision }, false)
        if (!isRight && allowed.length > 0) for (const one of allowed) assert.ok(error?.message.includes(one))
      })
    }
  }
})

describe('every rule of comments against every decision', () => {
  const needed: Readonly<Record<CommentRule, readonly (Decision | null)[]>> = {
    optional: [],
    required: [null, ...decisions],
    required_unless_approved: [null, 'reject', 'request_changes', 'acknowledge'],
    none: [],
  }
  for (const comment of commentRules) {
    for (const decision of [null, ...decisions]) {
      test(`${comment}, ${decision}`, () => {
        const asked = ask({ decisions: decision === null ? [] : decisions, comment })
        const missing = needed[comment].includes(decision) ? ['comment'] : []
        assert.deepEqual(paths(asked, { decision }), missing)
        assert.deepEqual(paths(asked, { decision, comment: ' \n ' }), missing, 'blanks say nothing')
        assert.deepEqual(paths(asked, { decision, comment: 'x' }), comment === 'none' ? ['comment'] : [])
      })
    }
  }
  test('where the risk is high, rejecting and editing need a reason, unless no comment is asked for', () => {
    const action = { name: 'x', args: { a: 1 } }
    const asked = ask({ edit_args: true }, action)
    assert.deepEqual(paths(asked, { decision: 'approve' }, true), [])
    assert.deepEqual(paths(asked, { decision: 'reject' }, true), ['comment'])
    assert.deepEqual(paths(asked, { decision: 'request_changes' }, true), ['comment'])
    assert.deepEqual(paths(asked, { decision: 'approve', args: { a: 2 } }, true), ['comment'])
    assert.deepEqual(paths(asked, { decision: 'approve', args: { a: 2 }, comment: 'cheaper' }, true), [])
    assert.deepEqual(paths(ask({ comment: 'none' }), { decision: 'reject' }, true), [])
  })
})

describe('options', () => {
  const items = ['a', 'b', 'c'].map((id) => ({ id, label: id.toUpperCase(), requires_comment: id === 'c' }))
  for (const [what, options, choices, wrong] of [
    ['one', { mode: 'single' }, ['a'], []],
    ['none of one', { mode: 'single' }, [], ['choices']],
    ['none of at most one', { mode: 'single', min: 0 }, [], []],
    ['nothing of at most one', { mode: 'single', min: 0 }, null, []],
    ['nothing', { mode: 'single' }, null, ['choices']],
    ['two of one', { mode: 'single' }, ['a', 'b'], ['choices']],
    ['an unknown one', { mode: 'single' }, ['x'], ['choices.0']],
    ['an unknown second', { mode: 'multiple' }, ['a', 'toString'], ['choices.1']],
    ['several', { mode: 'multiple' }, ['b', 'a'], []],
    ['none of several', { mode: 'multiple' }, [], ['choices']],
    ['none where none will do', { mode: 'multiple', min: 0 }, [], []],
    ['too many', { mode: 'multiple', max: 1 }, ['a', 'b'], ['choices']],
    ['too few', { mode: 'multiple', min: 2 }, ['a'], ['choices']],
    ['one twice', { mode: 'multiple' }, ['a', 'a'], ['choices']],
    ['two of three in order', { mode: 'ranked' }, ['b', 'a'], ['choices']],
    ['the best two in order', { mode: 'ranked', max: 2 }, ['b', 'a'], []],
    ['the best one of two', { mode: 'ranked', max: 2 }, ['b'], ['choices']],
    ['the best of up to two', { mode: 'ranked', min: 1, max: 2 }, ['b'], []],
    ['one that requires a comment', { mode: 'single' }, ['c'], ['comment']],
  ] as const) {
    test(`${what}: ${wrong.join() || 'taken'}`, () => {
      const asked = ask({ decisions: [], options: { ...options, items } })
      assert.deepEqual(paths(asked, { choices }), wrong)
    })
  }
  test('a refusal need not choose, but what it chooses is checked', () => {
    const asked = ask({ options: { mode: 'single', items } })
    assert.deepEqual(paths(asked, { decision: 'reject' }), [])
    assert.deepEqual(paths(asked, { decision: 'reject', choices: ['x'] }), ['choices.0'])
    assert.deepEqual(paths(asked, { decision: 'approve' }), ['choices'])
  })
})

describe('what was not asked for is refused', () => {
  for (const [name, value] of [
    ['choices', ['a']],
    ['data', {}],
    ['args', {}],
  ] as const) {
    test(name, () => assert.deepEqual(paths(ask(null), { decision: 'approve', [name]: value }), [name]))
  }
  test('all at once, each named', () => {
    assert.deepEqual(
      paths(ask({ decisions: [], comment: 'none', options: null }), {
        decision: 'approve',
        comment: 'x',
        choices: [],
        data: 1,
        args: 1,
      }),
      ['decision', 'choices', 'data', 'args', 'comment'],
    )
  })
})

describe('a form', () => {
  const form = {
    type: 'object',
    properties: { amount: { type: 'number', minimum: 1 }, 'a.b': { type: 'array', items: { type: 'string' } } },
    required: ['amount'],
    additionalProperties: false,
  }
  test('has an error of its own for each wrong field', () => {
    const errors = answerErrors(
      ask({ form }),
      { ...nothing, decision: 'approve', data: { amount: 0, 'a.b': ['x', 1], more: true } },
      false,
    )
    assert.deepEqual(errors, [
      { path: 'data.amount', message: 'must be 1 or more', pointer: '/data/amount' },
      { path: 'data.a.b.1', message: 'must be text', pointer: '/data/a.b/1' },
      { path: 'data.more', message: 'is not asked for: leave it out', pointer: '/data/more' },
    ])
  })
  test('is filled in by all who do not refuse', () => {
    assert.deepEqual(paths(ask({ form }), { decision: 'approve' }), ['data'])
    assert.deepEqual(paths(ask({ form }), { decision: 'reject' }), [])
    assert.deepEqual(paths(ask({ form }), { decision: 'reject', data: {} }), ['data.amount'])
    assert.deepEqual(paths(ask({ decisions: [], form }), {}), ['data'])
  })
})

describe('edited arguments keep their types', () => {
  const args = { to: ['a@example.com'], amount: 40, dry: false, note: null, deep: { n: 1, list: [] } }
  const args_schema = {
    type: 'object',
    properties: {
      amount: { type: 'number', maximum: 50 },
      note: { type: ['string', 'null'] },
      extra: { type: 'string' },
    },
    required: ['amount'],
  }
  for (const [what, edited, free, bound] of [
    ['nothing changed', args, [], []],
    ['other values', { ...args, amount: 30, dry: true, to: ['b@example.com'] }, [], []],
    ['a number as text', { ...args, amount: '30' }, ['args.amount'], ['args.amount']],
    ['null for a value', { ...args, amount: null }, ['args.amount'], ['args.amount']],
    ['a value for null', { ...args, note: 'x' }, ['args.note'], []],
    ['a list for an object', { ...args, deep: [] }, ['args.deep'], ['args.deep']],
    ['one member more', { ...args, extra: 'x' }, ['args.extra'], []],
    ['one member less', { to: args.to, amount: 1, dry: true, note: null }, ['args.deep'], []],
    ['a demanded member less', { ...args, amount: undefined }, ['args.amount'], ['args.amount']],
    ['out of bounds', { ...args, amount: 51 }, [], ['args.amount']],
    ['an entry more', { ...args, to: ['a', 'b'] }, [], []],
    ['an entry of another type', { ...args, to: ['a', 1] }, ['args.to.1'], []],
    ['no entry', { ...args, to: [] }, [], []],
    ['an entry of an empty list', { ...args, deep: { n: 1, list: [1] } }, ['args.deep.list.0'], []],
    ['deeper down', { ...args, deep: { n: true, list: [] } }, ['args.deep.n'], ['args.deep.n']],
    ['no object', 'x', ['args'], ['args']],
  ] as const) {
    test(what, () => {
      const given = { decision: 'approve', args: JSON.parse(JSON.stringify(edited)) } as const
      assert.deepEqual(paths(ask({ edit_args: true }, { name: 'x', args }), given), free)
      assert.deepEqual(paths(ask({ edit_args: true }, { name: 'x', args, args_schema }), given), bound)
    })
  }
  test('and go with an approval only', () => {
    const asked = ask({ edit_args: true }, { name: 'x', args })
    assert.deepEqual(paths(asked, { decision: 'reject', args }), ['args'])
    assert.deepEqual(paths(ask({ edit_args: true, decisions: [] }, { name: 'x', args }), { args }), [])
  })
})
