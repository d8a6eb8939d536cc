import type { Writable } from 'node:stream'
import pg from 'pg'

/** A statement with its parameters; without a name it is parsed at every use. */
export interface GroupStatement {
  readonly name: string | undefined
  readonly text: string
  readonly values: readonly unknown[]
}

export interface GroupResult {
  readonly rows: readonly unknown[]
  /** `SELECT`, `COMMIT`, ...: the command tag. */
  readonly command: string
}

/** Raised by a failed group; `tainted` when the connection's prepared statements are not known any more. */
export interface GroupFailure {
  readonly error: unknown
  readonly tainted: boolean
}

/** What the driver's connection offers to queries of other make (its own cursor package is one). */
interface Wire {
  readonly stream: Writable
  readonly parsedStatements: Record<string, string | undefined>
  parse(message: { readonly text: string; readonly name: string; readonly types: readonly number[] }): void
  bind(message: {
    readonly portal: string
    readonly statement: string
    readonly values: readonly unknown[]
    readonly binary: boolean
    readonly valueMapper: (value: unknown) => unknown
  }): void
  describe(message: { readonly type: 'P'; readonly name: string }): void
  execute(message: { readonly portal: string; readonly rows: number }): void
  sync(): void
  sendCopyFail(message: string): void
}

interface RowCollector {
  readonly rows: unknown[]
  readonly command: string
  addFields(fields: unknown): void
  parseRow(fields: unknown): unknown
  addRow(row: unknown): void
  addCommandComplete(message: unknown): void
}

type ResultConstructor = new (rowMode: undefined, types: unknown) => RowCollector

/**
 * Runs several statements in one round trip with a single Sync (PostgreSQL, "Extended Query" pipelining): one packet there and
 * one back. With a Sync each, as the driver's own pipelining sends, PostgreSQL answers each with a packet of its own and wakes
 * this process for it; on a small machine that cost more than the statements.
 *
 * Without BEGIN the group is one implicit transaction: all of it is committed, or nothing. Fails with a GroupFailure.
 */
export function runGroup(
  client: pg.ClientBase,
  statements: readonly GroupStatement[],
  types: unknown,
): Promise<readonly GroupResult[]> {
  return new Promise((resolve, reject) => {
    // A value that cannot be sent fails here, before anything is written.
    const mapped = statements.map(({ name, text, values }) => ({ name, text, values: values.map(prepareValue) }))
    const Result = pg.Result as unknown as ResultConstructor
    const results: RowCollector[] = []
    const parsed: GroupStatement[] = []
    let current = new Result(undefined, types)
    let failure: unknown = null

    const submit = (wire: Wire): void => {
      wire.stream.cork()
      for (const statement of mapped) send(wire, statement, parsed)
      wire.sync()
      wire.stream.uncork()
    }
    const group = {
      submit,
      // The driver wraps it to stop its timer.
      callback: (error: unknown, answer?: readonly GroupResult[]): void => {
        if (error === null || error === undefined) resolve(answer ?? [])
        // Which of the new statements PostgreSQL has kept is not known: it stops at the first error.
        else reject({ error, tainted: parsed.length > 0 } satisfies GroupFailure)
      },
      handleRowDescription: (message: { readonly fields: unknown }) => current.addFields(message.fields),
      handleDataRow: (message: { readonly fields: unknown }) => {
        try {
          current.addRow(current.parseRow(message.fields))
        } catch (error) {
          failure ??= error
        }
      },
      handleCommandComplete: (message: unknown) => {
        current.addCommandComplete(message)
        results.push(current)
        current = new Result(undefined, types)
      },
      handleEmptyQuery: () => {},
      handlePortalSuspended: () => {},
      handleCopyInResponse: (wire: Wire) => wire.sendCopyFail('there is nothing to copy'),
      handleError: (error: unknown) => group.callback(error),
      // Only now is a group known to be committed, so nothing is answered before.
      handleReadyForQuery: (wire: Wire) => {
        for (const { name, text } of parsed) if (name !== undefined) wire.parsedStatements[name] = text
        group.callback(failure, results)
      },
    }
    client.query(group as unknown as pg.Submittable)
  })
}

function send(wire: Wire, { name, text, values }: GroupStatement, parsed: GroupStatement[]): void {
  const isNew = name === undefined || wire.parsedStatements[name] === undefined
  if (isNew && !parsed.some((other) => name !== undefined && other.name === name)) {
    wire.parse({ text, name: name ?? '', types: [] })
    if (name !== undefined) parsed.push({ name, text, values: [] })
  }
  wire.bind({ portal: '', statement: name ?? '', values, binary: false, valueMapper: (value) => value })
  wire.describe({ type: 'P', name: '' })
  wire.execute({ portal: '', rows: 0 })
}

const { prepareValue } = (pg as unknown as { utils: { prepareValue: (value: unknown) => unknown } }).utils
