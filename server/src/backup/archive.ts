import { createHash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { createGunzip, createGzip } from 'node:zlib'
import { type Static, Type } from 'typebox'
import { Problem, refusal } from '../platform/problem.ts'
import { compileCheck } from '../platform/validation.ts'

/**
 * The file of a backup: gzip of
 *
 *   {"hitl_backup":1, ...}                       the header, one line of JSON
 *   {"table":"accounts","columns":["id", ...]}   one line for each table, followed by blocks of its rows
 *   4711                                         the bytes of the next block, rows in the text format of COPY; 0 is the last
 *   {"end":{"rows":12,"sha256":"..."}}           the hash of everything before this line
 *
 * Tables stand in the order in which they can be filled. It streams both ways.
 */
const headerSchema = Type.Object({
  hitl_backup: Type.Literal(1),
  /** The version of the service that made it. */
  version: Type.String({ pattern: '^[0-9A-Za-z.+-]{1,64}$' }),
  created_at: Type.String({ format: 'date-time' }),
  migrations: Type.Array(
    Type.Object({
      name: Type.String({ pattern: '^\\w{1,100}\\.sql$' }),
      checksum: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    }),
  ),
  /** The era of the audit (0008_audit.sql). */
  era: Type.Integer({ minimum: 0, maximum: 32_766 }),
  /** Data keys, wrapped, to see before anything else whether the keys of the settings open them. `wrapped` is base64. */
  data_keys: Type.Array(
    Type.Object({
      organizationId: Type.String({ format: 'uuid' }),
      id: Type.String({ format: 'uuid' }),
      kekId: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }),
      wrapped: Type.String(),
    }),
  ),
  /** Tells whether the settings have the SECRET_KEY of the installation (secrets.ts). Missing where the one who made it did not. */
  secret_key_check: Type.Optional(Type.String({ pattern: '^[0-9a-f]{32}$' })),
})
const checkHeader = compileCheck(headerSchema, 'headers')

export type Header = Static<typeof headerSchema>

export interface TableRows {
  readonly table: string
  readonly columns: readonly string[]
  /** Must be read to the end before the next table. */
  readonly rows: AsyncIterable<Buffer>
}

export interface End {
  readonly rows: number
  readonly sha256: string
}

export const damaged = refusal(
  409,
  'backup.damaged',
  (how: string) =>
    `This backup cannot be restored: ${how}. Nothing was restored. Use another copy of it, or an earlier one.`,
  'it ends too early',
)

const foreign = refusal(
  409,
  'backup.foreign',
  'This is not a backup that "hitl backup" of this version or an earlier one made. Nothing was restored.',
)

/** Larger blocks cost memory and save nothing. */
const blockBytes = 65_536
/** A header grows with the migrations, a hundred bytes each. */
const lineBytes = 1_048_576

/** The compressed bytes of a backup. `done` gets its end once the last byte was made. */
export function encode(
  header: Header,
  tables: AsyncIterable<{ table: string; columns: readonly string[]; rows: AsyncIterable<readonly Buffer[]> }>,
  done: (end: End) => void,
): Readable {
  const hash = createHash('sha256')
  const hashed = (bytes: Buffer): Buffer => {
    hash.update(bytes)
    return bytes
  }
  const line = (value: unknown): Buffer => hashed(Buffer.from(`${JSON.stringify(value)}\n`))
  async function* lines(): AsyncGenerator<Buffer> {
    let count = 0
    yield line(header)
    for await (const { table, columns, rows } of tables) {
      yield line({ table, columns })
      for await (const block of blocks(rows, (many) => (count += many))) {
        yield line(block.length)
        yield hashed(block)
      }
      yield line(0)
    }
    const end = { rows: count, sha256: hash.digest('hex') }
    yield Buffer.from(`${JSON.stringify({ end })}\n`)
    done(end)
  }
  return pipeline(Readable.from(lines()), createGzip(), () => {})
}

async function* blocks(
  rows: AsyncIterable<readonly Buffer[]>,
  counted: (rows: number) => void,
): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = []
  let bytes = 0
  for await (const some of rows) {
    counted(some.length)
    for (const row of some) {
      waiting.push(row)
      bytes += row.length
      if (bytes < blockBytes) continue
      yield Buffer.concat(waiting)
      waiting = []
      bytes = 0
    }
  }
  if (bytes > 0) yield Buffer.concat(waiting)
}

export interface Archive {
  readonly header: Header
  readonly tables: AsyncGenerator<TableRows>
  /** Once `tables` has ended, which it does only where the file is whole and unchanged. */
  end(): End
}

/** Opens a backup and reads its header. Throws 409 where it is none, and `tables` where it was changed or cut. */
export async function decode(source: Readable): Promise<Archive> {
  const bytes = createBytes(source)
  const first = await bytes.line().catch((error: unknown) => {
    throw error instanceof Problem ? foreign() : error
  })
  const header = parsed(first)
  if (checkHeader(header) !== null) throw foreign()
  let end: End | null = null
  async function* tables(): AsyncGenerator<TableRows> {
    for (;;) {
      const sha256 = bytes.hashSoFar()
      const next = parsed(await bytes.line()) as Partial<TableRows & { end: End }> | null
      if (next?.end !== undefined) {
        if (next.end.sha256 !== sha256) throw damaged('it was changed since it was made')
        if (!(await bytes.isAtEnd())) throw damaged('something follows its end')
        end = next.end
        return
      }
      if (typeof next?.table !== 'string' || !Array.isArray(next.columns))
        throw damaged('it was changed since it was made')
      yield { table: next.table, columns: next.columns, rows: rowsOf() }
    }
  }
  async function* rowsOf(): AsyncGenerator<Buffer> {
    for (;;) {
      const length = Number(await bytes.line())
      if (!Number.isSafeInteger(length) || length < 0) throw damaged('it was changed since it was made')
      if (length === 0) return
      yield* bytes.block(length)
    }
  }
  return {
    header: header as Header,
    tables: tables(),
    end: () => {
      if (end === null) throw damaged('it ends too early')
      return end
    },
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

/** Lines and blocks of the unpacked source, each hashed as it is read. */
function createBytes(source: Readable) {
  const unpacked = pipeline(source, createGunzip(), () => {})[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const hash = createHash('sha256')
  let rest: Buffer = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    const next = await unpacked.next().catch((error: NodeJS.ErrnoException) => {
      // The codes of zlib.
      if (error.code?.startsWith('Z_') !== true) throw error
      throw damaged(error.code === 'Z_BUF_ERROR' ? 'it ends too early' : 'its bytes were changed')
    })
    if (next.done === true) return false
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value])
    return true
  }
  const take = (length: number): Buffer => {
    const taken = rest.subarray(0, length)
    rest = rest.subarray(length)
    hash.update(taken)
    return taken
  }
  return {
    line: async (): Promise<string> => {
      for (;;) {
        const at = rest.indexOf(0x0a)
        if (at >= 0) return take(at + 1).toString('utf8', 0, at)
        if (rest.length > lineBytes) throw damaged('it was changed since it was made')
        if (!(await more())) throw damaged('it ends too early')
      }
    },
    block: async function* (length: number): AsyncGenerator<Buffer> {
      for (let left = length; left > 0; ) {
        if (rest.length === 0 && !(await more())) throw damaged('it ends too early')
        const taken = take(Math.min(left, rest.length))
        left -= taken.length
        yield taken
      }
    },
    isAtEnd: async () => rest.length === 0 && !(await more()),
    hashSoFar: () => hash.copy().digest('hex'),
  }
}
