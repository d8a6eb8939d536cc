import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeCursor, encodeCursor } from '../../src/platform/page.ts'
import { Problem } from '../../src/platform/problem.ts'

const list = '/things?of=mine'

const isRefused = (cursor: string): boolean => {
  try {
    decodeCursor(cursor, list)
    return false
  } catch (error) {
    assert.ok(error instanceof Problem && error.status === 422 && error.errors?.[0]?.path === 'cursor', String(error))
    return true
  }
}

test('a cursor stands for its id', () => {
  fc.assert(fc.property(fc.uuid(), (id) => assert.equal(decodeCursor(encodeCursor(id, list), list), id)))
})

test('a cursor needs no escaping in a query', () => {
  fc.assert(fc.property(fc.uuid(), (id) => assert.match(encodeCursor(id, list), /^[A-Za-z0-9_-]+$/)))
})

test('422 for any other text', () => {
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String(), fc.uuid()), isRefused))
  fc.assert(
    fc.property(
      fc.string().map((text) => encodeCursor(text, list)),
      isRefused,
    ),
  )
})

test('422 for a cursor in another spelling', () => {
  const cursor = encodeCursor('01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61', list)
  for (const other of [`${cursor}=`, `${cursor}\n`, ` ${cursor}`, cursor.slice(0, -1), `${cursor}A`, `!${cursor}`, ''])
    assert.ok(isRefused(other), other)
  assert.ok(isRefused(encodeCursor('01890F3E-5C2A-7BBB-8A3B-5F1D2C3B4A61', list)))
})

test('422 for a cursor of a list with another path or filter', () => {
  const cursor = encodeCursor('01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61', '/things?of=yours')
  assert.ok(isRefused(cursor))
  assert.throws(() => decodeCursor(cursor, list), /other parameters/)
})
