import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { parseAllowList } from './outbound/target-guard.ts'
import { databaseTransport } from './platform/database/transport.ts'
import { parseRateLimit, type RateLimit } from './platform/limits/rate-limit.ts'
import { parseNetworks } from './platform/network-address.ts'
import { type KeyEncryptionKey, parseKeyEncryptionKeys } from './platform/secrets/key-encryption.ts'
import { type Mailbox, type Relay, readMailbox, readSmtpUrl } from './platform/smtp-settings.ts'

/** One environment variable: how it is read, and what `.env.example` says of it. */
interface Setting<T> {
  readonly about: string
  readonly example: string
  /** Throws an Error whose message completes "NAME ...". */
  readonly read: (text: string) => T
  readonly fallback: T
  readonly secret?: true
}

const text = (about: string, fallback: string, example = fallback): Setting<string> => ({
  about,
  example,
  fallback,
  read: (value) => value,
})

const optional = (about: string, example: string, read = (value: string) => value): Setting<string | null> => ({
  about,
  example,
  fallback: null,
  read,
})

const secret = (about: string, example: string): Setting<string | null> => ({
  ...optional(about, example),
  secret: true,
})

const integer = (about: string, fallback: number, min: number, max: number): Setting<number> => ({
  about,
  example: String(fallback),
  fallback,
  read: (value) => {
    const number = Number(value)
    if (!/^\d+$/.test(value) || number < min || number > max)
      throw new Error(`must be a whole number from ${min} to ${max}`)
    return number
  },
})

const oneOf = <const T extends string>(about: string, fallback: NoInfer<T>, allowed: readonly T[]): Setting<T> => ({
  about: `${about} One of: ${allowed.join(', ')}.`,
  example: fallback,
  fallback,
  read: (value) => {
    const found = allowed.find((option) => option === value)
    if (found === undefined) throw new Error(`must be one of ${allowed.join(', ')}`)
    return found
  },
})

const flag = (about: string, fallback: boolean): Setting<boolean> => ({
  about,
  example: String(fallback),
  fallback,
  read: (value) => {
    if (value !== 'true' && value !== 'false') throw new Error('must be true or false')
    return value === 'true'
  },
})

const list = (
  about: string,
  example: string,
  check: (entries: readonly string[]) => void = () => {},
): Setting<readonly string[]> => ({
  about,
  example,
  fallback: [],
  read: (value) => {
    const entries = value
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
    check(entries)
    return entries
  },
})

const rateLimit = (about: string, fallback: string): Setting<RateLimit | null> => ({
  about,
  example: fallback,
  fallback: parseRateLimit(fallback),
  read: parseRateLimit,
})

const httpUrl = (value: string): string => {
  const url = URL.canParse(value) ? new URL(value) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error('must be an http:// or https:// URL')
  return value.replace(/\/+$/, '')
}

const databaseUrl = (value: string): string => {
  if (!URL.canParse(value) || !/^postgres(ql)?:$/.test(new URL(value).protocol)) {
    throw new Error('must look like postgres://user:password@host:5432/database')
  }
  return value
}

