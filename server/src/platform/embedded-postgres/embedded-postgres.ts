/**
 * The PostgreSQL that comes with the service: started with the first process that needs it, stopped with the last.
 *
 * The server itself keeps track of the processes that use it. Each of them keeps one session open that holds a shared
 * advisory lock; the session ends with the process, even on kill -9, so there is no list to go stale. A process that leaves
 * releases its share and then tries to lock exclusively: if it succeeds, it was the last one and stops the server. If a new
 * process cannot get its share, the server is about to stop: it waits, then starts a new one.
 */
import { statfs } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { sessionName } from '../database/session-name.ts'
import { type Cluster, explained, prepareCluster } from './cluster.ts'
import {
  endLeftovers,
  findPostmaster,
  type Launch,
  launchPostmaster,
  type Postmaster,
  removeMisleadingPidFile,
  stopPostmaster,
  undurableSettings,
} from './process.ts'

/** A running server and this process's share in it. */
export interface EmbeddedPostgres {
  /** For the `pg` driver. `host` is a socket folder, or 127.0.0.1 on Windows. `user` owns `database`, no superuser. */
  readonly connection: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
    readonly database: string
  }
  /** True for one process at a time: the one that started the server, took it over from a killed one, or came next. */
  readonly owned: boolean
  /** The server's process. Changes when the server was killed and restarted. */
  readonly pid: number
  /** Gives up this process's share; the last process stops the server. Resolves when it is gone. */
  stop(): Promise<void>
}

