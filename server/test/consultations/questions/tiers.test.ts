import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  nameToType,
  type Risk,
  requireConfirmed,
  requireSurface,
  risks,
  type Surface,
  surfaces,
} from '../../../src/consultations/questions/tiers.ts'
import { Problem } from '../../../src/platform/problem.ts'

/** What it returns, or the code of its refusal. */
function outcome(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    assert.ok(error instanceof Problem, String(error))
    assert.equal(error.status, 403)
    return error.code
  }
}

const name = 'vol-1'
const needed = 'consultation.confirmation_required'
const confirmations = {
  nothing: null,
  'an empty one': {},
  acknowledged: { acknowledged: true },
  'the name': { typed: name },
  'the name with a blank': { typed: ` ${name} ` },
  'another name': { typed: 'vol-2' },
  'another case': { typed: 'VOL-1' },
  'no name': { typed: '' },
  'both, the name wrong': { acknowledged: true, typed: 'vol-2' },
} as const
type Given = keyof typeof confirmations

const none = Object.fromEntries(Object.keys(confirmations).map((given) => [given, null]))
const expected: Readonly<Record<Risk, Readonly<Record<string, string | null>>>> = {
  low: none,
  medium: none,
  high: {
    nothing: needed,
    'an empty one': needed,
    acknowledged: 'acknowledged',
    'the name': 'typed',
    'the name with a blank': 'typed',
    'another name': needed,
    'another case': needed,
    'no name': needed,
    'both, the name wrong': 'acknowledged',
  },
  critical: {
    nothing: needed,
    'an empty one': needed,
    acknowledged: needed,
    'the name': 'typed',
    'the name with a blank': 'typed',
    'another name': needed,
    'another case': needed,
    'no name': needed,
    'both, the name wrong': needed,
  },
}

for (const risk of risks) {
  for (const given of Object.keys(confirmations) as Given[]) {
    test(`an approval of ${risk} risk, confirmed with ${given}: ${expected[risk][given]}`, () => {
      assert.equal(
        outcome(() => requireConfirmed(risk, name, confirmations[given], false)),
        expected[risk][given],
      )
      const stepped = outcome(() => requireConfirmed(risk, name, confirmations[given], true))
      assert.equal(stepped, risk === 'high' || risk === 'critical' ? 'step_up' : null)
    })
  }
}

const refusedOn: Readonly<Record<Risk, readonly Surface[]>> = {
  low: [],
  medium: [],
  high: ['slack', 'mail', 'cli'],
  critical: ['slack', 'mail', 'cli'],
}
for (const risk of risks) {
  test(`${risk} risk is decided everywhere but on: ${refusedOn[risk].join(', ')}`, () => {
    const refused = surfaces.filter((surface) => outcome(() => requireSurface(risk, surface)) !== undefined)
    assert.deepEqual(refused, refusedOn[risk])
  })
}

test('the name to type is that of the target, else of the action, else the title', () => {
  assert.deepEqual(
    [nameToType('t', 'a', 'x'), nameToType(null, 'a', 'x'), nameToType(null, null, 'x')],
    ['t', 'a', 'x'],
  )
})
