import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { InjectOptions } from 'fastify'
import pg from 'pg'
import { type App, type AppOptions, createApp } from '../src/app.ts'
import { type Config, loadConfig } from '../src/config.ts'
import { createAccessTokens } from '../src/identity/access-token.ts'
import { createPasswords, type Passwords } from '../src/identity/accounts/passwords.ts'
import type { Clock } from '../src/platform/clock.ts'
import type { Connection, Db, DbOptions } from '../src/platform/database/db.ts'
import { createLog, type Logger } from '../src/platform/log.ts'
import type { Sample } from '../src/samples.ts'
import { sampleAdmin, sampleReviewer, seed } from '../src/seed.ts'
import { createReplyChecker } from './openapi-check.ts'

/** A PostgreSQL that only this test file uses while it runs, with a migrated database to clone. */
export interface TestServer {
  readonly connection: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
  }
  readonly template: string
}

let server: TestServer | undefined

/** `scripts/test.ts` starts as many servers as it runs files at once. Each file takes a free one until its process ends. */
export function testServer(): TestServer {
  server ??= takeServer()
  return server
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function takeServer(): TestServer {
  const servers = JSON.parse(process.env.HITL_TEST_SERVERS ?? '[]') as readonly (TestServer & { taken: string })[]
  for (const { taken, ...free } of servers) {
    try {
      // A process that was killed cannot give its server back.
      if (existsSync(taken) && !isRunning(Number(readFileSync(taken, 'utf8')))) rmSync(taken, { force: true })
      writeFileSync(taken, String(process.pid), { flag: 'wx' })
    } catch {
      continue
    }
    process.once('exit', () => rmSync(taken, { force: true }))
    return free
  }
  throw new Error('Run tests with "npm test", or one file with "npm test -- path/to/file.test.ts".')
}

/** The test server's superuser; it takes the same password. */
const superuser = 'postgres'

export interface TestDatabase {
  readonly connection: Connection
  drop(): Promise<void>
}

/** A database of its own for one test file: a copy of the migrated template, dropped at the end. */
export const cloneDatabase = (): Promise<TestDatabase> => createDatabase(testServer().template)

/** A database without any table, for tests of the migrations. */
export const createEmptyDatabase = (): Promise<TestDatabase> => createDatabase('template0')

async function createDatabase(template: string): Promise<TestDatabase> {
  const { connection } = testServer()
  const database = `test_${randomUUID().replaceAll('-', '')}`
  const administer = async (statement: string, user = connection.user): Promise<void> => {
    const client = new pg.Client({ ...connection, user, database: 'postgres' })
    await client.connect()
    try {
      // Clones take turns, because two at once would find the template in use.
      await client.query('select pg_advisory_lock(4711)')
      await client.query(statement)
    } finally {
      await client.end()
    }
  }
  // Copying the files takes a tenth of the time of the default strategy, which writes them to the WAL.
  await administer(`create database ${database} template ${template} strategy file_copy`)
  return {
    connection: { ...connection, database },
    // As the superuser: a superuser connection of the test may still be closing, and only a superuser may terminate it.
    drop: () => administer(`drop database ${database} with (force)`, superuser),
  }
}

/** Time stands still until a test moves it. */
export interface FakeClock extends Clock {
  advance(ms: number): void
}

export function createFakeClock(start = new Date()): FakeClock {
  let now = start.getTime()
  return {
    now: () => new Date(now),
    advance: (ms) => {
      now += ms
    },
  }
}

/** Of one agent, and three requests that ask for nothing in particular: what tests find beside their own. */
const plainSamples: readonly Sample[] = [
  { title: 'Delete 3 unused volumes?', context: { volumes: ['vol-1', 'vol-2', 'vol-3'], monthly_cost: 42.5 } },
  { title: 'Refund order 4711?', context: { order: 4711, amount: '89.90', currency: 'EUR' } },
  { title: 'Send the newsletter?', context: { subject: 'What is new in spring', links_checked: true } },
].map((asks) => ({ by: 'sample-agent', asks: { ...asks, timeout_minutes: null } }))

export const secretKey = 'a test key that is long enough and in no use elsewhere'

/** The service's configuration with test defaults; `environment` overrides single variables. */
export function testConfig(environment: Readonly<Record<string, string>> = {}): Config {
  const defaults = {
    NODE_ENV: 'test',
    PORT: '0',
    LOG_LEVEL: 'silent',
    CALLBACK_ALLOW: '127.0.0.0/8,::1',
    DATABASE_POOL: '5',
    // Tests that call every operation do not wait.
    LONGEST_WAIT_SECONDS: '0',
  }
  return loadConfig({ ...defaults, ...environment }, '/nonexistent/.env')
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number | readonly string[] | undefined>>
  readonly text: string
  /** The parsed body; undefined if it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
  readonly body: any
}

export interface CallOptions {
  /** An access token or an API key. Default: none. */
  readonly as?: string
  /** JSON, or a form. */
  readonly body?: unknown
  /** Bytes to send instead of `body`. */
  readonly payload?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

export interface TestApp {
  readonly app: App
  readonly clock: FakeClock
  readonly connection: Connection
  readonly organizationId: string
  readonly admin: { readonly id: string; readonly sessionId: string; readonly token: string }
  readonly reviewer: { readonly id: string; readonly sessionId: string; readonly token: string }
  readonly apiKey: string
  /** Calls the app in this process, and checks every reply against the OpenAPI document. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>
  /** Creates a pending request with the sample key. */
  createRequest(fields?: Readonly<Record<string, unknown>>): Promise<Reply['body']>
  /** Rows of a query on this test's own database. */
  sql(query: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  stop(): Promise<void>
}

export interface TestAppOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly clock?: FakeClock
  /** Default: hashing at the lowest cost. Tests that depend on the real cost pass `createPasswords()`. */
  readonly passwords?: Passwords
  readonly log?: Logger
  /** Wraps the database. */
  readonly openDb?: (options: DbOptions) => Db
  /** As if the database were embedded in this folder. */
  readonly space?: Pick<AppOptions, 'dataDir' | 'readSpace'>
  /** Start the background workers instead of leaving the work to `app.drain()`. By default only mail is sent: tests wait for it at the relay. */
  readonly workers?: boolean
}

/** Opens a session as a sign-in with a password does, but one that lasts for centuries. Returns its id. */
export async function openTestSession(sql: TestApp['sql'], organizationId: string, userId: string): Promise<string> {
  const id = randomUUID()
  await sql(
    `insert into sessions (id, account_id, organization_id, user_id, kind, signed_in_with, signed_in_at, last_used_at,
       idle_until, expires_at)
     select $1, account_id, organization_id, id, 'bearer', '{password}', now(), now(), '2900-01-01', '2900-01-01'
     from users where organization_id = $2 and id = $3`,
    [id, organizationId, userId],
  )
  return id
}

/** The committed document, because making it takes as long as the rest of a start; `npm run check` fails when it drifts. */
const document = JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8'))
const check = createReplyChecker(document)

/** A reply to POST /auth/password/forgot takes more than a second otherwise. */
const deferral = { leastMs: 0, mostMs: 1, tickMs: 1 }

/** All of a reply, or only the beginning of one that may not end. */
async function textOf(stream: Readable, isEndless: boolean): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer)
    if (isEndless) break
  }
  return Buffer.concat(chunks).toString()
}

