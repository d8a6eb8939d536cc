import pg from 'pg'
import { Problem, refusal, unavailable } from '../problem.ts'

/** SQLSTATE of an error that PostgreSQL itself reported; undefined for errors of the driver or network. */
export function sqlState(error: unknown): string | undefined {
  const source = error instanceof Problem ? error.cause : error
  const code = (source as { code?: unknown } | null)?.code
  return source instanceof pg.DatabaseError && typeof code === 'string' ? code : undefined
}

/** Whether PostgreSQL itself refused, which rolls back; a lost connection leaves the fate of a commit unknown. */
export function provesRollback(error: unknown): boolean {
  const state = sqlState(error)
  return state !== undefined && !isOutage(state)
}

/** Classes 08, 28, 3D, 53, 57, 58 and 25006 (PostgreSQL, appendix A): the database is down, closed to us, full, busy or read-only. */
function isOutage(state: string): boolean {
  return /^(08|28|3D|53|57|58)/.test(state) || state === '25006'
}

/** Turns every error that means "no database just now" into 503; all others become a 500. */
export function asProblem(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error
  const state = sqlState(error)
  if (state !== undefined && !isOutage(state)) return error
  return unavailable('The database does not respond just now. Nothing is lost; try again in a moment.', error)
}

const outcomeUnknown = refusal(503, 'service.outcome_unknown', (cause?: unknown) => ({
  detail:
    'The database was lost while this was being saved, so it may or may not have happened. ' +
    'Read it before you repeat it, or repeat it with the same Idempotency-Key.',
  headers: { 'retry-after': '1' },
  cause,
}))

/** After a connection is lost during COMMIT, nobody knows whether it happened: "try again" would be wrong advice. */
export function outcomeOf(error: unknown): unknown {
  const problem = asProblem(error)
  if (!(problem instanceof Problem) || sqlState(error) !== undefined) return problem
  return outcomeUnknown(error)
}

export function translate(error: unknown): never {
  throw asProblem(error)
}
