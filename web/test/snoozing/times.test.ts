import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bounds, inputTime, longestDays, snoozeTimes } from '../../src/snoozing/times.ts'

/** In the zone of whoever runs it, as in the browser. 2026-03-02 is a Monday. */
const offered = (now: Date): readonly string[] => snoozeTimes(now).map(({ name, at }) => `${name} ${inputTime(at)}`)

test('on a Wednesday morning: an hour, the evening, the morning, Monday', () => {
  assert.deepEqual(offered(new Date(2026, 2, 4, 9, 30)), [
    'hour 2026-03-04T10:30',
    'evening 2026-03-04T18:00',
    'tomorrow 2026-03-05T08:00',
    'monday 2026-03-09T08:00',
  ])
})

test('an evening that is near or over is not offered', () => {
  for (const hour of [17, 18, 23]) {
    assert.ok(!offered(new Date(2026, 2, 4, hour, 0)).some((each) => each.startsWith('evening')), String(hour))
  }
})

test('on a Monday it is the next one, and on a Sunday that is tomorrow and not told twice', () => {
  assert.equal(offered(new Date(2026, 2, 2, 9)).at(-1), 'monday 2026-03-09T08:00')
  assert.equal(offered(new Date(2026, 2, 8, 9)).at(-1), 'tomorrow 2026-03-09T08:00')
})

test('every hour of a year, with its changes of the clock: times to come, in order, mornings at eight', () => {
  const start = new Date(2026, 0, 1).getTime()
  for (let hour = 0; hour < 365 * 24; hour += 1) {
    const now = new Date(start + hour * 3_600_000)
    const times = snoozeTimes(now)
    assert.ok(
      times.every(({ at }, index) => at > (times[index - 1]?.at ?? now)),
      now.toISOString(),
    )
    for (const { name, at } of times) if (name === 'tomorrow' || name === 'monday') assert.equal(at.getHours(), 8)
    assert.ok(times.every(({ name, at }) => name !== 'monday' || at.getDay() === 1))
  }
})

test('what may be chosen is within what the service takes', () => {
  const now = new Date(2026, 2, 4, 9, 30, 59)
  const { min, max } = bounds(now)
  assert.ok(new Date(min) > now)
  assert.ok(new Date(max).getTime() - now.getTime() < longestDays * 86_400_000)
})