/** Every setting of the service: the only description there is. `.env.example` is held to it by a test. */
export const settings = {
  NODE_ENV: oneOf('How strict the start is.', 'development', ['development', 'test', 'production']),
  PORT: integer('Port of the web server.', 8_000, 0, 65_535),
  HOST: text('Address to listen on; 0.0.0.0 for all (as in the image).', '127.0.0.1'),
  PUBLIC_URL: optional(
    'Where people reach the service, for links; default: http://HOST:PORT.',
    'https://hitl.example.com',
    httpUrl,
  ),
  ROLE: oneOf('api answers calls, worker delivers callbacks and timeouts, all does both.', 'all', [
    'all',
    'api',
    'worker',
  ]),
  WORKERS: integer('Processes that share the port.', 1, 1, 64),
  DATA_DIR: text('Where the embedded database and generated secrets live.', './data'),
  DATABASE_URL: {
    ...optional(
      'An external PostgreSQL 15 to 18; unset: the embedded one. TLS: ?sslmode=verify-full.',
      'postgres://hitl:password@db:5432/hitl',
      databaseUrl,
    ),
    secret: true,
  } as Setting<string | null>,
  DATABASE_CA: optional(
    'File with the certificate authority of the database, for sslmode=verify-full.',
    '/run/secrets/db-ca.pem',
  ),
  DATABASE_INSECURE: flag(
    'true lets production reach a database on another machine without verified TLS, over a network that you trust.',
    false,
  ),
  DATABASE_POOL: integer('Connections per process.', 10, 2, 200),
  DATABASE_PREPARE: flag('false behind a transaction-mode pooler that cannot keep prepared statements.', true),
  DATABASE_STATEMENT_SECONDS: integer('A statement that takes longer is stopped.', 10, 1, 600),
  SECRET_KEY: secret(
    'Signs access tokens and encrypts callback secrets; at least 32 characters. Generated into DATA_DIR when unset.',
    'openssl rand -base64 48',
  ),
  SECRET_KEY_PREVIOUS: secret(
    'The SECRET_KEY before: its tokens and sealed values stay good until it is taken away.',
    'the former SECRET_KEY',
  ),
  KEY_ENCRYPTION_KEYS: {
    about:
      'Keys that protect the stored secrets, id:base64 each, the first one current; default: one made from SECRET_KEY.',
    example: 'k2:dGhpcyBpcyBhbiBleGFtcGxlOiBtYWtlIGFub3RoZXI=,k1:YW5kIHRoaXMgaXMgdGhlIG9uZSBpdCByZXBsYWNlcy4=',
    fallback: [],
    read: parseKeyEncryptionKeys,
    secret: true,
  } as Setting<readonly KeyEncryptionKey[]>,
  ACCESS_TOKEN_EXPIRE_MINUTES: integer('Life of an access token.', 30, 1, 1_440),
  ACCESS_TOKEN_ALGORITHM: oneOf(
    'EdDSA: access tokens are signed with rotating keys that anybody can check at /.well-known/jwks.json.',
    'HS256',
    ['HS256', 'EdDSA'],
  ),
  CERTIFICATE_HOURS: integer('How long an approval may be carried out, once.', 24, 1, 8_760),
  SESSION_IDLE_MINUTES: integer('A browser that was not used for so long has to sign in again.', 10_080, 5, 525_600),
  SESSION_MAX_MINUTES: integer("A browser's session ends after so long, however much it is used.", 43_200, 5, 525_600),
  STEP_UP_FRESH_MINUTES: integer(
    'A sign-in this fresh is proof enough for sensitive acts of people who have no second factor; 0: never.',
    10,
    0,
    1_440,
  ),
  REGISTRATION: oneOf('Who may make an account (open: always as reviewer).', 'invite', ['invite', 'open', 'closed']),
  ADMIN_EMAIL: optional('First admin, made at the start when it does not exist.', 'admin@example.com'),
  ADMIN_PASSWORD: secret("First admin's password, 8 to 72 bytes.", 'choose your own'),
  CORS_ORIGINS: list(
    'Browser origins whose pages may call the API with a bearer token, comma separated; * for all.',
    'https://app.example.com',
  ),
  TRUSTED_PROXIES: list(
    'CIDRs of reverse proxies whose X-Forwarded-For is believed.',
    '10.0.0.0/8',
    (entries) => void parseNetworks(entries),
  ),
  RATE_LIMIT_KEY: rateLimit('Calls per seconds of one API key; off: no limit.', '1000000/60'),
  RATE_LIMIT_PERSON: rateLimit('Calls per seconds of one person; off: no limit.', '1000000/60'),
  RATE_LIMIT_ADDRESS: rateLimit(
    'Calls per seconds without valid credentials from one network (IPv4 address, IPv6 /64); off: no limit.',
    '3000/60',
  ),
  BODY_LIMIT_BYTES: integer('Largest request body.', 1_048_576, 1_024, 67_108_864),
  REQUEST_TIMEOUT_SECONDS: integer(
    'A call must have arrived completely within this time; who takes nothing of an export for as long is let go.',
    30,
    1,
    600,
  ),
  CALLBACK_ALLOW: list(
    'CIDRs and hosts beyond the public internet that callbacks may go to.',
    '10.1.0.0/16,agent.internal',
    (entries) => void parseAllowList(entries),
  ),
  CALLBACK_RETRY_SECONDS: {
    about: 'Waits before each retry of a callback; as many retries as entries.',
    example: '2,4,8',
    fallback: [2, 4, 8],
    read: readSeconds,
  } as Setting<readonly number[]>,
  CALLBACK_TIMEOUT_SECONDS: integer('Whole time of one attempt: look-up, connection, TLS, headers, body.', 15, 1, 300),
  SMTP_URL: {
    about: 'Mail relay, smtps:// or smtp:// (then with STARTTLS, but on this machine); unset: no mail is sent.',
    example: 'smtps://user:password@mail.example.com',
    fallback: null,
    read: readSmtpUrl,
    secret: true,
  } as Setting<Relay | null>,
  SMTP_CA: optional('File with the certificate authority of the mail relay.', '/run/secrets/mail-ca.pem'),
  MAIL_FROM: {
    about: 'Sender of mail: an address, or Name <address>.',
    example: 'HITL <hitl@example.com>',
    fallback: null,
    read: readMailbox,
  } as Setting<Mailbox | null>,
  SSO_ALLOW: list(
    'CIDRs and hosts beyond the public internet where identity providers may be.',
    '10.2.0.0/16,accounts.internal',
    checkSsoAllow,
  ),
  SSO_CA: optional('File with the certificate authority of identity providers.', '/run/secrets/sso-ca.pem'),
  AUDIT_HEADS_FILE: optional(
    "File that each signed head of the audit is appended to; best on a disk that the database's administrators cannot write.",
    '/var/log/hitl/audit-heads.jsonl',
  ),
  AUDIT_HEADS_URL: optional(
    'URL that signed heads of the audit are posted to; in your own network it needs CALLBACK_ALLOW too.',
    'https://notary.example.com/hitl',
    httpUrl,
  ),
  SHUTDOWN_GRACE_SECONDS: integer('How long a stop waits for calls and deliveries under way.', 20, 0, 600),
  DEMO: flag('Sample accounts, an API key and sample requests at the start. Refused in production.', false),
  LOG_LEVEL: oneOf('How much is logged.', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
} as const satisfies Record<string, Setting<unknown>>

type Values = { readonly [Name in keyof typeof settings]: ReturnType<(typeof settings)[Name]['read']> }

export interface Config extends Values {
  /** No trailing slash. */
  readonly publicUrl: string
  readonly production: boolean
}

/** Raised with every mistake at once; `main.ts` prints it and exits with 78 (EX_CONFIG of sysexits.h). */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(
      `The configuration has ${mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`}:\n- ${mistakes.join('\n- ')}`,
    )
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

/** Reads the environment, `.env` behind it, and `NAME_FILE` for every setting. Throws ConfigError. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env, envFile = '.env'): Config {
  const mistakes: string[] = []
  const source = { ...readEnvFile(envFile, mistakes), ...environment }
  const entries = Object.entries(settings).map(([name, setting]: [string, Setting<unknown>]) => {
    try {
      const given = givenValue(source, name)
      return [name, given === null ? setting.fallback : setting.read(given)]
    } catch (error) {
      const { message } = error as Error
      mistakes.push(message.startsWith(name) ? message : `${name} ${message}`)
      return [name, setting.fallback]
    }
  })
  const values = Object.fromEntries(entries) as Values
  const production = values.NODE_ENV === 'production'
  mistakes.push(...contradictions(values, production))
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  const host = ['0.0.0.0', '::', '127.0.0.1', '::1'].includes(values.HOST) ? 'localhost' : values.HOST
  const publicUrl = values.PUBLIC_URL ?? `http://${host}:${values.PORT}`
  // The demo's receiver is on this machine.
  const loopback = values.DEMO ? ['127.0.0.0/8', '::1', 'localhost'] : []
  const CALLBACK_ALLOW = [...values.CALLBACK_ALLOW, ...loopback]
  return Object.freeze({ ...values, CALLBACK_ALLOW, DATA_DIR: resolve(values.DATA_DIR), publicUrl, production })
}

