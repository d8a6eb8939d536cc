import { type ExitCode, exitCodes } from './exit-codes.ts'

/** A failure to report: what is wrong, and what to do next. */
export class Failure extends Error {
  readonly exitCode: ExitCode
  /** A stable identifier for scripts (`--json`). */
  readonly code: string
  /** A sentence or a command to try. */
  readonly next: string | undefined

  constructor(exitCode: ExitCode, code: string, message: string, next?: string) {
    super(message)
    this.name = 'Failure'
    this.exitCode = exitCode
    this.code = code
    this.next = next
  }
}

export function usage(message: string, next?: string): Failure {
  return new Failure(exitCodes.usage, 'usage', message, next)
}

export function failed(code: string, message: string, next?: string): Failure {
  return new Failure(exitCodes.failed, code, message, next)
}

export function unavailable(code: string, message: string, next?: string): Failure {
  return new Failure(exitCodes.unavailable, code, message, next)
}
