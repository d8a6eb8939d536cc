import type { Writable } from 'node:stream'
import pg from 'pg'

/** A statement with its parameters; without a name it is parsed each time. */
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

/** Raised by a failed group; `tainted` when the connection's prepared statements are no longer known. */
export interface GroupFailure {
  readonly error: unknown
  readonly tainted: boolean
}

/**
 * The driver's interface for custom queries (its cursor package uses it). `parsedStatements`, and `prepareValue` below, are
 * not public in `pg`, so server/package.json pins its exact version: read pg's `lib/query.js` and `lib/utils.js` again before
 * changing it.
 */
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

/** The columns of a prepared statement's result: known after its first use on a connection and not requested again. */
interface Columns {
  readonly names: readonly string[]
  readonly parsers: readonly ((text: string) => unknown)[]
}

const noColumns: Columns = { names: [], parsers: [] }
const knownColumns = new WeakMap<pg.ClientBase, Map<string, Columns>>()

export interface Types {
  getTypeParser(oid: number, format: 'text'): (text: string) => unknown
}

/**
 * Runs several statements in one round trip with a single Sync (PostgreSQL, "Extended Query" pipelining): one packet there and
 * one back. With a Sync each, as in the driver's own pipelining, PostgreSQL replies to each with a packet and wakes this
 * process for it; on a small machine that cost more than the statements.
 *
 * Without BEGIN the group is one implicit transaction: all of it is committed, or nothing. Fails with a GroupFailure.
 */
export function runGroup(
  client: pg.ClientBase,
  statements: readonly GroupStatement[],
  types: Types,
): Promise<readonly GroupResult[]> {
  return new Promise((resolve, reject) => {
    // A value that cannot be sent fails here, before anything is written.
    const mapped = statements.map(({ name, text, values }) => ({ name, text, values: values.map(prepareValue) }))
    const known = knownColumns.get(client) ?? new Map<string, Columns>()
    knownColumns.set(client, known)
    const columnsOf = (statement: GroupStatement | undefined): Columns | undefined =>
      statement?.name === undefined ? undefined : known.get(statement.name)
    const results: GroupResult[] = []
    const parsed = new Map<string, string>()
    const learned: [string, Columns][] = []
    let columns = columnsOf(mapped[0])
    let rows: unknown[] = []
    let failure: unknown = null

    const complete = (command: string): void => {
      const name = mapped[results.length]?.name
      if (name !== undefined && !known.has(name)) learned.push([name, columns ?? noColumns])
      results.push({ rows, command })
      rows = []
      columns = columnsOf(mapped[results.length])
    }
    const group = {
      // The driver passes a returned error to handleError; nothing was written then.
      submit: (wire: Wire): TypeError | undefined => {
        const unparsed = new Set<GroupStatement>()
        for (const statement of mapped) {
          const { name, text } = statement
          const known = name === undefined ? undefined : (wire.parsedStatements[name] ?? parsed.get(name))
          if (known === undefined) {
            unparsed.add(statement)
            if (name !== undefined) parsed.set(name, text)
          } else if (known !== text) {
            return new TypeError(`Two prepared statements have the name "${name}".`)
          }
        }
        wire.stream.cork()
        for (const statement of mapped) {
          send(wire, statement, unparsed.has(statement), columnsOf(statement) === undefined)
        }
        wire.sync()
        wire.stream.uncork()
        return undefined
      },
      // The driver wraps it to stop its timer.
      callback: (error: unknown, answer?: readonly GroupResult[]): void => {
        if (error === null || error === undefined) resolve(answer ?? [])
        // PostgreSQL stops at the first error, so it is unknown which of the new statements it has kept.
        else reject({ error, tainted: parsed.size > 0 } satisfies GroupFailure)
      },
      handleRowDescription: ({ fields }: { readonly fields: readonly Field[] }) => {
        columns = {
          names: fields.map(({ name }) => name),
          parsers: fields.map(({ dataTypeID }) => types.getTypeParser(dataTypeID, 'text')),
        }
      },
      handleDataRow: ({ fields }: { readonly fields: readonly (string | null)[] }) => {
        try {
          rows.push(rowOf(columns ?? noColumns, fields))
        } catch (error) {
          failure ??= error
        }
      },
      // `INSERT 0 3`: the command tag and its counts.
      handleCommandComplete: ({ text }: { readonly text: string }) => complete(text.split(' ', 1)[0] ?? ''),
      handleEmptyQuery: () => complete(''),
      handlePortalSuspended: () => {},
      handleCopyInResponse: (wire: Wire) => wire.sendCopyFail('there is nothing to copy'),
      handleError: (error: unknown) => group.callback(error),
      // Only now is the group known to be committed, so nothing resolves before.
      handleReadyForQuery: (wire: Wire) => {
        for (const [name, text] of parsed) wire.parsedStatements[name] = text
        for (const [name, found] of learned) known.set(name, found)
        group.callback(failure, results)
      },
    }
    client.query(group as unknown as pg.Submittable)
  })
}

interface Field {
  readonly name: string
  readonly dataTypeID: number
}

/** Its columns' names come from our own statements, and `__proto__` is not among them. */
function rowOf({ names, parsers }: Columns, values: readonly (string | null)[]): unknown {
  const row: Record<string, unknown> = {}
  for (let at = 0; at < values.length; at += 1) {
    const text = values[at] ?? null
    row[names[at] ?? ''] = text === null ? null : parsers[at]?.(text)
  }
  return row
}

function send(wire: Wire, { name, text, values }: GroupStatement, parse: boolean, describe: boolean): void {
  if (parse) wire.parse({ text, name: name ?? '', types: [] })
  wire.bind({ portal: '', statement: name ?? '', values, binary: false, valueMapper: (value) => value })
  if (describe) wire.describe({ type: 'P', name: '' })
  wire.execute({ portal: '', rows: 0 })
}

const { prepareValue } = (pg as unknown as { utils: { prepareValue: (value: unknown) => unknown } }).utils