interface Options {
  /** The cluster is `<dataDir>/postgres`, its password `<dataDir>/postgres-password`. Created when missing. */
  readonly dataDir: string
  /** Default true. False turns fsync off: for tests only. */
  readonly durable?: boolean
  readonly log: (line: string) => void
  /** Server settings over the standard ones. They apply when this process starts the server, not when it attaches. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A session holding a share of the server, and what it learned on the way in. */
interface Membership {
  readonly client: pg.Client
  readonly postmaster: Postmaster
  readonly first: boolean
}

const database = 'hitl'
const user = 'hitl'
// Advisory lock keys: two numbers that no other code of the service uses in the database `postgres`.
const shareLock = "hashtext('hitl server share'), 1"
const firstLock = "hashtext('hitl server share'), 2"
const setUpLock = "hashtext('hitl server share'), 3"

/** While nothing responds: long enough for a loaded machine to start or stop a server. */
const silentPatienceMs = 60_000
/** While it recovers after a crash: time to replay `max_wal_size` from a slow disk. */
const busyPatienceMs = 300_000
/** After this, a server that reports itself ready but cannot be reached has lost its socket file. */
const lostSocketMs = 3_000
/** Sessions of a killed server notice and leave within milliseconds, unless they compute. */
const leftoverMs = 3_000

/**
 * Start the embedded PostgreSQL, or attach to the one already running on this data folder.
 * @throws Error with a sentence for the operator: what is wrong, what to do, where the log is.
 */
export async function startEmbeddedPostgres(options: Options): Promise<EmbeddedPostgres> {
  const durable = options.durable ?? true
  const cluster = await prepareCluster(options.dataDir, durable, options.log)
  const settings = { ...(durable ? {} : undurableSettings), ...options.settings }
  const enter = () => join(cluster, settings, durable, options.log)
  const initial = await enter()
  const share = keepShare(initial, enter, options.log)
  let stopping: Promise<void> | undefined
  return {
    get connection() {
      const { host, port } = share.current().postmaster
      return { host, port, user, password: cluster.password, database }
    },
    get pid() {
      return share.current().postmaster.pid
    },
    owned: initial.first,
    stop() {
      stopping ??= share.leave().then((membership) => stopIfLast(cluster, membership, options.log))
      return stopping
    },
  }
}

/**
 * Keeps the share. Losing the session means that the server was killed, or stopped from outside (a service manager that
 * signals every process while the service still drains): join again, which starts the server when needed.
 */
function keepShare(initial: Membership, enter: () => Promise<Membership>, log: (line: string) => void) {
  let membership = initial
  let returning: Promise<void> | undefined
  const leaving = new AbortController()
  const watch = () => {
    // `end` follows every error; without a listener an error would end the process.
    membership.client
      .on('error', () => {})
      .once('end', () => {
        if (!leaving.signal.aborted) returning = comeBack()
      })
  }
  const comeBack = async () => {
    log('postgres: lost the server; connecting again')
    while (!leaving.signal.aborted) {
      try {
        membership = await enter()
        log(`postgres: connected again (pid ${membership.postmaster.pid})`)
        return watch()
      } catch (error) {
        log(`postgres: ${error instanceof Error ? error.message : error}`)
        await delay(5_000, undefined, { signal: leaving.signal }).catch(() => {})
      }
    }
  }
  watch()
  return {
    current: () => membership,
    leave: async () => {
      leaving.abort()
      await returning
      return membership
    },
  }
}

async function stopIfLast(cluster: Cluster, { client, postmaster }: Membership, log: (line: string) => void) {
  const last = await client
    .query(`select pg_advisory_unlock_shared(${shareLock})`)
    .then(() => client.query<{ got: boolean }>(`select pg_try_advisory_lock(${shareLock}) as got`))
    // Without a session there is no server to stop; if one runs after all, the next start takes it over.
    .then(
      ({ rows }) => rows[0]?.got === true,
      () => false,
    )
  try {
    if (!last) return log('postgres: left running, another process uses it or it has ended already')
    await stopPostmaster(cluster, postmaster.pid, log)
  } finally {
    await client.end().catch(() => {})
  }
}

/** Attaches, and starts the server when there is none. Each state that a crash can leave behind is one turn of this loop. */
async function join(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  durable: boolean,
  log: (line: string) => void,
): Promise<Membership> {
  const patience = startPatience(cluster)
  let launch: Launch | undefined
  for (;;) {
    const postmaster = await findPostmaster(cluster)
    const answer = postmaster?.host
      ? await attach(cluster, postmaster, durable).catch(async (error) => {
          if (launch?.pid === postmaster.pid) await stopPostmaster(cluster, postmaster.pid, log)
          throw error
        })
      : 'silent'
    if (typeof answer === 'object') return answer
    const { silentMs, readyButSilentMs } = patience.note(answer, postmaster)
    if (postmaster && readyButSilentMs > lostSocketMs) {
      log(`postgres: the server (pid ${postmaster.pid}) cannot be reached, its socket is gone; restarting it`)
      await stopPostmaster(cluster, postmaster.pid, log)
    }
    const failure = launch?.failure()
    if (failure !== undefined) {
      launch = undefined
      if ((await passesByItself(failure, cluster)) === 'leftovers' && silentMs > leftoverMs)
        await endLeftovers(cluster, log)
    } else if (!postmaster && !launch) {
      await removeMisleadingPidFile(cluster)
      launch = await launchPostmaster(cluster, settings).catch((error) => {
        throw explained(error, cluster.dataDir)
      })
    }
    await delay(30)
  }
}

/** Keeps the time of one `join`; `note` throws when it is up. */
function startPatience(cluster: Cluster) {
  const begun = performance.now()
  let answeredAt = begun
  let readyAt: number | undefined
  const note = (answer: 'busy' | 'silent', postmaster: Postmaster | undefined) => {
    const now = performance.now()
    if (answer === 'busy') answeredAt = now
    readyAt = postmaster?.ready && answer === 'silent' ? (readyAt ?? now) : undefined
    const times = { silentMs: now - answeredAt, readyButSilentMs: readyAt === undefined ? 0 : now - readyAt }
    if (times.silentMs < silentPatienceMs && now - begun < busyPatienceMs) return times
    const state = postmaster ? `its process ${postmaster.pid} is ${answer}` : 'no server process stays'
    throw new Error(
      `PostgreSQL did not become ready within ${Math.round((now - begun) / 1000)} s: ${state}. Its log is in ${cluster.logDirectory}; when it shows no recovery going on, end that process and start again.`,
    )
  }
  return { note }
}

/** Two failures pass on their own: another start was quicker, or processes of a killed server still hold its memory. */
async function passesByItself(failure: string, cluster: Cluster): Promise<'rival' | 'leftovers'> {
  if (/lock file "[^"]*" already exists/.test(failure)) return 'rival'
  if (/shared memory block .* is still in use/.test(failure)) return 'leftovers'
  // Measured, because a full disk cannot hold an error message either. 16 MB is one segment of the write-ahead log.
  const { bavail, bsize } = await statfs(cluster.directory)
  const full = bavail * bsize < 16 * 2 ** 20 ? ' The disk is full: free some space and start again.' : ''
  throw new Error(`PostgreSQL does not start.${full} Its log is in ${cluster.logDirectory}. ${failure}`)
}

/** `busy`: it runs, but does not accept us yet (starting, recovering, stopping). `silent`: nothing responds. */
async function attach(
  cluster: Cluster,
  postmaster: Postmaster,
  durable: boolean,
): Promise<Membership | 'busy' | 'silent'> {
  const client = new pg.Client({
    host: postmaster.host,
    port: postmaster.port,
    user: 'postgres',
    password: cluster.password,
    database: 'postgres',
    application_name: sessionName('keeps-the-server-running'),
    connectionTimeoutMillis: 5_000,
    ssl: false,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const first = await takeShare(client)
    if (first !== undefined) {
      if (durable) await refuseUndurable(client, cluster)
      await createDatabase(client, cluster.password)
      return { client, postmaster, first }
    }
    await client.end()
    return 'busy'
  } catch (error) {
    await client.end().catch(() => {})
    return meaningOf(error, cluster)
  }
}

function meaningOf(error: unknown, cluster: Cluster): 'busy' | 'silent' {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  if (code === '28P01')
    throw new Error(
      `The password in ${cluster.dataDir}/postgres-password is not that of the cluster beside it. Restore the file from the backup the data came from.`,
    )
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'silent'
  // 57P0x: starting, stopping or recovering. 53300: no session free just now. The rest: cut off in the middle, or slow.
  if (/^57P0|^53300$|^E[A-Z]+$/.test(code) || /^Connection terminated|^timeout expired/.test(message)) return 'busy'
  throw error
}

/** Whether this is the first process, or undefined when the server is about to be stopped. */
async function takeShare(client: pg.Client): Promise<boolean | undefined> {
  const tried = async (sql: string) => (await client.query<{ got: boolean }>(`select ${sql} as got`)).rows[0]?.got
  if (!(await tried(`pg_try_advisory_lock_shared(${shareLock})`))) return undefined
  return (await tried(`pg_try_advisory_lock(${firstLock})`)) === true
}

async function refuseUndurable(client: pg.Client, cluster: Cluster) {
  const { rows } = await client.query<{ fsync: string }>('show fsync')
  if (rows[0]?.fsync === 'off')
    throw new Error(
      `The server running on ${cluster.directory} was started for tests, without fsync. Stop that process.`,
    )
}

/**
 * The service's own role owns the database but is not a superuser. A DATABASE_URL gives the same rights, so nothing works
 * only here.
 */
async function createDatabase(client: pg.Client, password: string) {
  const found = 'select 1 from pg_database where datname = $1'
  if ((await client.query(found, [database])).rowCount) return
  await client.query(`select pg_advisory_lock(${setUpLock})`)
  try {
    const role = await client.query('select 1 from pg_roles where rolname = $1', [user])
    const secret = pg.escapeLiteral(password)
    if (!role.rowCount) await client.query(`create role ${user} login createdb createrole password ${secret}`)
    await client.query(`grant pg_monitor to ${user}`)
    if (!(await client.query(found, [database])).rowCount)
      await client.query(`create database ${database} owner ${user}`)
  } finally {
    await client.query(`select pg_advisory_unlock(${setUpLock})`)
  }
}
