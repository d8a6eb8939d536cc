import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type CallbackResult, isTargetInTrouble, nextStep, succeeded } from '../../src/callbacks/callback.ts'

type ErrorCode = NonNullable<CallbackResult['error']>['code']

const anError = 'Something went wrong.'

function result(status: number | null, errorCode: ErrorCode | null = null, retryAfter: number | null = null) {
  const error = errorCode === null ? null : { code: errorCode, message: anError }
  return { status, durationMs: 1, reply: '', retryAfterSeconds: retryAfter, error } satisfies CallbackResult
}

/** A schedule without recovery. */
const quick = (retrySeconds: readonly number[]) => ({ retrySeconds, recoverySeconds: [] })

const reachable = 'the receiver is well'
const troubled = 'the receiver is in trouble'
type Row = readonly [number | null, ErrorCode | null, 'sent' | 'retry' | 'failed', string]

/** [status, error, what the first of several attempts leads to, what the breaker counts] */
const outcomes: readonly Row[] = [
  [200, null, 'sent', reachable],
  [201, null, 'sent', reachable],
  [202, null, 'sent', reachable],
  [204, null, 'sent', reachable],
  [299, null, 'sent', reachable],
  // Only a complete 2xx counts: these broke off or stalled after the status.
  [200, 'reset', 'retry', troubled],
  [200, 'timeout', 'retry', troubled],
  [200, 'protocol', 'retry', reachable],
  [301, 'redirect', 'retry', reachable],
  [302, 'redirect', 'retry', reachable],
  [304, 'redirect', 'retry', reachable],
  [307, 'redirect', 'retry', reachable],
  [308, 'redirect', 'retry', reachable],
  [308, null, 'retry', reachable],
  [400, null, 'retry', reachable],
  [401, null, 'retry', reachable],
  [404, null, 'retry', reachable],
  [408, null, 'retry', reachable],
  [409, null, 'retry', reachable],
  [422, null, 'retry', reachable],
  [410, null, 'failed', reachable],
  [410, 'reset', 'failed', troubled],
  [429, null, 'retry', troubled],
  [500, null, 'retry', troubled],
  [501, null, 'retry', troubled],
  [502, null, 'retry', troubled],
  [503, null, 'retry', troubled],
  [504, null, 'retry', troubled],
  [599, null, 'retry', troubled],
  [null, 'dns', 'retry', troubled],
  [null, 'connect', 'retry', troubled],
  [null, 'tls', 'retry', troubled],
  [null, 'timeout', 'retry', troubled],
  [null, 'reset', 'retry', troubled],
  [null, 'protocol', 'retry', troubled],
  // The service's own failures: the receiver saw nothing of them.
  [null, 'target_refused', 'failed', reachable],
  [null, 'secret', 'retry', reachable],
  [null, 'stopped', 'retry', reachable],
]

describe('the outcome of an attempt', () => {
  for (const [status, code, first, breaker] of outcomes) {
    const named = `${status ?? 'no status'}${code === null ? '' : ` and "${code}"`}`
    test(`${named}: ${first}; ${breaker}`, () => {
      const made = result(status, code)
      assert.equal(nextStep(made, 1, quick([2, 4, 8]), 0).kind, first)
      assert.equal(nextStep(made, 4, quick([2, 4, 8]), 0).kind, first === 'sent' ? 'sent' : 'failed')
      assert.equal(nextStep(made, 1, quick([]), 0).kind, first === 'sent' ? 'sent' : 'failed')
      assert.equal(succeeded(made), first === 'sent')
      assert.equal(isTargetInTrouble(made), breaker === troubled)
    })
  }

  test('the error is the transport’s sentence, or names the status', () => {
    assert.deepEqual(nextStep(result(null, 'dns'), 9, quick([]), 0), { kind: 'failed', error: anError })
    assert.deepEqual(nextStep(result(200, 'reset'), 9, quick([]), 0), { kind: 'failed', error: anError })
    const error = 'The receiver replied 500; only 2xx counts as received.'
    assert.deepEqual(nextStep(result(500), 9, quick([]), 0), { kind: 'failed', error })
  })
})

