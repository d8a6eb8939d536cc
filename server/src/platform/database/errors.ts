import pg from 'pg'
import { Problem, refusal, unavailable } from '../problem.ts'

/** SQLSTATE of an error that came from PostgreSQL itself; undefined for the driver's and the network's. */
export function sqlState(error: unknown): string | undefined {
  const source = error instanceof Problem ? error.cause : error
  const code = (source as { code?: unknown } | null)?.code
  return source instanceof pg.DatabaseError && typeof code === 'string' ? code : undefined
}

/** True when PostgreSQL itself refused, which rolls back; a lost connection leaves the fate of a commit unknown. */
export function provesRollback(error: unknown): boolean {
  const state = sqlState(error)
  return state !== undefined && !isOutage(state)
}

/** Classes 08, 28, 3D, 53, 57, 58 and 25006 (PostgreSQL, appendix A): the database is away, closed to us, full, busy or read-only. */
function isOutage(state: string): boolean {
  return /^(08|28|3D|53|57|58)/.test(state) || state === '25006'
}

/** Everything that means "no database just now" as 503; the rest stays as it is and becomes a 500. */
export function asProblem(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error
  const state = sqlState(error)
  if (state !== undefined && !isOutage(state)) return error
  return unavailable('The database does not answer just now. Nothing is lost; try again in a moment.', error)
}

const outcomeUnknown = refusal(503, 'service.outcome_unknown', (cause?: unknown) => ({
  detail:
    'The database was lost while this was being saved, so it may or may not have happened. ' +
    'Read it before you repeat it, or repeat it with the same Idempotency-Key.',
  headers: { 'retry-after': '1' },
  cause,
}))

/** A connection that is lost while COMMIT is under way tells nobody whether it happened: "try again" would be a guess. */
export function outcomeOf(error: unknown): unknown {
  const problem = asProblem(error)
  if (!(problem instanceof Problem) || sqlState(error) !== undefined) return problem
  return outcomeUnknown(error)
}

export function translate(error: unknown): never {
  throw asProblem(error)
}
