import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { Problem } from '../../../src/platform/problem.ts'
import { createKeyRing, parseKeyEncryptionKeys } from '../../../src/platform/secrets/key-encryption.ts'

const secretKey = 'a secret key of thirty-two characters'
const one = `one:${randomBytes(32).toString('base64')}`
const two = `two:${randomBytes(32).toString('base64')}`
const ring = (configured: string, key = secretKey, previousSecretKey: string | null = null) =>
  createKeyRing({
    configured: configured === '' ? [] : parseKeyEncryptionKeys(configured),
    secretKey: key,
    previousSecretKey,
  })
const unavailable = (error: unknown): boolean => {
  assert.ok(error instanceof Problem)
  assert.deepEqual([error.status, error.code], [503, 'service.key_unavailable'])
  assert.doesNotMatch(error.message, /data key|"one"/)
  return true
}

describe('KEY_ENCRYPTION_KEYS', () => {
  test('accepts one or more id:base64, separated by commas or lines', () => {
    assert.deepEqual(
      parseKeyEncryptionKeys(`${one},\n ${two}\n`).map(({ id }) => id),
      ['one', 'two'],
    )
  })
  for (const [what, text] of [
    ['no id', randomBytes(32).toString('base64')],
    ['an empty id', `:${randomBytes(32).toString('base64')}`],
    ['a short key', `k:${randomBytes(16).toString('base64')}`],
    ['a long key', `k:${randomBytes(33).toString('base64')}`],
    ['a key in hex', `k:${randomBytes(32).toString('hex')}`],
    ['zeros', `k:${Buffer.alloc(32).toString('base64')}`],
    ['an odd id', `a/b:${randomBytes(32).toString('base64')}`],
    ['one id twice', `${one},${one}`],
    ['the id of the key made of SECRET_KEY', `secret-key:${randomBytes(32).toString('base64')}`],
    ['nothing', ' , '],
  ] as const) {
    test(`refuses ${what}, and shows no key`, () => {
      assert.throws(
        () => parseKeyEncryptionKeys(text),
        (error: Error) => !/[A-Za-z0-9+/]{20}/.test(error.message),
      )
    })
  }
})

describe('a wrapped data key', () => {
  const bytes = randomBytes(32)
  const opened = (key: ReturnType<ReturnType<typeof ring>['unwrap']>): string => key.export().toString('hex')

  test('opens with the same keys in any order, and names the first', () => {
    const wrapped = ring(`${one},${two}`).wrap('org', 'id', bytes)
    assert.equal(wrapped.kekId, 'one')
    assert.equal(opened(ring(`${two},${one}`).unwrap(wrapped)), bytes.toString('hex'))
  })
  test('needs no configured key: it uses one derived from SECRET_KEY, which still works when keys are configured', () => {
    const wrapped = ring('').wrap('org', 'id', bytes)
    assert.equal(wrapped.kekId, 'secret-key')
    assert.equal(opened(ring(one).unwrap(wrapped)), bytes.toString('hex'))
  })
  test('503 service.key_unavailable without its key, with another of the same id, or another SECRET_KEY', () => {
    const wrapped = ring(one).wrap('org', 'id', bytes)
    for (const other of [ring(two), ring(''), ring(`one:${randomBytes(32).toString('base64')}`)]) {
      assert.throws(() => other.unwrap(wrapped), unavailable)
      assert.throws(() => other.rewrap(wrapped), unavailable)
    }
    assert.throws(
      () => ring('', 'another secret key of the same size').unwrap(ring('').wrap('org', 'id', bytes)),
      unavailable,
    )
  })
  test('opens after a change of SECRET_KEY while the previous one is configured', () => {
    const wrapped = ring('').wrap('org', 'id', bytes)
    const changed = ring('', 'another secret key of the same size', secretKey)
    assert.equal(opened(changed.unwrap(wrapped)), bytes.toString('hex'))
    const again = changed.rewrap(wrapped)
    assert.ok(again)
    assert.equal(opened(ring('', 'another secret key of the same size').unwrap(again)), bytes.toString('hex'))
  })
  test('cannot be passed off as the key of another organization, another id or another wrapping key', () => {
    const wrapped = ring(`${one},${two}`).wrap('org', 'id', bytes)
    for (const moved of [{ organizationId: 'other' }, { id: 'other' }, { kekId: 'two' }]) {
      assert.throws(() => ring(`${one},${two}`).unwrap({ ...wrapped, ...moved }), unavailable)
    }
  })
  test('is wrapped again only if the current key is a different one', () => {
    const wrapped = ring(one).wrap('org', 'id', bytes)
    assert.equal(ring(`${one},${two}`).rewrap(wrapped), null)
    const again = ring(`${two},${one}`).rewrap(wrapped)
    assert.equal(again?.kekId, 'two')
    assert.equal(again && opened(ring(two).unwrap(again)), bytes.toString('hex'))
  })
})
