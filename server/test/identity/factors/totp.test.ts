import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newTotpSeed, totpStep, totpUri } from '../../../src/identity/factors/totp/totp.ts'
import { codeAt } from './authenticator-app.ts'

/** '12345678901234567890' in base 32: the seed of RFC 6238, appendix B. */
const rfcSeed = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const now = new Date('2026-01-31T09:00:10.000Z')
const step = Math.floor(now.getTime() / 30_000)
const after = (seconds: number) => new Date(now.getTime() + seconds * 1_000)

describe('the code of an authenticator app', () => {
  test('is that of RFC 6238, appendix B (its last six digits)', () => {
    const vectors = [
      [59, '287082'],
      [1_111_111_109, '081804'],
      [1_111_111_111, '050471'],
      [1_234_567_890, '005924'],
      [2_000_000_000, '279037'],
      [20_000_000_000, '353130'],
    ] as const
    for (const [seconds, code] of vectors) {
      const at = new Date(seconds * 1_000)
      assert.equal(codeAt(rfcSeed, at), code)
      assert.equal(totpStep(rfcSeed, code, at), Math.floor(seconds / 30))
    }
  })

  test('is valid for its own time step and one on either side', () => {
    const seed = newTotpSeed()
    for (const [offset, expected] of [
      [-60, null],
      [-30, step - 1],
      [0, step],
      [30, step + 1],
      [60, null],
    ] as const) {
      assert.equal(totpStep(seed, codeAt(seed, after(offset)), now), expected, `${offset} s`)
    }
  })

  test('may be typed in two groups, and must be exactly six digits', () => {
    const seed = newTotpSeed()
    const code = codeAt(seed, now)
    assert.equal(totpStep(seed, `${code.slice(0, 3)} ${code.slice(3)}`, now), step)
    for (const wrong of [
      '',
      code.slice(1),
      `${code}0`,
      `0${code}`,
      `+${code.slice(1)}`,
      'abcdef',
      '１２３４５６',
      '      ',
    ]) {
      assert.equal(totpStep(seed, wrong, now), null, wrong)
    }
  })

  test('of another seed is not valid', () => {
    const [one, other] = [newTotpSeed(), newTotpSeed()]
    const others = [-30, 0, 30].map((offset) => codeAt(other, after(offset)))
    const own = [-30, 0, 30].map((offset) => codeAt(one, after(offset)))
    for (const code of others.filter((shown) => !own.includes(shown))) assert.equal(totpStep(one, code, now), null)
  })
})

describe('a seed', () => {
  test('has 160 new random bits each time', () => {
    const seeds = Array.from({ length: 100 }, newTotpSeed)
    assert.equal(new Set(seeds).size, 100)
    for (const seed of seeds) assert.match(seed, /^[A-Z2-7]{32}$/)
  })

  test('is given to the app as otpauth://, with the installation and the address', () => {
    const uri = new URL(totpUri(rfcSeed, 'HITL (hitl.example.com)', 'a+b@example.com'))
    assert.equal(uri.protocol, 'otpauth:')
    assert.equal(uri.host, 'totp')
    assert.equal(decodeURIComponent(uri.pathname), '/HITL (hitl.example.com):a+b@example.com')
    assert.deepEqual(Object.fromEntries(uri.searchParams), {
      issuer: 'HITL (hitl.example.com)',
      secret: rfcSeed,
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    })
  })
})
