import { invalid } from '../platform/problem.ts'

const instantPattern = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/

/** RFC 3339, within the years 1970 to 9999. An unescaped `+` of an offset arrives as a space and is meant as one. */
export function toInstant(path: string, text: string): Date {
  const meant = text.replace(/ (\d\d:\d\d)$/, '+$1')
  const time = instantPattern.test(meant) ? Date.parse(meant.replace(' ', 'T').toUpperCase()) : Number.NaN
  // Date.parse takes 30 February for 2 March.
  const day = new Date(`${meant.slice(0, 10)}T00:00:00Z`)
  const exists = !Number.isNaN(time) && day.toISOString().startsWith(meant.slice(0, 10))
  if (!exists || time < 0 || time >= 253_402_300_800_000) {
    throw invalid(path, 'must be an RFC 3339 time with an offset, such as 2026-01-31T09:00:00Z')
  }
  return new Date(time)
}
