import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { type FactorState, proofMethods, secondFactorMethods } from '../../../src/identity/factors/factor.ts'
import {
  type Act,
  digestOf,
  judge,
  type Situation,
  type StepUpVerdict,
  stepUpRequired,
} from '../../../src/identity/factors/step-up.ts'

const nothing: FactorState = { hasPassword: false, hasTotp: false, passkeys: 0, recoveryCodes: 0 }
const password: FactorState = { ...nothing, hasPassword: true }
const totp: FactorState = { ...password, hasTotp: true, recoveryCodes: 3 }

const plain: Situation = {
  token: 'none',
  tokenMethod: null,
  factors: password,
  organizationRequires: false,
  signedInFreshly: true,
  enrols: false,
  isOthersWord: false,
  repeats: false,
}

describe('what allows a sensitive act', () => {
  const cases: readonly (readonly [name: string, situation: Partial<Situation>, verdict: StepUpVerdict])[] = [
    ['a fresh sign-in, for who has no second factor', {}, 'sign_in'],
    [
      'a fresh sign-in by a provider does not add a factor to an account of several organizations',
      { factors: nothing, enrols: true, isOthersWord: true },
      'refused',
    ],
    ['an older sign-in does not', { signedInFreshly: false }, 'refused'],
    ['a fresh sign-in does not, once there is a second factor', { factors: totp }, 'refused'],
    ['a fresh sign-in does not where the organization asks for more', { organizationRequires: true }, 'refused'],
    ['a token, after an older sign-in', { token: 'fits', tokenMethod: 'password', signedInFreshly: false }, 'token'],
    ['a token of the second factor', { token: 'fits', tokenMethod: 'totp', factors: totp }, 'token'],
    [
      'a token of the password does not, once there is a second factor',
      { token: 'fits', tokenMethod: 'password', factors: totp },
      'refused',
    ],
    ['a token that does not fit does not, however fresh the sign-in', { token: 'unfit' }, 'refused'],
    [
      'a token where the organization asks for more',
      { token: 'fits', tokenMethod: 'password', organizationRequires: true },
      'token',
    ],
    ['a fresh single sign-on', { factors: nothing }, 'sign_in'],
    [
      'a fresh single sign-on does not where the organization asks for more',
      { factors: nothing, organizationRequires: true },
      'refused',
    ],
    [
      'but it lets the first factor be added there',
      { factors: nothing, organizationRequires: true, enrols: true },
      'sign_in',
    ],
    [
      'an older single sign-on does not even that',
      { factors: nothing, organizationRequires: true, enrols: true, signedInFreshly: false },
      'refused',
    ],
    [
      'a first factor is added with the password where the organization asks for more',
      { organizationRequires: true, enrols: true },
      'refused',
    ],
    ['a used token, for the repetition of its act', { token: 'unfit', factors: totp, repeats: true }, 'repeated'],
    ['a further factor is added with one that is there', { factors: totp, enrols: true }, 'refused'],
  ]
  for (const [name, situation, verdict] of cases) {
    test(`${verdict}: ${name}`, () => assert.equal(judge({ ...plain, ...situation }), verdict))
  }

  test('every situation has the verdict of the rule in words', () => {
    // The reverse of the table: all conditions of each verdict.
    const inWords = (s: Situation): StepUpVerdict => {
      if (s.repeats) return 'repeated'
      const second = s.factors.hasTotp || s.factors.passkeys > 0
      if (s.token === 'fits') return s.tokenMethod === 'password' && second ? 'refused' : 'token'
      const mayCount = s.token === 'none' && !second && s.signedInFreshly && !s.isOthersWord
      const organizationAgrees = !s.organizationRequires || (s.enrols && !s.factors.hasPassword)
      return mayCount && organizationAgrees ? 'sign_in' : 'refused'
    }
    const yesNo = [false, true]
    let count = 0
    for (const token of ['none', 'fits', 'unfit'] as const)
      for (const tokenMethod of token === 'fits' ? (['password', 'totp', 'passkey', 'recovery_code'] as const) : [null])
        for (const hasPassword of yesNo)
          for (const hasTotp of yesNo)
            for (const passkeys of [0, 2])
              for (const recoveryCodes of [0, 10])
                for (const organizationRequires of yesNo)
                  for (const signedInFreshly of yesNo)
                    for (const enrols of yesNo)
                      for (const isOthersWord of yesNo)
                        for (const repeats of yesNo) {
                          const factors = { hasPassword, hasTotp, passkeys, recoveryCodes }
                          const known = { token, tokenMethod, factors, organizationRequires }
                          const situation = { ...known, signedInFreshly, enrols, isOthersWord, repeats }
                          assert.equal(judge(situation), inWords(situation), JSON.stringify(situation))
                          count += 1
                        }
    assert.equal(count, 3072)
  })
})

