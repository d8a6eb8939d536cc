import { channel } from 'node:diagnostics_channel'

/** A statement that was just sent to the database. Traces are made of these. */
export interface StatementSent {
  /** That of a prepared statement, or the first word of its text. */
  readonly name: string
  readonly answer: Promise<unknown>
}

export const statementsSent = channel('hitl.statements-sent')
