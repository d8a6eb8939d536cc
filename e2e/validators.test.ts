import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { compileCheck } from '../server/src/platform/validation.ts'
import { startTestApp, type TestApp } from '../server/test/harness.ts'
import { bodyLimit, type Operation, operationsOf, type Schema } from '../server/test/http/operations.ts'
import { drawn, share } from './share.ts'

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
/** A sixteenth takes a sixteenth of the time, with a margin of five; where the time grows with the square, a 256th. */
const part = 16
const mostTimes = 80

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
    // Chance does not make so much of it, and a pattern that takes minutes needs to be seen once only.
    if (least > mostMs * 10) break
  }
  return least
}

/** A value in its place, and the same of a sixteenth of its size. */
interface Case {
  readonly name: string
  readonly check: (value: unknown) => unknown
  readonly large: unknown
  readonly small: unknown
}

/** What is wrong with the time that it takes, or null. */
function excess({ check, large, small }: Case): string | null {
  // First, because what takes long over a sixteenth may take minutes over all of it.
  const smallMs = Math.max(0.5, millisecondsOf(check, small))
  if (smallMs > mostMs) return `a sixteenth of it takes ${smallMs} ms`
  const ms = millisecondsOf(check, large)
  if (ms <= mostMs / 3 || (ms <= mostMs && ms <= smallMs * mostTimes)) return null
  return `${ms} ms, a sixteenth ${smallMs} ms`
}

/** A neighbour or the collector of garbage may slow down all rounds of a case, but not this many later ones. */
const tries = 5

/** The cases that take too long, and take too long in every further try after all others were measured. */
function slowOf(cases: Iterable<Case>): readonly string[] {
  const suspects: Case[] = []
  for (const one of cases) if (excess(one) !== null) suspects.push(one)
  return suspects.flatMap((one) => {
    let found: string | null = 'never tried'
    for (let turn = 0; turn < tries && found !== null; turn += 1) found = excess(one)
    return found === null ? [] : [`${one.name}: ${found}`]
  })
}

/** Each hostile value in each place of the schema. */
function* casesOf(name: string, schema: Schema, size: number): Iterable<Case> {
  const check = compileCheck(schema, 'body')
  check({})
  const small = hostile(size / part)
  for (const [at, [what, value]] of hostile(size).entries()) {
    const smaller = bodiesOf(schema, small[at]?.[1])
    for (const [place, large] of bodiesOf(schema, value).entries())
      yield { name: `${name}, place ${place}, ${what}`, check, large, small: smaller[place] }
  }
}

describe('no validator takes long', () => {
  test('over a body at the limit, whatever is in it, or more than in proportion to its size', () => {
    let checked = 0
    function* all(): Iterable<Case> {
      for (const { id, body } of drawn(operations.filter(({ body }) => body !== undefined))) {
        if (body === undefined) continue
        for (const one of casesOf(id, body, bodyLimit)) {
          checked += 1
          yield one
        }
      }
    }
    assert.deepEqual(slowOf(all()), [])
    assert.ok(checked > (share >= 1 ? 1_000 : 0), `${checked} bodies`)
  })

  test('and one whose time grows with the square is found', () => {
    const code = { type: 'string', pattern: 'a*b' }
    const plantedSchema: Schema = { type: 'object', properties: { code } }
    // The larger shows in a sixteenth of it already.
    for (const size of [bodyLimit / 4, bodyLimit / 32]) {
      const one = [...casesOf('planted', plantedSchema, size)].find(
        ({ name }) => name === 'planted, place 1, "a" repeated',
      )
      assert.equal(slowOf([one ?? assert.fail()]).length, 1, `${size} bytes`)
    }
  })

  test('over a query as long as an address can be', () => {
    const slow = drawn(operations).flatMap(({ id, query }) => {
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
