import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Request } from '../src/api/requests.ts'
import { commentFor, decisionsOf, letsAct, notYet, targetOf } from '../src/deciding/rules.ts'
import { change, draftKey } from '../src/questions/drafts.ts'

const asked = (given: Partial<Request>) => ({ risk: 'medium', answer: null, title: 'T', ...given }) as Request

describe('when a key may decide', () => {
  for (const [risk, forMs, cameByItself, expected] of [
    ['low', 0, false, null],
    ['low', 399, true, 'settling'],
    ['low', 400, true, null],
    ['medium', 999, false, 'unread'],
    ['medium', 399, true, 'settling'],
    ['medium', 1_000, true, null],
    ['high', 0, false, null],
    ['critical', 399, true, 'settling'],
  ] as const) {
    test(`${risk} risk, painted for ${forMs} ms${cameByItself ? ', by itself' : ''}: ${expected}`, () => {
      assert.equal(notYet({ id: 'x', revision: 1, risk, forMs, cameByItself }), expected)
    })
  }
})

describe('what a decision says', () => {
  const answer = (comment: string) => ({ comment }) as Request['answer']
  for (const [rule, risk, decision, need] of [
    ['optional', 'medium', 'approve', 'optional'],
    ['optional', 'medium', 'reject', 'optional'],
    ['optional', 'high', 'reject', 'required'],
    ['optional', 'unheard-of', 'reject', 'required'],
    ['optional', 'low', 'request_changes', 'required'],
    ['required', 'low', 'approve', 'required'],
    ['required_unless_approved', 'low', 'approve', 'optional'],
    ['required_unless_approved', 'low', 'reject', 'required'],
    ['none', 'high', 'reject', 'none'],
  ] as const) {
    test(`${rule}, ${risk} risk, ${decision}: ${need}`, () => {
      assert.equal(commentFor(asked({ answer: answer(rule), risk }), decision), need)
    })
  }

  test('an option that asks for a comment, and edited arguments at high risk, take one', () => {
    const items = [
      { id: 'a', label: 'A', requires_comment: true },
      { id: 'b', label: 'B' },
    ]
    const options = { mode: 'single', items }
    const request = asked({
      id: 'r',
      revision: 1,
      risk: 'high',
      action: null,
      answer: { options } as Request['answer'],
    })
    assert.equal(commentFor(request, 'approve'), 'optional')
    change(draftKey(request), { choices: ['a'] })
    assert.equal(commentFor(request, 'approve'), 'required')
    change(draftKey(request), { choices: ['b'], args: { amount: 2 } })
    assert.equal(commentFor(request, 'approve'), 'required')
    assert.equal(commentFor({ ...request, risk: 'medium' }, 'approve'), 'optional')
  })

  test('where no decision is asked for, there is one thing to do: to answer', () => {
    assert.deepEqual(decisionsOf(asked({ answer: { decisions: [] as string[] } as Request['answer'] })), ['answer'])
    assert.deepEqual((['approve', 'answer', 'reject', 'acknowledge'] as const).map(letsAct), [true, true, false, false])
  })

  test('decisions are shown in the order asked for, unknown ones left out', () => {
    assert.deepEqual(decisionsOf(asked({})), ['approve', 'reject', 'request_changes'])
    const decisions = ['reject', 'approve', 'postpone'] as never
    assert.deepEqual(decisionsOf(asked({ answer: { decisions } as Request['answer'] })), ['reject', 'approve'])
  })

  test('what is typed at critical risk: the target, else the action, else the title', () => {
    assert.equal(targetOf(asked({ presentation: null, action: null })), 'T')
    assert.equal(targetOf(asked({ presentation: null, action: { name: 'drop', args: {} } as never })), 'drop')
    assert.equal(targetOf(asked({ presentation: { target: 'db' } as never, action: { name: 'drop' } as never })), 'db')
  })
})
