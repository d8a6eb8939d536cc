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

/**
 * Classes 08, 28, 3D, 53, 57, 58, and 25006 and 55000 (PostgreSQL, appendix A): the database is down, closed to us, full, busy,
 * read-only, or takes no connections.
 */
function isOutage(state: string): boolean {
  return /^(08|28|3D|53|57|58)/.test(state) || state === '25006' || state === '55000'
}

/** What keeps everybody from using the database. */
export type Outage = 'unavailable' | 'disk_full' | 'read_only' | 'too_many_connections'

/** Null for everything but a refusal that was made from an error of the database's server or its connection. */
export function outageOf(error: unknown): Outage | null {
  if (!(error instanceof Problem) || error.cause === undefined) return null
  if (error.code !== unavailable.code && error.code !== outcomeUnknown.code) return null
  return tookTooLong(error) ? null : kindOf(error.cause)
}

/** Whether a statement was stopped after DATABASE_STATEMENT_SECONDS, or cancelled by somebody (57014). */
export function tookTooLong(error: unknown): boolean {
  return error instanceof Problem && error.code === unavailable.code && sqlState(error) === '57014'
}

function kindOf(error: unknown): Outage {
  const state = sqlState(error)
  if (state === '53100' || (error as { code?: unknown }).code === 'ENOSPC') return 'disk_full'
  if (state === '25006') return 'read_only'
  return state === '53300' ? 'too_many_connections' : 'unavailable'
}

const details: Readonly<Record<Outage, string>> = {
  unavailable: 'The database is not responding right now. Nothing is lost; try again in a moment.',
  disk_full:
    "The database's disk is full, so nothing can be saved until the operator makes space. What was saved before is safe.",
  read_only:
    'The database can only be read just now, as while another server takes over. Nothing is lost; try again in a moment.',
  too_many_connections: 'The database accepts no more connections just now. Nothing is lost; try again in a moment.',
}

/** Turns every error that means "no database just now" into 503; all others become a 500. */
export function asProblem(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error
  const state = sqlState(error)
  if (state !== undefined && !isOutage(state)) return error
  if (state === '57014') return unavailable('The database took too long for this. Try again in a moment.', error)
  if (/^57P0[123]$/.test(state ?? '')) {
    return unavailable('The database is stopping or starting. Nothing is lost; try again in a moment.', error)
  }
  return unavailable(details[kindOf(error)], error)
}

export const outcomeUnknown = refusal(503, 'service.outcome_unknown', (cause?: unknown) => ({
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
