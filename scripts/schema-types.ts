// Writes server/src/platform/database/schema.gen.ts from a freshly migrated database: `npm run schema-types`. With --check it
// only compares, and fails if the file would change.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Connection } from '../server/src/platform/database/db.ts'
import { migrate } from '../server/src/platform/database/migrate.ts'
import { startEmbeddedPostgres } from '../server/src/platform/embedded-postgres/embedded-postgres.ts'

interface Column {
  readonly table: string
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  readonly generated: boolean
  /** A check constraint on this column alone that lists its values. */
  readonly check: string | null
}

/** What the driver turns each type into: see the parsers in platform/database/db.ts. */
const typescript: Readonly<Record<string, string>> = {
  bigint: 'number',
  boolean: 'boolean',
  bytea: 'Buffer',
  cidr: 'string',
  inet: 'string',
  integer: 'number',
  json: 'JsonText',
  jsonb: 'unknown',
  tsvector: 'string',
  smallint: 'number',
  text: 'string',
  'timestamp with time zone': 'Date',
  uuid: 'string',
  xid8: 'string',
}

const path = join(import.meta.dirname, '../server/src/platform/database/schema.gen.ts')
const written = await writtenTypes()
if (!process.argv.includes('--check')) await writeFile(path, written)
else if ((await readFile(path, 'utf8').catch(() => '')) !== written) {
  process.stderr.write(
    'schema.gen.ts does not match the migrations. Run "npm run schema-types" and commit the result.\n',
  )
  process.exitCode = 1
}

async function writtenTypes(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'hitl-schema-'))
  const server = await startEmbeddedPostgres({ dataDir, durable: false, log: () => {} })
  try {
    await migrate(server.connection)
    return sourceOf(await columnsOf(server.connection))
  } finally {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function columnsOf(connection: Connection): Promise<readonly Column[]> {
  const client = new pg.Client(connection)
  await client.connect()
  try {
    const { rows } = await client.query<Column>(
      `select c.relname as table, a.attname as name, format_type(a.atttypid, null) as type, not a.attnotnull as nullable,
         a.atthasdef as generated, (select pg_get_constraintdef(k.oid) from pg_constraint k
           where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]
             and pg_get_constraintdef(k.oid) like '%= ANY (ARRAY[%') as check
       from pg_class c join pg_attribute a on a.attrelid = c.oid
       where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname not like 'schema\\_%'
         and a.attnum > 0 and not a.attisdropped
       order by c.relname, a.attnum`,
    )
    return rows
  } finally {
    await client.end()
  }
}

function sourceOf(columns: readonly Column[]): string {
  const tables = [...Map.groupBy(columns, ({ table }) => table)].map(
    ([table, own]) => `  ${table}: {\n${own.map((column) => `    ${column.name}: ${typeOf(column)}\n`).join('')}  }\n`,
  )
  return `// Made from the migrations by scripts/schema-types.ts: run "npm run schema-types" after changing them.
import type { Generated } from 'kysely'
import type { JsonText } from '../json.ts'

/** The tables as queries read and write them. */
export interface Schema {
${tables.join('')}}
`
}

function typeOf({ table, name, type, nullable, generated, check }: Column): string {
  const element = type.replace(/\[\]$/, '')
  const plain = typescript[element]
  if (plain === undefined) throw new Error(`${table}.${name} has the type ${type}: add what the driver turns it into`)
  const values = check === null ? [] : [...check.matchAll(/'([^']*)'::text/g)].map(([, value]) => `'${value}'`)
  const one = values.length === 0 ? plain : values.join(' | ')
  const whole = `${type === element ? one : `readonly ${one}[]`}${nullable && one !== 'unknown' ? ' | null' : ''}`
  return generated ? `Generated<${whole}>` : whole
}