describe('the methods that are open to a person', () => {
  const cases: readonly (readonly [FactorState, readonly string[], readonly string[]])[] = [
    [nothing, [], []],
    [password, [], ['password']],
    [{ ...password, recoveryCodes: 10 }, [], ['password']],
    [totp, ['totp', 'recovery_code'], ['totp', 'recovery_code']],
    [{ ...totp, recoveryCodes: 0, passkeys: 1 }, ['passkey', 'totp'], ['passkey', 'totp']],
    [{ ...nothing, passkeys: 1 }, ['passkey'], ['passkey']],
  ]
  for (const [state, second, proof] of cases) {
    test(`${JSON.stringify(state)}: ${proof.join(', ') || 'none'}`, () => {
      assert.deepEqual(secondFactorMethods(state), second)
      assert.deepEqual(proofMethods(state), proof)
    })
  }
})

describe('the refusal', () => {
  const digest = Buffer.alloc(32, 7)
  test('contains the digest and the methods', () => {
    const problem = stepUpRequired({ ...plain, factors: totp }, digest)
    assert.equal(problem.status, 403)
    assert.equal(problem.code, 'auth.step_up_required')
    const { how, ...extra } = problem.extra
    assert.deepEqual(extra, { digest: '07'.repeat(32), methods: ['totp', 'recovery_code'] })
    assert.match(String(how), /POST \/api\/v1\/auth\/step-up/)
    assert.match(problem.message, /confirm again/)
  })
  test('tells a person without any method what to do', () => {
    assert.match(
      stepUpRequired({ ...plain, factors: nothing, signedInFreshly: false }, digest).message,
      /Sign in again/,
    )
    assert.match(
      stepUpRequired({ ...plain, factors: nothing, organizationRequires: true }, digest).message,
      /Add a pas/,
    )
    assert.match(stepUpRequired({ ...plain, token: 'unfit' }, digest).message, /not for this, was used/)
  })
})

describe('the digest of an act', () => {
  const act: Act = {
    organizationId: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
    userId: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60',
    operation: 'createApiKey',
    method: 'POST',
    path: '/api/v1/api-keys',
    body: { name: 'Ünï', n: 1e2, b: [true, null] },
  }
  const hex = (changed: Partial<Act> = {}) => digestOf({ ...act, ...changed }).toString('hex')
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

  test('is SHA-256 over RFC 8785 JSON that anyone can compute', () => {
    const body = sha256('{"b":[true,null],"n":100,"name":"Ünï"}')
    const text =
      `{"body_sha256":"${body}","method":"POST","operation":"createApiKey",` +
      `"organization_id":"${act.organizationId}","path":"/api/v1/api-keys","user_id":"${act.userId}","v":1}`
    assert.equal(hex(), sha256(text))
  })
  test('does not depend on the order of the body', () => {
    assert.equal(hex({ body: { b: [true, null], name: 'Ünï', n: 100 } }), hex())
  })
  test('differs for any other person, organization, call or body', () => {
    const others: Partial<Act>[] = [
      { organizationId: act.userId },
      { userId: act.organizationId },
      { operation: 'changeApiKey' },
      { method: 'PATCH' },
      { path: '/api/v1/api-keys/' },
      { path: '/api/v1/api-keys?x=1' },
      { body: { name: 'Ünï', n: 100, b: [true] } },
      { body: { name: 'Ünï', n: '100', b: [true, null] } },
      { body: {} },
      { body: undefined },
    ]
    assert.equal(new Set([hex(), ...others.map(hex)]).size, others.length + 1)
  })
})
