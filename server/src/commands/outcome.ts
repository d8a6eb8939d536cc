import { ConfigError } from '../config.ts'
import { sqlState } from '../platform/database/errors.ts'
import { Problem } from '../platform/problem.ts'
import { UsageError } from './command.ts'
import { Interrupted } from './hidden-prompt.ts'

/** From sysexits.h: a supervisor should not restart after failures that stay (64, 78), and may restart after the others. */
export const exitFailed = 1
export const exitUsage = 64
export const exitUnavailable = 69
export const exitConfig = 78

/** How a command failed, for people and scripts. */
export interface Outcome {
  readonly exitCode: number
  readonly code: string
  readonly message: string
  /** What to do next, when the message does not say it. */
  readonly next?: string | undefined
  readonly mistakes?: readonly string[]
  /** Where an unexpected error happened. */
  readonly stack?: string | undefined
}

const configHint = 'See: hitl config check, which is npx hitl config check in a checkout'

export function outcomeOf(thrown: unknown): Outcome {
  const error = firstOf(thrown)
  if (error instanceof UsageError) {
    return { exitCode: exitUsage, code: 'usage', message: error.message, next: error.next }
  }
  // As shells report SIGINT, which is what Ctrl-C would have sent.
  if (error instanceof Interrupted) return { exitCode: 130, code: 'interrupted', message: error.message }
  if (error instanceof ConfigError) {
    const { message, mistakes } = error
    return { exitCode: exitConfig, code: 'config.invalid', message, mistakes, next: configHint }
  }
  if (error instanceof Problem && error.status !== 503) {
    return { exitCode: exitFailed, code: error.code, message: error.message }
  }
  return ofDatabase(error) ?? ofMachine(error)
}

/** When all addresses of a name failed, the first reason is reported. */
function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error
}

function ofDatabase(error: unknown): Outcome | null {
  const source = firstOf(error instanceof Problem ? error.cause : error)
  const { code = '', syscall = '', message = '' } = (source ?? {}) as NodeJS.ErrnoException
  const state = sqlState(source) ?? ''
  const refused = { exitCode: exitConfig, code: 'database.refused' }
  if (/^(28|3D|42501)/.test(state)) {
    const next = 'Check user, password, database and rights in DATABASE_URL.'
    return { ...refused, message: `The database refuses the connection: ${message}.`, next }
  }
  if (/CERT|SELF_SIGNED|ALTNAME|SSL connections|SSL\/TLS required/i.test(`${code} ${message}`)) {
    const next = 'Set DATABASE_CA to the file with its certificate authority, or see sslmode in DATABASE_URL.'
    return { ...refused, message: `No secure connection to the database: ${message}.`, next }
  }
  const away = /^(08|53|57|58)/.test(state) || syscall === 'connect' || syscall === 'getaddrinfo'
  const lost = /^Connection terminated|^timeout expired|^timeout exceeded/.test(message)
  if (!away && !lost && !(error instanceof Problem)) return null
  const reason = message === '' && error instanceof Error ? error.message : message
  return {
    exitCode: exitUnavailable,
    code: 'database.unavailable',
    message: `the database does not respond (${reason}).`,
    next: 'Check that it runs, and that DATABASE_URL names its host and port.',
  }
}

function ofMachine(error: unknown): Outcome {
  const { code, syscall, message = String(error), stack } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    const next = 'Set PORT to another port, or stop the program that has this one.'
    return { exitCode: exitFailed, code: 'port.taken', message: `${message}.`, next }
  }
  if (syscall === 'listen' && code === 'EACCES') {
    const next = 'Ports below 1024 are for root: set PORT to another one, and let a proxy listen on 80 and 443.'
    return { exitCode: exitConfig, code: 'port.refused', message: `${message}.`, next }
  }
  return { exitCode: exitFailed, code: 'failed', message, stack }
}

/** Prints to standard error, as one JSON object if asked. */
export function printOutcome({ exitCode, stack, ...error }: Outcome, json: boolean, traced: boolean): void {
  const hint = stack === undefined || traced ? error.next : 'LOG_LEVEL=debug shows where it happened.'
  const lines = [`hitl: ${error.message}`, hint, traced ? stack : undefined].filter((line) => line !== undefined)
  process.stderr.write(`${json ? JSON.stringify({ error: { ...error, next: hint } }) : lines.join('\n')}\n`)
}
