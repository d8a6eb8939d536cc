/** A time until which a request is put aside. */
export interface SnoozeTime {
  readonly name: 'hour' | 'evening' | 'tomorrow' | 'monday'
  readonly at: Date
}

const eveningHour = 18
const morningHour = 8
const hourMs = 3_600_000
/** As the service has it: longestSnoozeDays. */
export const longestDays = 90

function dayAt(now: Date, days: number, hour: number): Date {
  const at = new Date(now)
  // By the calendar and not in hours, because a day may have 23 or 25 of them.
  at.setDate(at.getDate() + days)
  at.setHours(hour, 0, 0, 0)
  return at
}

/** What is offered, in order and each time once: an evening that begins within the hour is no choice of its own. */
export function snoozeTimes(now: Date): readonly SnoozeTime[] {
  const hour = new Date(now.getTime() + hourMs)
  const evening = dayAt(now, 0, eveningHour)
  const daysToMonday = (8 - now.getDay()) % 7 || 7
  return [
    { name: 'hour', at: hour },
    ...(evening > hour ? [{ name: 'evening', at: evening } as const] : []),
    { name: 'tomorrow', at: dayAt(now, 1, morningHour) },
    ...(daysToMonday > 1 ? [{ name: 'monday', at: dayAt(now, daysToMonday, morningHour) } as const] : []),
  ]
}

/** For an input of a date and a time, in the zone of the browser. */
export function inputTime(at: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0')
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${date}T${two(at.getHours())}:${two(at.getMinutes())}`
}

/** The bounds of a chosen time, in whole minutes within what the service takes. */
export function bounds(now: Date): { readonly min: string; readonly max: string } {
  const max = new Date(now)
  max.setDate(max.getDate() + longestDays - 1)
  return { min: inputTime(new Date(now.getTime() + 60_000)), max: inputTime(max) }
}
