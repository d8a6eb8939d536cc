/** Something that keeps the service from working, or that will hurt one day. */
export interface Finding {
  /** A stable name for scripts, such as `database.stuck-transaction`. */
  readonly check: string
  /** wrong: mend it now. weak: it works, and may not always. */
  readonly severity: 'wrong' | 'weak'
  readonly found: string
  readonly next: string
}

type Row = readonly [when: boolean, check: string, severity: Finding['severity'], found: string, next: string]

/** The findings of a table. */
export const findingsOf = (rows: readonly Row[]): readonly Finding[] =>
  rows.filter(([when]) => when).map(([, check, severity, found, next]) => ({ check, severity, found, next }))
