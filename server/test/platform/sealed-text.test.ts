import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createSealer } from '../../src/platform/sealed-text.ts'

const sealer = createSealer('one secret key of the installation')
const text = fc.string({ unit: 'binary' })

describe('a sealed text', () => {
  test('opens to what it was, in its own place', () => {
    fc.assert(
      fc.property(text, fc.string(), (plain, context) =>
        assert.equal(sealer.open(sealer.seal(plain, context), context), plain),
      ),
    )
  })
  test('opens in another process with the same key', () => {
    const other = createSealer('one secret key of the installation')
    assert.equal(other.open(sealer.seal('secret', 'row 1'), 'row 1'), 'secret')
  })
  test('does not open in another place', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, two) => {
        fc.pre(one !== two)
        assert.throws(() => sealer.open(sealer.seal('secret', one), two))
      }),
    )
  })
  test('does not open under another key', () => {
    for (const key of ['another secret key', 'one secret key of the installation ', '']) {
      assert.throws(() => createSealer(key).open(sealer.seal('secret', 'row 1'), 'row 1'))
    }
  })
  test('does not open when any one bit of it was changed', () => {
    const sealed = sealer.seal('secret', 'row 1')
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.throws(() => sealer.open(changed, 'row 1'), `bit ${bit}`)
    }
  })
  test('does not open when it was cut or extended', () => {
    const sealed = sealer.seal('secret', 'row 1')
    for (let length = 0; length < sealed.length; length += 1)
      assert.throws(() => sealer.open(sealed.subarray(0, length), 'row 1'))
    assert.throws(() => sealer.open(Buffer.concat([sealed, Buffer.of(0)]), 'row 1'))
  })
  test('of another key version says so', () => {
    assert.throws(() => sealer.open(Buffer.from([2, ...sealer.seal('x', 'y').subarray(1)]), 'y'), /key version 2/)
  })
  test('is another one every time, and shows nothing of the text', () => {
    const sealed = Array.from({ length: 200 }, () => sealer.seal('secret', 'row 1').toString('hex'))
    assert.equal(new Set(sealed).size, 200)
    assert.equal(new Set(sealed.map((hex) => hex.slice(2, 26))).size, 200, 'a nonce came twice')
    assert.ok(!sealed.some((hex) => hex.includes(Buffer.from('secret').toString('hex'))))
  })
})
