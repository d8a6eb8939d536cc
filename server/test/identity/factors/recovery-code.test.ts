import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hashRecoveryCode, newRecoveryCodes } from '../../../src/identity/factors/recovery-codes/recovery-code.ts'

describe('recovery codes', () => {
  test('are ten, all different, of 24 characters that are hard to misread', () => {
    const codes = Array.from({ length: 50 }, newRecoveryCodes).flat()
    assert.equal(newRecoveryCodes().length, 10)
    assert.equal(new Set(codes).size, 500)
    for (const code of codes) assert.match(code, /^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/)
    const signs = new Set(codes.join('').replaceAll('-', ''))
    assert.equal(signs.size, 32, 'every sign of the alphabet occurs')
  })

  test('are recognized however they are typed', () => {
    const code = '7ZK4-9Q2M-XH0B-6RTD-W3E8-N1CP'
    const hash = hashRecoveryCode(code)
    assert.ok(hash)
    for (const typed of [
      code.toLowerCase(),
      code.replaceAll('-', ''),
      code.replaceAll('-', ' '),
      ` ${code}\n`,
      code.replace('0', 'o').replace('1', 'l'),
      code.replace('0', 'O').replace('1', 'I'),
    ]) {
      assert.deepEqual(hashRecoveryCode(typed), hash, typed)
    }
  })

  test('are different if any character differs or anything is added', () => {
    const code = '7ZK4-9Q2M-XH0B-6RTD-W3E8-N1CP'
    for (let at = 0; at < code.length; at += 1) {
      if (code[at] === '-') continue
      const changed = `${code.slice(0, at)}${code[at] === 'A' ? 'B' : 'A'}${code.slice(at + 1)}`
      assert.notDeepEqual(hashRecoveryCode(changed), hashRecoveryCode(code))
    }
    for (const wrong of ['', '123456', code.slice(1), `${code}0`, code.replace('Z', 'U'), code.replace('Z', 'Ż')]) {
      assert.equal(hashRecoveryCode(wrong), null, wrong)
    }
  })
})
