import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type DataKey, dataKeyIdOf, openText, type Place, sealText } from '../../../src/platform/secrets/sealed-text.ts'

const newKey = (id: string): DataKey => ({ id, key: createSecretKey(randomBytes(32)) })
const key = newKey('01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61')
const place: Place = { organizationId: 'o', table: 't', column: 'c', row: 'r' }
const text = fc.string({ unit: 'binary' })

describe('a sealed text', () => {
  test('opens to the original text in its own place', () => {
    fc.assert(
      fc.property(text, fc.uuid(), (plain, row) => {
        const there = { ...place, row }
        assert.equal(openText(key, sealText(key, plain.toWellFormed(), there), there), plain.toWellFormed())
      }),
    )
  })
  test('names its key', () => assert.equal(dataKeyIdOf(sealText(key, 'secret', place)), key.id))
  test('does not open in another organization, table, column or row', () => {
    const sealed = sealText(key, 'secret', place)
    for (const name of ['organizationId', 'table', 'column', 'row'] as const) {
      assert.throws(() => openText(key, sealed, { ...place, [name]: 'x' }), name)
    }
    assert.throws(() => openText(key, sealed, { organizationId: 't', table: 'o', column: 'c', row: 'r' }))
  })
  test('does not open under another key, nor under the same bytes with another id', () => {
    const sealed = sealText(key, 'secret', place)
    assert.throws(() => openText(newKey(key.id), sealed, place))
    assert.throws(() => openText({ ...key, id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a62' }, sealed, place))
  })
  test('does not open when any one bit of it was changed', () => {
    const sealed = sealText(key, 'secret', place)
    const opens = (changed: Buffer): string => {
      // The key is chosen by the id in these bytes.
      assert.equal(dataKeyIdOf(changed), key.id)
      return openText(key, changed, place)
    }
    assert.equal(opens(sealed), 'secret')
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.throws(() => opens(changed), `bit ${bit}`)
    }
  })
  test('does not open when it was cut or extended', () => {
    const sealed = sealText(key, 'secret', place)
    for (let length = 0; length < sealed.length; length += 1) {
      assert.throws(() => openText(key, sealed.subarray(0, length), place), `${length} bytes`)
    }
    assert.throws(() => openText(key, Buffer.concat([sealed, Buffer.of(0)]), place))
  })
  test('in a newer format is reported as such', () => {
    assert.throws(() => dataKeyIdOf(Buffer.from([2, ...sealText(key, 'x', place).subarray(1)])), /format 2/)
    assert.throws(() => dataKeyIdOf(Buffer.alloc(0)), /not a sealed value/)
  })
  test('is different every time and reveals nothing of the text', () => {
    const sealed = Array.from({ length: 200 }, () => sealText(key, 'secret', place).toString('hex'))
    assert.equal(new Set(sealed.map((hex) => hex.slice(34, 58))).size, 200, 'a nonce came twice')
    assert.ok(!sealed.some((hex) => hex.includes(Buffer.from('secret').toString('hex'))))
  })
})
