import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Request } from '../src/api/requests.ts'
import { type Decision, decisionsOf } from '../src/deciding/rules.ts'
import { atButtons, nextStep, type Step } from '../src/deciding/steps.ts'
import { actOf, type Press } from '../src/keys/match.ts'

const asked = (risk: string, more: Partial<Request> = {}) =>
  ({ id: 'x', revision: 1, risk, answer: null, action: null, title: 'T', ...more }) as Request

describe('what comes before a decision', () => {
  const go = (request: Request, ...inputs: Parameters<typeof nextStep>[2][]) => {
    let step: Step = atButtons
    for (const input of inputs) {
      const next = nextStep(request, step, input)
      if (!('step' in next)) return next
      step = next.step
    }
    return step
  }
  test('low and medium: nothing', () => {
    for (const risk of ['low', 'medium']) {
      const expected = { decision: 'approve', answer: {}, byStepUp: false }
      assert.deepEqual(go(asked(risk), { is: 'begin', decision: 'approve' }), expected)
    }
  })
  test('high and critical, and a risk that nobody knows: a confirmation', () => {
    for (const risk of ['high', 'critical', 'unheard-of']) {
      const confirm = { name: 'confirm', decision: 'approve', comment: null }
      assert.deepEqual(go(asked(risk), { is: 'begin', decision: 'approve' }), confirm)
      const answer = asked(risk, { answer: { decisions: [] as string[] } as Request['answer'] })
      assert.deepEqual(go(answer, { is: 'begin', decision: 'answer' }), { ...confirm, decision: 'answer' })
    }
  })
  test('an empty reason is none where one is demanded', () => {
    const reject = { is: 'begin', decision: 'reject' } as const
    assert.deepEqual(go(asked('high'), reject, { is: 'comment', text: ' \n' }), { name: 'comment', decision: 'reject' })
    assert.deepEqual(go(asked('high'), reject, { is: 'comment', text: 'No.' }), {
      decision: 'reject',
      answer: { comment: 'No.' },
      byStepUp: false,
    })
  })
  test('a confirmation that was not asked for decides nothing', () => {
    assert.deepEqual(go(asked('critical'), { is: 'confirm', confirmation: { acknowledged: true } }), atButtons)
  })
})

/**
 * Keys as the page takes them: letters act at the buttons; in a comment they are written; in a confirmation the focus is on not
 * approving. Ctrl+Enter sends a comment, also by chance; moving the focus (Tab) is what a person does on purpose, and is left out.
 */
describe('random keys never approve at high and critical risk', () => {
  const keys = [
    ...'abcdefghijklmnopqrstuvwxyzAR0123456789[]/?',
    'Enter',
    'Control+Enter',
    ' ',
    'Escape',
    'ArrowUp',
    'ArrowDown',
    'Backspace',
  ]
  const decisionOf: Readonly<Record<string, Decision>> = {
    approve: 'approve',
    reject: 'reject',
    ask: 'request_changes',
  }
  let seed = 20_261_130
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const press = (key: string, step: Step, isWriting: boolean): Press => ({
    key,
    code: /^[a-z]$/i.test(key) ? `Key${key.toUpperCase()}` : key,
    ctrl: false,
    meta: false,
    alt: false,
    altGraph: false,
    shift: /^[A-Z?]$/.test(key),
    repeat: random(8) === 0,
    isComposing: random(20) === 0,
    inEditable: isWriting,
    onControl: step.name === 'confirm',
    ownsArrows: false,
    inDialog: step.name === 'confirm',
  })

  for (const risk of ['high', 'critical', 'low']) {
    test(`2 000 sequences at ${risk} risk`, () => {
      const decided: Decision[] = []
      for (let run = 0; run < 2_000; run += 1) {
        const request = asked(risk, random(2) === 0 ? {} : { answer: { comment: 'required' } as Request['answer'] })
        let step: Step = atButtons
        let first: string | null = null
        for (let at = 0; at < 30; at += 1) {
          const key = keys[random(keys.length)] ?? 'a'
          const isSent = step.name === 'comment' && key === 'Control+Enter'
          const act = actOf(press(key, step, step.name === 'comment'), first, true)
          first = act === 'more' ? key : null
          const leaves =
            (step.name === 'confirm' && ['Enter', ' ', 'Escape'].includes(key)) ||
            (step.name === 'comment' && key === 'Escape')
          const decision = act === null ? undefined : decisionOf[act]
          const isOffered = decision !== undefined && decisionsOf(request).includes(decision)
          const next = leaves
            ? nextStep(request, step, { is: 'cancel' })
            : isSent
              ? nextStep(request, step, { is: 'comment', text: random(2) === 0 ? '' : 'No.' })
              : isOffered
                ? nextStep(request, step, { is: 'begin', decision })
                : { step }
          if (!('step' in next)) {
            decided.push(next.decision)
            break
          }
          step = next.step
        }
      }
      const approvals = decided.filter((each) => each === 'approve').length
      assert.ok(decided.length - approvals > 20, 'the same keys reject')
      if (risk === 'low') assert.ok(approvals > 200, 'the same keys approve at low risk')
      else assert.equal(approvals, 0)
    })
  }
})
