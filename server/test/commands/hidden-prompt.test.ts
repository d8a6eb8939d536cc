import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { afterKeys, askHidden, Interrupted } from '../../src/commands/hidden-prompt.ts'
import { generatePassword } from '../../src/commands/password.ts'

describe('the line after these keys', () => {
  for (const [what, begun, keys, line, state, ahead] of [
    ['letters', '', 'abc', 'abc', 'open', ''],
    ['Enter', 'abc', '\r', 'abc', 'entered', ''],
    ['Enter as a pipe sends it', '', 'abc\n', 'abc', 'entered', ''],
    ['what was typed ahead', '', 'abc\rdef\r', 'abc', 'entered', 'def\r'],
    ['Backspace', 'abc', '\u007f', 'ab', 'open', ''],
    ['Backspace over an emoji', 'a😀', '\u007f', 'a', 'open', ''],
    ['Backspace on nothing', '', '\b\bx', 'x', 'open', ''],
    ['Ctrl-U', 'abc', '\u0015x', 'x', 'open', ''],
    ['Ctrl-C', 'abc', '\u0003', '', 'interrupted', ''],
    ['Ctrl-D on nothing', '', '\u0004', '', 'interrupted', ''],
    ['Ctrl-D behind letters', 'abc', '\u0004d', 'abcd', 'open', ''],
    ['arrow keys', 'a', '\u001b[D\u001b[1;5C\u001bOAb', 'ab', 'open', ''],
    ['the marks around pasted text', '', '\u001b[200~pasted\u001b[201~', 'pasted', 'open', ''],
    ['other control characters', 'a', '\u0001\tb', 'ab', 'open', ''],
    ['blanks and other scripts', '', 'pä ß 密', 'pä ß 密', 'open', ''],
  ] as const) {
    test(what, () => assert.deepEqual(afterKeys(begun, keys), { line, state, ahead }))
  }
})

/** A terminal's two ends: what a person types, and what they see. */
function terminal() {
  const keyboard = new PassThrough()
  const screen = new PassThrough()
  const raw: boolean[] = []
  const input = Object.assign(keyboard, {
    setRawMode: (on: boolean) => {
      raw.push(on)
      return input
    },
  })
  const seen = () => String(screen.read() ?? '')
  return { input: input as unknown as Parameters<typeof askHidden>[1], keyboard, screen, raw, seen }
}

describe('a prompt that hides what is typed', () => {
  test('shows only the question, and restores the terminal', async () => {
    const { input, keyboard, screen, raw, seen } = terminal()
    const answer = askHidden('Password: ', input, screen)
    for (const keys of ['cor', 'rect', ' horse\r']) keyboard.write(keys)
    assert.equal(await answer, 'correct horse')
    assert.equal(seen(), 'Password: \n')
    assert.deepEqual(raw, [true, false])
  })

  test('text typed ahead goes to the next prompt', async () => {
    const { input, keyboard, screen } = terminal()
    const first = askHidden('Password: ', input, screen)
    keyboard.write('one\rtwo\r')
    assert.equal(await first, 'one')
    assert.equal(await askHidden('Again: ', input, screen), 'two')
  })

  test('Ctrl-C or a terminal that disappears: interrupted, and the terminal is restored', async () => {
    for (const leave of ['\u0003', null]) {
      const { input, keyboard, screen, raw } = terminal()
      const answer = askHidden('Password: ', input, screen)
      if (leave === null) keyboard.end()
      else keyboard.write(leave)
      await assert.rejects(answer, Interrupted)
      assert.deepEqual(raw, [true, false])
    }
  })
})

test('a generated password can be read aloud, is accepted, and is never repeated', () => {
  const made = new Set(Array.from({ length: 1_000 }, generatePassword))
  assert.equal(made.size, 1_000)
  for (const password of made) assert.match(password, /^([a-hjkmnp-z2-9]{6}-){3}[a-hjkmnp-z2-9]{6}$/)
})
