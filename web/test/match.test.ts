import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { acts, keysOf, takenBy } from '../src/keys/bindings.ts'
import { actOf, type Press } from '../src/keys/match.ts'
import { ownKeys } from '../src/keys/own-keys.ts'

const press = (given: Partial<Press>): Press => ({
  key: 'a',
  code: 'KeyA',
  ctrl: false,
  meta: false,
  alt: false,
  altGraph: false,
  shift: false,
  repeat: false,
  isComposing: false,
  inEditable: false,
  onControl: false,
  ownsArrows: false,
  inDialog: false,
  ...given,
})

describe('the act of a key', () => {
  for (const [what, given, first, singleKeys, act] of [
    ['a', {}, null, true, 'approve'],
    ['the same key of a Cyrillic keyboard', { key: 'ф' }, null, true, 'approve'],
    ['e with Shift', { key: 'E', shift: true }, null, true, null],
    ['a with Shift, which is about what is selected', { key: 'A', shift: true }, null, true, 'approveSelected'],
    ['the same key of a Cyrillic keyboard with Shift', { key: 'Ф', shift: true }, null, true, 'approveSelected'],
    ['that, held down', { key: 'A', shift: true, repeat: true }, null, true, null],
    ['J with Shift that is held down', { key: 'J', shift: true, repeat: true }, null, true, 'extendNext'],
    ['g, then s, on a Cyrillic keyboard', { key: 'ы', code: 'KeyS' }, 'g', true, 'goDueSoon'],
    ['] with AltGr', { key: ']', code: 'Digit9', altGraph: true }, null, true, 'nextInReader'],
    ['a letter with AltGr', { altGraph: true }, null, true, null],
    ['a with Ctrl', { ctrl: true }, null, true, null],
    ['a with Alt', { alt: true }, null, true, null],
    ['a that is held down', { repeat: true }, null, true, null],
    ['j that is held down', { key: 'j', code: 'KeyJ', repeat: true }, null, true, 'next'],
    ['a during composition', { isComposing: true }, null, true, null],
    ['a in an input', { inEditable: true }, null, true, null],
    ['Escape in an input', { key: 'Escape', inEditable: true }, null, true, 'back'],
    ['Ctrl+K in an input', { key: 'k', ctrl: true, inEditable: true }, null, true, 'palette'],
    ['Ctrl+K in a dialog', { key: 'k', ctrl: true, inDialog: true }, null, true, null],
    ['Ctrl+Cmd+K', { key: 'k', ctrl: true, meta: true }, null, true, null],
    ['Enter on a button', { key: 'Enter', onControl: true }, null, true, null],
    ['an arrow on a radio button', { key: 'ArrowDown', ownsArrows: true }, null, true, null],
    ['j on a radio button', { key: 'j', code: 'KeyJ', ownsArrows: true }, null, true, 'next'],
    ['Enter elsewhere', { key: 'Enter' }, null, true, 'open'],
    ['?', { key: '?', shift: true }, null, true, 'sheet'],
    ['g, which another key follows', { key: 'g', code: 'KeyG' }, null, true, 'more'],
    ['g, then s', { key: 's', code: 'KeyS' }, 'g', true, 'goDueSoon'],
    ['g, then what leads nowhere', { key: 'x', code: 'KeyX' }, 'g', true, null],
    ['a, with single keys off', {}, null, false, null],
    ['an arrow, with single keys off', { key: 'ArrowDown' }, null, false, 'next'],
    ['Cmd+K, with single keys off', { key: 'k', meta: true }, null, false, 'palette'],
  ] as const) {
    test(`${what}: ${act}`, () => assert.equal(actOf(press(given), first, singleKeys), act))
  }
})

describe('a key of their own', () => {
  test('does its act instead of the usual one, beside those that every page has', () => {
    ownKeys.set('next', 'n')
    try {
      assert.equal(actOf(press({ key: 'n', code: 'KeyN' }), null, true), 'next')
      assert.equal(actOf(press({ key: 'j', code: 'KeyJ' }), null, true), null)
      assert.equal(actOf(press({ key: 'ArrowDown', code: 'ArrowDown' }), null, true), 'next')
      assert.equal(actOf(press({ key: 'n', code: 'KeyN' }), null, false), null, 'and is off when single keys are')
    } finally {
      ownKeys.set('next', null)
    }
    assert.equal(actOf(press({ key: 'j', code: 'KeyJ' }), null, true), 'next')
  })

  test('is refused while another act has it, or two keys begin with it', () => {
    assert.equal(takenBy('a', 'next'), 'approve')
    assert.equal(takenBy('a', 'approve'), null)
    assert.ok(takenBy('g', 'next')?.startsWith('go'))
    assert.equal(takenBy('n', 'next'), null)
    assert.equal(takenBy('j', 'previous', { next: 'n' }), null, 'what was given up is free')
    assert.equal(takenBy('n', 'previous', { next: 'n' }), 'next')
  })

  test('the usual keys are told apart', () => {
    for (const act of acts)
      for (const key of keysOf(act, {})) assert.equal(takenBy(key, act, {}), null, `${act} ${key}`)
  })
})
