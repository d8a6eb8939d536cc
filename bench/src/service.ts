import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const startPatienceMs = 120_000
const stopPatienceMs = 60_000

export interface Service {
  readonly url: string
  readonly apiKey: string
  readonly reviewer: { readonly email: string; readonly password: string }
  readonly pid: number
  readonly dataDir: string
}

export interface StartedService {
  /** Resolves once the service listens. Rejects with the end of its log if it does not start. */
  readonly listening: Promise<Service>
  /** Shuts down the service, and PostgreSQL with it. */
  stop(): Promise<void>
}

/**
 * Starts the service as a user would, with sample data, its own data folder and a log file. Detached, because Ctrl-C would
 * reach it too, and on a second signal it exits without stopping PostgreSQL.
 */
export async function startService(folder: string): Promise<StartedService> {
  const dataDir = join(folder, 'data')
  const logFile = join(folder, 'service.log')
  await mkdir(dataDir)
  const port = await freePort()
  const log = await open(logFile, 'w')
  // An empty value means unset. The benchmark fills the database, so it must never be another one.
  const own = { DATA_DIR: dataDir, PORT: String(port), DEMO: 'true', DATABASE_URL: '', DATABASE_URL_FILE: '' }
  const child = spawn(process.execPath, await startArguments(), {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'development', ...own },
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  })
  const ended = once(child, 'exit')
  await log.close()
  return {
    listening: waitForStart(child, logFile, dataDir),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        const forced = setTimeout(() => child.kill('SIGKILL'), stopPatienceMs)
        await ended
        clearTimeout(forced)
      }
      await stopForsakenPostgres(dataDir)
    },
  }
}

async function waitForStart(child: ChildProcess, logFile: string, dataDir: string): Promise<Service> {
  const patienceEnds = performance.now() + startPatienceMs
  for (;;) {
    const text = await readFile(logFile, 'utf8')
    const url = /^ {2}Service\s+(\S+)$/m.exec(text)?.[1]
    const apiKey = /^ {2}Sample API key\s+(\S+)$/m.exec(text)?.[1]
    const [, email, password] = /and (\S+), password (\S+)$/m.exec(text) ?? []
    if (url !== undefined && apiKey !== undefined && email !== undefined && password !== undefined) {
      // `localhost` may mean ::1, where the service does not listen.
      const reachable = url.replace('localhost', '127.0.0.1')
      return { url: reachable, apiKey, reviewer: { email, password }, pid: child.pid ?? 0, dataDir }
    }
    const over = child.exitCode !== null || child.signalCode !== null || performance.now() > patienceEnds
    if (over) throw new Error(`The service did not start. The end of its log:\n${text.slice(-2_000)}`)
    await delay(50)
  }
}

/** If the service was killed, PostgreSQL is still running on a data folder that is about to be deleted. */
async function stopForsakenPostgres(dataDir: string): Promise<void> {
  const file = join(dataDir, 'postgres', 'postmaster.pid')
  const patienceEnds = performance.now() + stopPatienceMs
  for (let signalled = false; performance.now() < patienceEnds; signalled = true) {
    const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
    // PostgreSQL removes the file when it ends.
    if (!(pid > 0)) return
    if (!signalled) process.kill(pid, 'SIGINT')
    await delay(50)
  }
}

/** A reviewer's access token. */
export async function logIn({ url, reviewer }: Service): Promise<string> {
  const body = new URLSearchParams({ username: reviewer.email, password: reviewer.password })
  const reply = await fetch(`${url}/api/v1/auth/login`, { method: 'POST', body })
  if (reply.status !== 200) throw new Error(`The login returned ${reply.status}: ${await reply.text()}`)
  return ((await reply.json()) as { access_token: string }).access_token
}

/** The arguments that `npm start` passes to node: the flags, and the program as an absolute path. */
async function startArguments(): Promise<readonly string[]> {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }
  const [, ...words] = scripts.start.split(' ')
  return words.map((word) => (word.startsWith('-') ? word : join(root, word)))
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