/** What was given, unread: `config check` tells from it where a value comes from, and which names are misspelt. */
export function givenSettings(environment: NodeJS.ProcessEnv = process.env, envFile = '.env') {
  return { environment, fromFile: readEnvFile(envFile, []) }
}

/** No file is fine; one that cannot be read is a mistake, because the service would start with other settings. */
function readEnvFile(path: string, mistakes: string[]): NodeJS.ProcessEnv {
  try {
    return parseEnv(readFileSync(path, 'utf8')) as NodeJS.ProcessEnv
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      mistakes.push(`${path} cannot be read: ${(error as Error).message}`)
    }
    return {}
  }
}

/** An empty value is an unset one: compose files pass empty strings for what is not set. */
function givenValue(source: NodeJS.ProcessEnv, name: string): string | null {
  const direct = source[name]?.trim() ?? ''
  const file = source[`${name}_FILE`]?.trim() ?? ''
  if (direct !== '' && file !== '') throw new Error(`is set twice, directly and by ${name}_FILE: keep one`)
  if (file === '') return direct === '' ? null : direct
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new Error(`cannot be read from ${name}_FILE: ${(error as Error).message}`)
  }
}

/** Published sample values: whoever reads this repository, or a tutorial, knows them. */
const knownSecrets = /^(secret|change|your|example|sample|test|default|password|supersecret|insecure|please)|(.)\2{15}/i

