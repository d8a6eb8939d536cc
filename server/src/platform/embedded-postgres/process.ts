/**
 * The processes of the embedded PostgreSQL: starting one, recognising a running one, signalling it.
 *
 * `postmaster.pid` is PostgreSQL's own lock. When two servers start at once on one cluster, one wins and the other exits
 * with a message. Only one case needs help: a left-over file whose pid now belongs to another process of the same account
 * (after a reboot, or in a container, where pids repeat). PostgreSQL refuses to start then; here the command line of that
 * pid shows whether it really is this cluster's server.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  type FileHandle,
  link,
  lstat,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { makeFolder } from '../folder.ts'
import type { Cluster } from './cluster.ts'
import { isAlive, run, serverEnvironment } from './programs.ts'

const onWindows = process.platform === 'win32'

/** A live server of the cluster, as its `postmaster.pid` describes it. */
export interface Postmaster {
  readonly pid: number
  /** A socket folder, or an address on Windows. Empty while the server is still starting. */
  readonly host: string
  readonly port: number
  readonly ready: boolean
}

/** The live server of this cluster, or undefined when there is none (a stale file does not count). */
export async function findPostmaster(cluster: Cluster): Promise<Postmaster | undefined> {
  const text = await readFile(join(cluster.directory, 'postmaster.pid'), 'utf8').catch(() => '')
  // Lines: pid, data folder, start time, port, first socket folder, first address, shared memory, state.
  const [pid = '', , , port = '', socketFolder = '', address = '', , state = ''] = text.split('\n')
  if (!Number(pid) || !(await isServing(cluster, Number(pid)))) return undefined
  const host = socketFolder === '.' ? cluster.directory : socketFolder || address
  return { pid: Number(pid), host, port: Number(port), ready: state.trim() === 'ready' }
}

/** Whether this pid is, right now, the postmaster of this cluster; false for a zombie too (it has no command line). */
async function isServing(cluster: Cluster, pid: number): Promise<boolean> {
  const command = await commandOf(pid)
  return onWindows ? command.includes('postgres') : command.includes(`cluster_name=${cluster.name}`)
}

async function commandOf(pid: number): Promise<string> {
  const nothing = () => ''
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(nothing)
  if (onWindows) return run('tasklist', ['/FI', `PID eq ${pid}`, '/FO', 'CSV', '/NH'], '.').catch(nothing)
  return run('/bin/ps', ['-ww', '-o', 'command=', '-p', String(pid)], '/').catch(nothing)
}

/**
 * Removes the files of a killed server when its pid now belongs to another process, or to a zombie that was never reaped;
 * PostgreSQL copes with a dead pid itself. The socket has its own lock file, with the same pid.
 */
export async function removeMisleadingPidFile(cluster: Cluster) {
  await removeIfMisleading(cluster, join(cluster.directory, 'postmaster.pid'))
  if (onWindows) return
  const remembered = await readFile(join(cluster.dataDir, 'postgres-socket-folder'), 'utf8').catch(() => '')
  const folder = fitsSocket(cluster.directory) ? cluster.directory : remembered
  if (folder !== '') await removeIfMisleading(cluster, join(folder, '.s.PGSQL.5432.lock'))
}

/** Renamed first and checked again: a server that another process started in between gets its file back. */
async function removeIfMisleading(cluster: Cluster, file: string) {
  const pidIn = async (path: string) => Number((await readFile(path, 'utf8').catch(() => '')).split('\n')[0])
  const misleads = async (pid: number) => pid > 0 && isAlive(pid) && !(await isServing(cluster, pid))
  if (!(await misleads(await pidIn(file)))) return
  const aside = `${file}.stale-${process.pid}`
  const moved = await rename(file, aside).then(
    () => true,
    () => false,
  )
  if (!moved) return
  if (!(await misleads(await pidIn(aside)))) await link(aside, file).catch(() => {})
  await rm(aside, { force: true })
}

/**
 * Fast shutdown (open transactions are rolled back, a checkpoint is written); after 20 s an immediate one, which leaves
 * recovery to the next start. Returns when the server has gone.
 */
export async function stopPostmaster(cluster: Cluster, pid: number, log: (line: string) => void) {
  await signal(cluster, pid, 'INT')
  if (await hasGone(cluster, pid, 20_000)) return
  log(`postgres: still there 20 s after a fast shutdown; stopping it at once (pid ${pid})`)
  await signal(cluster, pid, 'QUIT')
  if (await hasGone(cluster, pid, 10_000)) return
  throw new Error(`PostgreSQL (pid ${pid}) does not stop. Its log is in ${cluster.logDirectory}.`)
}

async function signal(cluster: Cluster, pid: number, name: 'INT' | 'QUIT') {
  if (!(await isServing(cluster, pid))) return
  if (onWindows) await run(join(cluster.programs, 'pg_ctl.exe'), ['kill', name, String(pid)], cluster.directory)
  else process.kill(pid, `SIG${name}`)
}

async function hasGone(cluster: Cluster, pid: number, milliseconds: number): Promise<boolean> {
  const patienceEnds = performance.now() + milliseconds
  while (await isServing(cluster, pid)) {
    if (performance.now() > patienceEnds) return false
    await delay(20)
  }
  return true
}

/**
 * End sessions that outlived a killed server: they hold its shared memory, and no server may start before they are gone.
 * Most end at once; one deep in a computation does not notice. Only Linux shows them without `ps`.
 */
