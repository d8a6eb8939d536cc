import { channel } from 'node:diagnostics_channel'

/** A statement on its way to the database, for whoever traces. */
export interface StatementSent {
  /** That of a prepared statement, or the first word of its text. */
  readonly name: string
  readonly answer: Promise<unknown>
}

export const statementsSent = channel('hitl.statements-sent')