/** The real app on a real database of its own, with the sample accounts, one API key and the three sample requests. */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const database = await cloneDatabase()
  const clock = options.clock ?? createFakeClock()
  const config = testConfig(options.environment)
  const log = options.log ?? createLog(config.LOG_LEVEL, false)
  const { passwords = createPasswords({ cost: 4 }) } = options
  const opening = options.openDb === undefined ? {} : { openDb: options.openDb }
  const app = await createApp({
    config,
    secretKey,
    connection: database.connection,
    log,
    clock,
    passwords,
    deferral,
    ...opening,
    ...options.space,
  })
  const { apiKey } = await seed(app, plainSamples)
  // As the superuser, who is exempt from row-level security, so that tests see every row.
  const client = new pg.Client({ ...database.connection, user: superuser })
  await client.connect()
  const sql: TestApp['sql'] = async (query, values = []) => (await client.query(query, [...values])).rows
  const signingKeys = config.ACCESS_TOKEN_ALGORITHM === 'EdDSA' ? app.identity.signingKeys : null
  const tokens = createAccessTokens(secretKey, config.ACCESS_TOKEN_EXPIRE_MINUTES, { signingKeys })
  const person = async (email: string) => {
    const [row] = await sql('select organization_id, id from users where email_key = $1', [email])
    assert.ok(row)
    const { organization_id: organizationId, id: userId } = row as { organization_id: string; id: string }
    const sessionId = await openTestSession(sql, organizationId, userId)
    const { token } = await tokens.sign({ organizationId, userId, sessionId }, clock.now())
    return { organizationId, id: userId, sessionId, token }
  }
  const admin = await person(sampleAdmin)
  const reviewer = await person(sampleReviewer)

  const call: TestApp['call'] = async (method, path, { as, body: given, payload, headers: named = {} } = {}) => {
    // A form, encoded.
    const form = given instanceof FormData ? new Response(given) : null
    const body = form === null ? given : undefined
    const headers = { ...named, ...(form === null ? {} : { 'content-type': String(form.headers.get('content-type')) }) }
    const injected: InjectOptions = {
      method: method as 'GET',
      url: path,
      headers: {
        ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    }
    const encoded = form === null ? payload : Buffer.from(await form.arrayBuffer())
    const sent = encoded ?? (body === undefined ? undefined : JSON.stringify(body))
    const answer = await app.http.inject({
      ...injected,
      ...(sent === undefined ? {} : { payload: sent }),
      payloadAsStream: true,
    })
    const type = String(answer.headers['content-type'])
    const text = await textOf(answer.stream(), type.startsWith('text/event-stream'))
    const isJson = /^application\/(?:[\w.-]+\+)?json\b/.test(type)
    const reply = {
      status: answer.statusCode,
      headers: answer.headers,
      text,
      body: isJson && text !== '' ? JSON.parse(text) : undefined,
    }
    check(method, path, reply)
    return reply
  }

  if (options.workers === true) app.startWorkers()
  else if (options.workers !== false) for (const loop of app.letters.loops) loop.start()
  return {
    app,
    clock,
    connection: database.connection,
    organizationId: admin.organizationId,
    admin,
    reviewer,
    apiKey,
    call,
    createRequest: async (fields = {}) => {
      const reply = await call('POST', '/api/v1/requests', {
        as: apiKey,
        body: { title: 'May I?', context: {}, ...fields },
      })
      assert.equal(reply.status, 201, reply.text)
      return reply.body
    },
    sql,
    stop: async () => {
      await client.end()
      await app.stop()
      await database.drop()
    },
  }
}
