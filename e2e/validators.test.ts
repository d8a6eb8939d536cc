import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { compileCheck } from '../server/src/platform/validation.ts'
import { startTestApp, type TestApp } from '../server/test/harness.ts'
import { bodyLimit, type Operation, operationsOf, type Schema } from '../server/test/http/operations.ts'

let t: TestApp
let operations: readonly Operation[]
before(async () => {
  t = await startTestApp()
  operations = operationsOf(t)
})
after(() => t.stop())

/** Values that a validator could take long over, of about `size` bytes. */
function hostile(size: number): readonly (readonly [string, unknown])[] {
  const times = (unit: string): string => unit.repeat(Math.floor(size / unit.length))
  const list = (value: unknown, bytes: number) => Array.from({ length: Math.floor(size / bytes) }, () => value)
  const members = (value: unknown) =>
    Object.fromEntries(Array.from({ length: Math.floor(size / 14) }, (_, at) => [`n${at}`, value]))
  return [
    ...['a', ' ', '=', 'a@', 'a.', '\u{1F9ED}'].map(
      (unit) => [`${JSON.stringify(unit)} repeated`, times(unit)] as const,
    ),
    ['letters and a NUL', `${times('a')}\0`],
    ['an address that goes on', `a@${times('a')}@`],
    ['texts', list('x', 4)],
    ['numbers', list(1, 2)],
    ['lists', list([], 3)],
    ['different texts', Array.from({ length: Math.floor(size / 9) }, (_, at) => String(at))],
    ['members', members(1)],
    ['a name as long as all', { [times('a')]: 1 }],
    ['nested lists', nested(Math.min(size / 2, 5_000))],
  ]
}

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level += 1) value = [value]
  return value
}

/** Each hostile value in each place of the schema. */
function bodiesOf(schema: Schema, value: unknown): readonly unknown[] {
  const { properties = {}, patternProperties = {}, anyOf = [], items } = schema
  return [
    value,
    ...Object.entries(properties).flatMap(([name, part]) => bodiesOf(part, value).map((one) => ({ [name]: one }))),
    ...Object.values(patternProperties).flatMap((part) => bodiesOf(part, value).map((one) => ({ x: one }))),
    ...anyOf
      .filter(({ type }) => type === 'object' || type === 'array')
      .flatMap((part) => bodiesOf(part, value).slice(1)),
    ...(items === undefined ? [] : bodiesOf(items, value).map((one) => [one])),
  ]
}

const mostMs = 50

/** How long this thread computed, at best: what else runs on the machine does not count. */
function millisecondsOf(check: (value: unknown) => unknown, value: unknown): number {
  const spent = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1_000
  }
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5 && least > mostMs / 3; round += 1) {
    const startedAt = spent()
    check(value)
    least = Math.min(least, spent() - startedAt)
  }
  return least
}

describe('no validator takes long', () => {
  test('over a body at the limit, whatever is in it, or more than in proportion to its size', () => {
    const slow: string[] = []
    let checked = 0
    const large = hostile(bodyLimit)
    const small = hostile(bodyLimit / 16)
    for (const { id, body } of operations) {
      if (body === undefined) continue
      const check = compileCheck(body, 'body')
      check({})
      large.forEach(([what, value], at) => {
        const smaller = bodiesOf(body, small[at]?.[1])
        bodiesOf(body, value).forEach((sent, place) => {
          checked += 1
          const ms = millisecondsOf(check, sent)
          // Sixteen times as much: 256 times as long where the time grows with the square.
          const part = ms < mostMs / 3 ? ms : Math.max(0.5, millisecondsOf(check, smaller[place]))
          if (ms > mostMs || ms > part * 80)
            slow.push(`${id}, place ${place}, ${what}: ${ms} ms, a sixteenth ${part} ms`)
        })
      })
    }
    assert.ok(checked > 1_000, `${checked} bodies`)
    assert.deepEqual(slow, [])
  })

  test('over a query as long as an address can be', () => {
    const slow = operations.flatMap(({ id, query }) => {
      const check = compileCheck(query, 'text')
      check({})
      return hostile(16_384).flatMap(([what, value]) =>
        Object.keys(query.properties ?? {})
          .map((name) => [name, millisecondsOf(check, { [name]: value })] as const)
          .filter(([, ms]) => ms > 5)
          .map(([name, ms]) => `${id} ${name}, ${what}: ${ms} ms`),
      )
    })
    assert.deepEqual(slow, [])
  })
})