export async function endLeftovers(cluster: Cluster, log: (line: string) => void) {
  if (process.platform !== 'linux') return
  for (const name of await readdir('/proc')) {
    const pid = Number(name)
    if (!pid || !(await commandOf(pid)).startsWith(`postgres: ${cluster.name}:`)) continue
    log(`postgres: ending process ${pid}, left over from a server that was killed`)
    try {
      process.kill(pid, 'SIGQUIT')
    } catch {
      // Gone in between.
    }
  }
}

/** A server process started here. `failure` is set once it has ended: its exit code and last words. */
export interface Launch {
  readonly pid: number | undefined
  readonly failure: () => string | undefined
}

/**
 * Start the server in a session of its own, so that Ctrl-C in the terminal reaches the service only, which stops it in
 * order. Its output goes to a file, never to a pipe: it must be able to outlive this process.
 */
export async function launchPostmaster(cluster: Cluster, settings: Readonly<Record<string, string>>): Promise<Launch> {
  const account = cluster.account
  await makeFolder(cluster.logDirectory, 0o700)
  if (account) await chown(cluster.logDirectory, account.uid, account.gid)
  // Output before its own log is open. The file is unlinked at once, so that a crash leaves nothing behind.
  const lastWords = join(cluster.logDirectory, `start-${randomBytes(6).toString('hex')}.log`)
  const output = await open(lastWords, 'wx+', 0o600)
  await rm(lastWords, { force: true })
  const all = { ...standardSettings, ...(await addressSettings(cluster)), ...settings, cluster_name: cluster.name }
  const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(
    join(cluster.programs, onWindows ? 'postgres.exe' : 'postgres'),
    ['-D', cluster.directoryForServer, ...args],
    {
      cwd: cluster.directory,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      windowsHide: true,
      ...(onWindows ? {} : { env: serverEnvironment }),
      ...account,
    },
  )
  child.unref()
  return { pid: child.pid, failure: watch(child, output) }
}

function watch(child: ChildProcess, output: FileHandle): () => string | undefined {
  let failure: string | undefined
  const ended = async (how: string) => {
    const { buffer, bytesRead } = await output.read(Buffer.alloc(4096), 0, 4096, 0)
    await output.close()
    failure = `${how}. ${buffer.toString('utf8', 0, bytesRead).trim()}`
  }
  child.once('error', (error) => void ended(error.message))
  child.once('exit', (code, signal) => void ended(`postgres ended with ${signal ?? `code ${code}`}`))
  return () => failure
}

async function addressSettings(cluster: Cluster): Promise<Record<string, string>> {
  if (onWindows) return { listen_addresses: '127.0.0.1', port: String(await freePort()), unix_socket_directories: '' }
  return { listen_addresses: '', port: '5432', unix_socket_directories: await socketFolder(cluster) }
}

/**
 * The cluster itself (".", relative to the server's current folder), which is private already. A socket's path may have
 * 107 bytes on Linux and 103 on macOS; clients of a longer one use a private folder below the temporary folder.
 */
async function socketFolder(cluster: Cluster): Promise<string> {
  if (fitsSocket(cluster.directory)) return '.'
  const memory = join(cluster.dataDir, 'postgres-socket-folder')
  const owner = cluster.account?.uid ?? process.getuid?.()
  const remembered = await readFile(memory, 'utf8').catch(() => '')
  const found = await lstat(remembered || cluster.dataDir).catch(() => undefined)
  // If others could replace the folder, they could impersonate the server.
  if (remembered && found?.isDirectory() && found.uid === owner && (found.mode & 0o077) === 0) return `"${remembered}"`
  // TMPDIR may be private to root, or too long itself.
  const base = cluster.account || !fitsSocket(join(tmpdir(), 'hitl-XXXXXX')) ? '/tmp' : tmpdir()
  const folder = await mkdtemp(join(base, 'hitl-'))
  await chmod(folder, 0o700)
  if (cluster.account) await chown(folder, cluster.account.uid, cluster.account.gid)
  await writeFile(memory, folder)
  return `"${folder}"`
}

const fitsSocket = (folder: string) => Buffer.byteLength(join(folder, '.s.PGSQL.5432')) <= 103

const freePort = (): Promise<number> =>
  new Promise((done, failed) => {
    const probe = createServer().once('error', failed)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => done(typeof address === 'object' && address ? address.port : 0))
    })
  })

/** Given on the command line, so that a release may change them without touching a cluster that exists. */
const standardSettings: Readonly<Record<string, string>> = {
  unix_socket_permissions: '0700',
  max_connections: '100',
  shared_buffers: '128MB',
  // Waits on small rows, never long analytical queries: compiling a plan costs more than it saves.
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // The data folder is on a solid-state disk nearly everywhere: a random read costs little more than the next one.
  random_page_cost: '1.1',
  // Every checkpoint makes pages be logged whole again on first touch. Every 15 minutes instead of 5, and by size only
  // after 2 GB, keeps a busy hour from checkpointing back to back; 2 GB replay in about a minute after a crash.
  checkpoint_timeout: '15min',
  max_wal_size: '2GB',
  // Whole pages shrink to about a third; this build has no lz4.
  wal_compression: 'pglz',
  // A file per weekday, overwritten a week later: seven files at most. The collector is the server's own child, so the
  // log goes on when the service is killed.
  logging_collector: 'on',
  log_directory: 'log',
  log_filename: 'postgresql-%a.log',
  log_rotation_age: '1d',
  log_rotation_size: '0',
  log_truncate_on_rotation: 'on',
  log_line_prefix: '%m [%p] %q%u@%d ',
}

/** For tests only: a crash of the machine loses the cluster. */
export const undurableSettings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