/** The rules between settings. */
function contradictions(values: Values, production: boolean): readonly string[] {
  const mistakes: string[] = []
  const key = values.SECRET_KEY
  if (key === null && production && values.DATABASE_URL !== null) {
    mistakes.push(
      'SECRET_KEY is required in production with an external database: make one with "openssl rand -base64 48"',
    )
  }
  if (key !== null && key.length < 32) {
    mistakes.push('SECRET_KEY must have at least 32 characters: make one with "openssl rand -base64 48"')
  } else if (key !== null && production && knownSecrets.test(key)) {
    mistakes.push('SECRET_KEY is a sample value that others know: make one with "openssl rand -base64 48"')
  }
  if (production && values.KEY_ENCRYPTION_KEYS.some(({ key }) => /^[ -~]+$/.test(key.export().toString('latin1')))) {
    mistakes.push('KEY_ENCRYPTION_KEYS has a key that is text, not random: make it with "openssl rand -base64 32"')
  }
  if ((values.ADMIN_EMAIL === null) !== (values.ADMIN_PASSWORD === null)) {
    mistakes.push('ADMIN_EMAIL and ADMIN_PASSWORD belong together: set both or none')
  }
  if (values.ADMIN_EMAIL !== null && !/^[^\s@]+@[^\s@]+$/.test(values.ADMIN_EMAIL)) {
    mistakes.push('ADMIN_EMAIL must be an email address')
  }
  const passwordBytes = Buffer.byteLength(values.ADMIN_PASSWORD ?? 'none set')
  if (passwordBytes < 8 || passwordBytes > 72) mistakes.push('ADMIN_PASSWORD must be 8 to 72 bytes long')
  if (production && values.ADMIN_PASSWORD === 'password123') {
    mistakes.push('ADMIN_PASSWORD is the sample password that others know: choose your own')
  }
  if (production && values.DEMO)
    mistakes.push('DEMO must be false in production: it makes accounts with known passwords')
  if (values.SMTP_URL !== null && values.MAIL_FROM === null) {
    mistakes.push('MAIL_FROM is needed with SMTP_URL: name the address that mail comes from')
  }
  if (values.DATABASE_CA !== null && values.DATABASE_URL === null) {
    mistakes.push('DATABASE_CA is for an external database: set DATABASE_URL too')
  }
  if (values.DATABASE_URL !== null) mistakes.push(...databaseMistakes(values.DATABASE_URL, values, production))
  return mistakes
}

function databaseMistakes(url: string, { DATABASE_CA, DATABASE_INSECURE }: Values, production: boolean) {
  try {
    const transport = databaseTransport(url, DATABASE_CA)
    if (!production || DATABASE_INSECURE || transport === 'local' || transport === 'verified') return []
    const how = transport === 'plain' ? 'without TLS' : 'with TLS to whoever answers'
    return [
      `DATABASE_URL leads to another machine ${how}, which production refuses: add ?sslmode=verify-full, and DATABASE_CA where its authority is your own; or allow it with DATABASE_INSECURE=true where you trust the network in between`,
    ]
  } catch (error) {
    return [`DATABASE_URL cannot be used: ${(error as Error).message}`]
  }
}

/** The list is read as the one of callbacks is, which names itself in its errors. */
function checkSsoAllow(entries: readonly string[]): void {
  try {
    parseAllowList(entries)
  } catch (error) {
    throw new Error((error as Error).message.replace('CALLBACK_ALLOW', 'SSO_ALLOW'))
  }
}

function readSeconds(value: string): readonly number[] {
  const waits = value.split(',').map((entry) => entry.trim())
  if (waits.length > 20 || waits.some((wait) => !/^\d{1,6}$/.test(wait) || Number(wait) > 604_800)) {
    throw new Error('must be at most 20 whole numbers of seconds (a week at most each), such as 2,4,8')
  }
  return waits.map(Number)
}
