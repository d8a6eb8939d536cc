import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFailureLog } from '../../src/platform/failure-log.ts'
import { createLog } from '../../src/platform/log.ts'

test('a failure that lasts is one line when it begins or changes, one a minute, and one when it is over', () => {
  const lines: { level: string; msg: string; seconds?: number; times?: number; loop?: string }[] = []
  const log = createLog('info', false, { write: (line) => void lines.push(JSON.parse(line)) })
  let now = 0
  const failures = createFailureLog(log, { failed: 'it fails', worked: 'it works' }, { loop: 'sample' }, () => now)
  failures.worked()
  assert.deepEqual(lines, [])
  // Four times a second, for two and a half minutes.
  for (; now < 150_000; now += 250) failures.failed(new Error('gone'))
  failures.failed(new Error('full'), 'it fails otherwise')
  now += 1_000
  failures.worked()
  failures.worked()
  assert.deepEqual(
    lines.map(({ level, msg, seconds, times, loop }) => [level, loop, msg, seconds, times]),
    [
      ['error', 'sample', 'it fails', undefined, undefined],
      ['error', 'sample', 'it fails', 60, 241],
      ['error', 'sample', 'it fails', 120, 481],
      ['error', 'sample', 'it fails otherwise', undefined, undefined],
      ['info', 'sample', 'it works', 151, 601],
    ],
  )
})
