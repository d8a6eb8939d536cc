import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { generateSigningKey, signingKeyAt } from '../../../src/identity/signing-keys/signing-key.ts'

const at = (minute: number) => new Date(Date.UTC(2030, 0, 1, 12, minute))

describe('the key that signs', () => {
  const { key: first } = generateSigningKey('1', 'audit_head', at(0))
  const { key: next } = generateSigningKey('2', 'audit_head', at(5), at(10))

  test('is the last that has become active', () => {
    assert.equal(signingKeyAt([first, next], 'audit_head', at(9)), first)
    assert.equal(signingKeyAt([first, next], 'audit_head', at(10)), next)
  })

  test('is the one that will become active where there is no other', () => {
    assert.equal(signingKeyAt([next], 'audit_head', at(6)), next)
  })

  test('is never one that has leaked, even where the clock is behind and its successor is not active yet', () => {
    const leaked = { ...first, retiredAt: at(10), revokedAt: at(10) }
    assert.equal(signingKeyAt([leaked, next], 'audit_head', at(6)), next)
    assert.equal(signingKeyAt([leaked], 'audit_head', at(6)), null)
  })

  test('is one of its own purpose', () => {
    assert.equal(signingKeyAt([first, next], 'certificate', at(20)), null)
  })
})
