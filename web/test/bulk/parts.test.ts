import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Request } from '../../src/api/requests.ts'
import { alikeOf, commentForAll, partsOf, type Reason } from '../../src/bulk/parts.ts'
import { extended, mostSelected, nothingSelected, selected, toggled } from '../../src/bulk/selection.ts'

const asked = (id: string, given: object = {}): Request =>
  ({
    id,
    revision: 1,
    risk: 'low',
    title: id,
    answer: null,
    action: null,
    agent_id: 'agent',
    digest: 'same',
    allowed_actions: ['respond'],
    ...given,
  }) as unknown as Request
const chosen = (request: Request, revision = request.revision) => ({ request, revision })

describe('what is decided together', () => {
  for (const [what, given, approve, reject] of [
    ['low risk', {}, null, null],
    ['medium risk, alone', { risk: 'medium' }, null, null],
    ['high risk', { risk: 'high' }, 'risk', 'risk'],
    ['critical risk', { risk: 'critical' }, 'risk', 'risk'],
    ['a risk of a later service', { risk: 'grave' }, 'risk', 'risk'],
    ['decided by somebody', { allowed_actions: [] }, 'closed', 'closed'],
    ['changed since it was selected', { revision: 2 }, 'revised', 'revised'],
    ['no decision asked for', { answer: { decisions: [] } }, 'asks', 'asks'],
    ['only an acknowledgement asked for', { answer: { decisions: ['acknowledge'] } }, 'asks', 'asks'],
    ['a form beside the decision', { answer: { form: { type: 'object' } } }, 'asks', null],
    ['options', { answer: { options: { mode: 'single', items: [] } } }, 'asks', null],
    ['files', { answer: { attachments: {} } }, 'asks', null],
    ['a comment required', { answer: { comment: 'required' } }, 'asks', null],
    ['a comment unless it is approved', { answer: { comment: 'required_unless_approved' } }, null, null],
    ['a question that the list leaves out', { answer: {}, answer_truncated: true }, 'asks', 'asks'],
  ] as const) {
    test(`${what}: ${approve ?? 'approved'}, ${reject ?? 'rejected'}`, () => {
      const one = asked('one', given)
      for (const [decision, reason] of [
        ['approve', approve],
        ['reject', reject],
      ] as const) {
        const { ready, others } = partsOf([chosen(one, 1)], decision)
        const found: Reason | null = others[0]?.reason ?? null
        assert.deepEqual([found, ready.length + others.length], [reason, 1], decision)
      }
    })
  }

  test('of medium risk only identical ones, and one of high risk that is left out makes none of them different', () => {
    const [one, same] = [asked('one', { risk: 'medium' }), asked('same', { risk: 'medium' })]
    const low = asked('low', { digest: 'other' })
    const high = asked('high', { risk: 'high', digest: 'other' })
    const ready = (...requests: Request[]) =>
      partsOf(
        requests.map((each) => chosen(each)),
        'approve',
      ).ready
    assert.deepEqual(ready(one, same, low, high), [one, same, low])
    for (const other of [{ digest: 'other' }, { agent_id: 'another' }]) {
      const different = asked('different', { risk: 'medium', ...other })
      assert.deepEqual(ready(one, low, different), [low])
    }
  })

  test('one comment for all is required where one of them requires it, and asked for where one may have it', () => {
    const rule = (comment: string) => asked(comment, { answer: { comment } })
    assert.equal(commentForAll([rule('none'), rule('required')], 'reject'), 'required')
    assert.equal(commentForAll([rule('none'), rule('optional')], 'reject'), 'optional')
    assert.equal(commentForAll([rule('none')], 'reject'), 'none')
  })

  test('identical ones of the list that are not selected yet', () => {
    const [one, same, other] = [asked('one'), asked('same'), asked('other', { digest: 'other' })]
    const closed = asked('closed', { allowed_actions: [] })
    assert.deepEqual(alikeOf([one, same, other, closed], [chosen(one)]), [same])
  })
})

describe('selecting', () => {
  const list = ['a', 'b', 'c', 'd', 'e'].map((id) => asked(id))
  const [a, b] = list as [Request, Request]
  const ids = ({ revisions }: { readonly revisions: ReadonlyMap<string, number> }) => [...revisions.keys()].sort()
  const step = (from: ReturnType<typeof toggled>, ...places: string[]) =>
    places.slice(1).reduce((now, to, place) => extended(now, list, places[place] ?? null, to), from)

  test('a second press takes one out again', () => {
    assert.deepEqual(ids(toggled(toggled(nothingSelected, a), b)), ['a', 'b'])
    assert.deepEqual(ids(toggled(toggled(nothingSelected, a), a)), [])
  })

  test('a range grows, shrinks, turns around where it began, and leaves what was selected before', () => {
    assert.deepEqual(ids(step(nothingSelected, 'b', 'c', 'd')), ['b', 'c', 'd'])
    assert.deepEqual(ids(step(nothingSelected, 'b', 'c', 'd', 'c')), ['b', 'c'])
    assert.deepEqual(ids(step(nothingSelected, 'b', 'c', 'b', 'a')), ['a', 'b'])
    const before = toggled(nothingSelected, list[4] as Request)
    assert.deepEqual(ids(step(before, 'a', 'b', 'a')), ['a', 'e'])
  })

  test('elsewhere a new range begins, and by the pointer it goes on from the last one selected', () => {
    const first = toggled(nothingSelected, a)
    assert.deepEqual(ids(step(first, 'c', 'd')), ['a', 'c', 'd'])
    assert.deepEqual(ids(extended(first, list, null, 'c')), ['a', 'b', 'c'])
    assert.deepEqual(ids(extended(nothingSelected, list, null, 'c')), ['c'])
  })

  test(`at most ${mostSelected}, with the revision that was painted`, () => {
    const many = Array.from({ length: mostSelected + 10 }, (_, place) => asked(`r${place}`, { revision: place + 1 }))
    const { revisions } = selected(nothingSelected, many)
    assert.equal(revisions.size, mostSelected)
    assert.equal(revisions.get('r7'), 8)
  })
})