/** [waits, tries so far, Retry-After, random, wait in ms; null: no more attempts] */
const waits: readonly (readonly [readonly number[], number, number | null, number, number | null])[] = [
  [[2, 4, 8], 1, null, 0, 2_000],
  [[2, 4, 8], 2, null, 0, 4_000],
  [[2, 4, 8], 3, null, 0, 8_000],
  [[2, 4, 8], 4, null, 0, null],
  [[2, 4, 8], 5, null, 0, null],
  [[2, 4, 8], 1, null, 0.5, 2_100],
  [[2, 4, 8], 3, null, 0.999999, 8_800],
  [[], 1, null, 0, null],
  [[], 1, 60, 0, null],
  [[0], 1, null, 0.9, 0],
  [[0], 2, null, 0.9, null],
  [[604_800], 1, null, 0, 604_800_000],
  // Retry-After can lengthen a wait but not shorten it, and jitter never goes below it.
  [[2, 4, 8], 1, 0, 0, 2_000],
  [[2, 4, 8], 1, 1, 0, 2_000],
  [[2, 4, 8], 1, 2, 0.5, 2_100],
  [[2, 4, 8], 1, 30, 0, 30_000],
  [[2, 4, 8], 1, 30, 0.9, 30_000],
  [[2, 4, 8], 4, 30, 0, null],
  [[2, 4, 8], 1, 86_400, 0, 86_400_000],
  [[2, 4, 8], 1, 86_401, 0, 86_400_000],
  [[2, 4, 8], 1, 31_536_000, 0, 86_400_000],
  [[604_800], 1, 86_400, 0, 604_800_000],
]

describe('when the next attempt is made', () => {
  for (const [schedule, tries, retryAfter, random, expected] of waits) {
    const asked = retryAfter === null ? '' : `, Retry-After ${retryAfter}`
    test(`waits [${schedule}], attempt ${tries}${asked}, random ${random}: ${expected ?? 'never'}`, () => {
      for (const status of [429, 503, 500, 404]) {
        const step = nextStep(result(status, null, retryAfter), tries, quick(schedule), random)
        assert.equal(step.kind === 'retry' ? step.afterMs : null, expected)
      }
    })
  }

  test('for every schedule: at least the wait and Retry-After, at most a tenth more; as many retries as waits', () => {
    const seconds = fc.integer({ min: 0, max: 604_800 })
    const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.array(seconds, { maxLength: 20 }), fc.option(seconds), unit, (schedule, retryAfter, random) => {
        const steps = [...schedule, 0].map((_, at) =>
          nextStep(result(503, null, retryAfter), at + 1, quick(schedule), random),
        )
        assert.equal(steps.at(-1)?.kind, 'failed')
        for (const [at, wait] of schedule.entries()) {
          const step = steps[at]
          assert.ok(step?.kind === 'retry')
          const least = Math.max(wait, Math.min(retryAfter ?? 0, 86_400)) * 1_000
          assert.ok(step.afterMs >= least && step.afterMs <= least * 1.1 + 1, `${step.afterMs} for ${least}`)
        }
      }),
    )
  })

  test('after the quick retries: the waits of the recovery, and the request says that the callback failed', () => {
    const schedule = { retrySeconds: [2, 4], recoverySeconds: [60, 300] }
    const steps = [1, 2, 3, 4, 5].map((attempts) => nextStep(result(503, null, 100), attempts, schedule, 0))
    const error = 'The receiver replied 503; only 2xx counts as received.'
    const retry = { kind: 'retry', error } as const
    assert.deepEqual(steps, [
      { ...retry, afterMs: 100_000, isRecovery: false, isAsked: true },
      { ...retry, afterMs: 100_000, isRecovery: false, isAsked: true },
      { ...retry, afterMs: 100_000, isRecovery: true, isAsked: true },
      { ...retry, afterMs: 300_000, isRecovery: true, isAsked: false },
      { kind: 'failed', error },
    ])
    assert.deepEqual(nextStep(result(410), 1, schedule, 0).kind, 'failed', '410 stops at once')
  })
})
