import { dateFormat } from './formats.ts'
import { region, say } from './say.ts'

const minute = 60
const hour = 60 * minute
const day = 24 * hour

/** How long, in one unit, rounded down so that no more time is promised than there is. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  if (whole < minute) return say('time.seconds', { count: whole })
  if (whole < hour) return say('time.minutes', { count: Math.floor(whole / minute) })
  if (whole < 2 * day) return say('time.hours', { count: Math.floor(whole / hour) })
  return say('time.days', { count: Math.floor(whole / day) })
}

/** "3 min ago" or "in 2 h". */
export function relative(at: Date, now: Date): string {
  const seconds = (at.getTime() - now.getTime()) / 1_000
  if (Math.abs(seconds) < 1) return say('time.now')
  return seconds < 0 ? say('time.ago', { time: duration(-seconds) }) : say('time.in', { time: duration(seconds) })
}

/** With the zone, for hovers and assistive technology. */
export function absolute(at: Date): string {
  return dateFormat(region(), { dateStyle: 'full', timeStyle: 'long' }).format(at)
}

/** The time of day, with the date when it is another day. */
export function clockTime(at: Date, now: Date): string {
  const sameDay = at.toDateString() === now.toDateString()
  const format = sameDay
    ? { timeStyle: 'short' as const }
    : { dateStyle: 'medium' as const, timeStyle: 'short' as const }
  return dateFormat(region(), format).format(at)
}
