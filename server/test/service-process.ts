import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import pg from 'pg'
import { eventually } from './eventually.ts'
import { cloneDatabase, type TestDatabase } from './harness.ts'

export const program = join(import.meta.dirname, '../src/main.ts')

const { PATH = '', HOME = '', NODE_COMPILE_CACHE = '' } = process.env
/** The variables that a process of the service inherits. */
export const passedOn = { PATH, HOME, NODE_COMPILE_CACHE }

export interface ServiceOptions {
  /** Added to a small test environment; of the caller's environment the service gets only `passedOn`. */
  readonly environment?: Readonly<Record<string, string>>
  /** The folder it is started in, where it looks for `.env`. */
  readonly cwd: string
  readonly command?: 'serve' | 'migrate' | 'seed'
  /** Arguments after the command. */
  readonly more?: readonly string[]
  /** main.ts of another copy of the service. */
  readonly main?: string
  /** For Node. */
  readonly flags?: readonly string[]
}

/** A real process of the service. */
export interface ServiceProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** Its output so far. */
  readonly stdout: string
  readonly stderr: string
  /** Its log lines so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[]
  /** Resolves with the exit code, or the signal's name, once all its output is there. */
  readonly exited: Promise<number | string>
  /** Sends a signal to this one process and waits for its end. */
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | string>
}

export function startService(options: ServiceOptions): ServiceProcess {
  const environment = { NODE_ENV: 'test', LOG_LEVEL: 'info', CALLBACK_ALLOW: '127.0.0.0/8', ...options.environment }
  const args = [...(options.command === undefined ? [] : [options.command]), ...(options.more ?? [])]
  const child = spawn(
    process.execPath,
    ['--no-deprecation', ...(options.flags ?? []), options.main ?? program, ...args],
    {
      cwd: options.cwd,
      env: { ...passedOn, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  // `close` and not `exit`, because the last lines come in between.
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  return {
    child,
    pid: child.pid ?? 0,
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
    get log() {
      const lines = stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
      return lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    },
    exited,
    end: (signal) => {
      child.kill(signal)
      return exited
    },
  }
}

/** Waits until the service accepts calls. Fails if it ends instead, or after 30 s. */
export async function untilReady(service: ServiceProcess, url: string): Promise<void> {
  let ended: number | string | undefined
  void service.exited.then((code) => {
    ended = code
  })
  const answers = () =>
    request(url, 'GET', '/readyz').then(
      (reply) => reply.status === 200,
      () => false,
    )
  await eventually('the service is ready', async () => {
    assert.equal(ended, undefined, `it ended with ${ended}\n${service.stderr}\n${service.stdout.slice(-4_000)}`)
    return answers()
  })
}

export interface HttpReply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
  readonly body: any
}

/** A call over a real connection, by default a new one. Rejects if there is no complete reply within 10 s. */
export async function request(
  url: string,
  method: string,
  path: string,
  options: { readonly as?: string; readonly body?: unknown; readonly agent?: Agent; readonly key?: string } = {},
): Promise<HttpReply> {
  const { as, body, agent = false, key } = options
  const sent = body === undefined ? '' : JSON.stringify(body)
  const send = url.startsWith('https:') ? httpsRequest : httpRequest
  const call = send(`${url}${path}`, {
    method,
    agent,
    headers: {
      ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
      ...(sent === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    signal: AbortSignal.timeout(10_000),
  }).end(sent)
  const [answer] = (await once(call, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const isJson = /\bjson\b/.test(answer.headers['content-type'] ?? '')
  return { status: answer.statusCode ?? 0, body: isJson ? JSON.parse(text) : text }
}

/** An access token, over HTTP. */
export async function login(url: string, username: string, password: string): Promise<string> {
  const reply = await request(url, 'POST', '/api/v1/auth/login', { body: { username, password } })
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  return reply.body.access_token
}

/** The pid of the embedded PostgreSQL of this data folder; 0 when none is running. */
export async function postmasterOf(dataDir: string): Promise<number> {
  const text = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(text.split('\n')[0])
  return (await isRunning(pid)) ? pid : 0
}

/** Whether the process exists. A zombie does not count. */
export async function isRunning(pid: number): Promise<boolean> {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  if (process.platform !== 'linux') return true
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return status !== '' && !/\) Z /.test(status)
}

/** The environment that makes a service use this database. */
export function databaseEnvironment({ host, port, user, password, database }: TestDatabase['connection']) {
  const url = new URL(`postgres://localhost/${database}`)
  url.searchParams.set('host', String(host))
  url.searchParams.set('port', String(port))
  url.searchParams.set('user', String(user))
  url.searchParams.set('password', String(password))
  return { DATABASE_URL: url.href }
}

/** A database on the test server, and the environment that makes a service use it. Faster than a separate cluster. */
export async function externalDatabase() {
  const database = await cloneDatabase()
  const sql = async (query: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> => {
    // As the superuser, who is exempt from row-level security.
    const client = new pg.Client({ ...database.connection, user: 'postgres' })
    await client.connect()
    const { rows } = await client.query(query, [...values])
    await client.end()
    return rows
  }
  return { ...database, sql, environment: databaseEnvironment(database.connection) }
}
