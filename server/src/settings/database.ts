import { databaseTransport } from '../platform/database/transport.ts'
import { isProduction, type ServiceSettings } from './service.ts'
import { flag, integer, optional, path, type Rule, secret, type Values } from './setting.ts'

const databaseUrl = (value: string): string => {
  if (!URL.canParse(value) || !/^postgres(ql)?:$/.test(new URL(value).protocol)) {
    throw new Error('must look like postgres://user:password@host:5432/database')
  }
  return value
}

export const databaseSettings = {
  DATA_DIR: path('Where the embedded database and generated secrets live.', './data'),
  DATA_DIR_FREE_MEBIBYTES: integer(
    'With less free space than this beside the embedded database, the log and /health say so.',
    1_024,
    0,
    16_777_216,
  ),
  DATABASE_URL: secret(
    optional(
      'An external PostgreSQL 15 to 18; unset: the embedded one. TLS: ?sslmode=verify-full.',
      'postgres://hitl:password@db:5432/hitl',
      databaseUrl,
    ),
  ),
  DATABASE_CA: optional(
    "File with the database's certificate authority, for sslmode=verify-full.",
    '/run/secrets/db-ca.pem',
  ),
  DATABASE_INSECURE: flag(
    'true lets production reach a database on another machine without verified TLS, over a network that you trust.',
    false,
  ),
  DATABASE_POOL: integer('Connections per process.', 10, 2, 200),
  DATABASE_PREPARE: flag('false behind a transaction-mode pooler that cannot keep prepared statements.', true),
  DATABASE_STATEMENT_SECONDS: integer('A statement that takes longer is stopped.', 10, 1, 600),
}

export type DatabaseSettings = Values<typeof databaseSettings>

export const databaseRules = (values: DatabaseSettings & ServiceSettings): readonly Rule[] => {
  const { DATABASE_URL, DATABASE_CA } = values
  if (DATABASE_URL === null) {
    return [[DATABASE_CA !== null, 'DATABASE_CA is for an external database: set DATABASE_URL too']]
  }
  try {
    const transport = databaseTransport(DATABASE_URL, DATABASE_CA)
    const isSafe = transport === 'local' || transport === 'verified'
    const how = transport === 'plain' ? 'without TLS' : 'with TLS but no check of its certificate'
    return [
      [
        isProduction(values) && !values.DATABASE_INSECURE && !isSafe,
        `DATABASE_URL leads to another machine ${how}, which production refuses: add ?sslmode=verify-full (and DATABASE_CA if you run your own certificate authority), or allow it with DATABASE_INSECURE=true if you trust the network in between`,
      ],
    ]
  } catch (error) {
    return [[true, `DATABASE_URL cannot be used: ${(error as Error).message}`]]
  }
}
