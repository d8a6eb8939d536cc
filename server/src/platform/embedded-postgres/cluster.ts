/**
 * The folder of the embedded PostgreSQL: a cluster, its password, and the order in which several first starts make them.
 *
 * A service running as root starts the server as another account (programs.ts), which often cannot pass the parents of the
 * data folder (a checkout under /root, mode 0700), and those are not for us to open up. Instead the server starts with the
 * cluster as its current folder and knows it only as `/proc/self/cwd`, a link that the kernel follows without checking the
 * parents; it never needs an absolute path.
 */
import { randomBytes } from 'node:crypto'
import { chmod, chown, lchown, link, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { dataFolderError, makeFolder } from '../folder.ts'
import { type Account, isAlive, run, runnablePrograms, serverAccount } from './programs.ts'

const onWindows = process.platform === 'win32'

/** A cluster that exists and fits the programs, ready to be started or attached to. */
export interface Cluster {
  readonly directory: string
  /** `-D` for the server: see the head of this file. The server's current folder must be `directory`. */
  readonly directoryForServer: string
  readonly logDirectory: string
  readonly dataDir: string
  readonly programs: string
  readonly account: Account | undefined
  readonly password: string
  /** `cluster_name`: part of the command line of every process of this cluster, which distinguishes them from others. */
  readonly name: string
}

/**
 * Make `<dataDir>/postgres` ready, creating it on first use.
 * @throws Error with a sentence for the operator: what is wrong and what to do.
 */
export async function prepareCluster(dataDirOption: string, durable: boolean, log: (line: string) => void) {
  const dataDir = resolve(dataDirOption)
  const directory = join(dataDir, 'postgres')
  const account = await serverAccount(directory)
  const { programs, major } = await runnablePrograms(account, log)
  try {
    await makeFolder(dataDir, 0o700)
    await refuseStrangersCluster(directory)
    const directoryForServer = account && process.platform === 'linux' ? '/proc/self/cwd' : directory
    const plan = { dataDir, directory, programs, account, directoryForServer, durable }
    if (!(await clusterVersion(directory))) await createCluster(plan, log)
    await refuseOtherMajor(directory, major)
    const password = await readPassword(dataDir)
    if (account) await handOver(directory, account)
    const { dev, ino } = await stat(directory, { bigint: true })
    const logDirectory = join(directory, 'log')
    return { ...plan, logDirectory, password, name: `hitl-${dev}-${ino}` } satisfies Cluster
  } catch (error) {
    throw explained(error, dataDir)
  }
}

/** Adds advice to bare errors of the operating system. */
export function explained(error: unknown, dataDir: string): Error {
  const text = error instanceof Error ? error.message : String(error)
  if (/could not look up effective user/.test(text))
    return new Error(
      `PostgreSQL needs an account with a name, and the uid the service runs as has none. Add it to /etc/passwd, start as a known account, or set DATABASE_URL. (${text})`,
      { cause: error },
    )
  return dataFolderError(error, dataDir)
}

/** What a small file holds; undefined when there is none. */
const textOf = (file: string): Promise<string | undefined> =>
  readFile(file, 'utf8').then(
    (text) => text.trim(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    },
  )

const clusterVersion = (directory: string) => textOf(join(directory, 'PG_VERSION'))

async function refuseOtherMajor(directory: string, major: string) {
  const found = await clusterVersion(directory)
  if (found !== major)
    throw new Error(
      `${directory} holds data of PostgreSQL ${found ?? '(unknown)'}, but this release brings PostgreSQL ${major}. Start the release that wrote it, dump the database, move the folder away and load the dump here.`,
    )
}

/** Only root can start another uid's cluster: PostgreSQL insists on owning its files. */
async function refuseStrangersCluster(directory: string) {
  const own = process.getuid?.()
  if (!own) return
  const owner = (await stat(directory).catch(() => undefined))?.uid
  if (owner !== undefined && owner !== own)
    throw new Error(
      `${directory} belongs to uid ${owner}, but the service runs as uid ${own}. Start it as before (root, perhaps), or give the data folder to this account with chown -R.`,
    )
}

/** Folders restored by root (cp, tar) come back with the wrong owner or mode; PostgreSQL accepts only 0700 and 0750. */
async function handOver(directory: string, account: Account) {
  const look = (name: string) => stat(join(directory, name)).catch(() => undefined)
  const samples = ['', 'PG_VERSION', 'global', 'global/pg_control'].map(look)
  const found = await Promise.all(samples)
  if (found.some((sample) => sample && sample.uid !== account.uid)) {
    for (const entry of await readdir(directory, { recursive: true }))
      await lchown(join(directory, entry), account.uid, account.gid)
    await chown(directory, account.uid, account.gid)
  }
  if (((found[0]?.mode ?? 0) & 0o027) !== 0) await chmod(directory, 0o700)
}

type Plan = Pick<Cluster, 'dataDir' | 'directory' | 'programs' | 'account' | 'directoryForServer'> & {
  readonly durable: boolean
}

/**
 * initdb works in a separate folder, which is renamed when complete: a cluster exists completely or not at all, and of
 * several first starts exactly one rename succeeds. Taking turns first only saves the others the work.
 */
async function createCluster(plan: Plan, log: (line: string) => void) {
  const finished = async () => (await clusterVersion(plan.directory)) !== undefined
  const giveUpTurn = await takeTurn(join(plan.dataDir, 'postgres-initdb.lock'), finished)
  const staging = join(plan.dataDir, `postgres-new-${randomBytes(6).toString('hex')}`)
  try {
    if (await finished()) return
    for (const name of await readdir(plan.dataDir))
      if (name.startsWith('postgres-new-'))
        await rm(join(plan.dataDir, name), { recursive: true, force: true, maxRetries: 5 }).catch(() => {})
    log(`postgres: creating a database cluster in ${plan.directory}`)
    await createPassword(plan.dataDir)
    await initdb(plan, staging)
    await rename(join(staging, 'cluster'), plan.directory)
    if (!onWindows) await syncFolder(plan.dataDir)
  } catch (error) {
    if (!(await finished())) throw error
  } finally {
    await rm(staging, { recursive: true, force: true }).catch(() => {})
    await giveUpTurn()
  }
}

async function initdb({ programs, account, directoryForServer, directory, durable }: Plan, staging: string) {
  const target = join(staging, 'cluster')
  const passwordFile = join(staging, 'password')
  await makeFolder(target, 0o700)
  await writeFile(passwordFile, await readPassword(dirname(staging)), { mode: 0o600 })
  if (account) for (const path of [staging, target, passwordFile]) await chown(path, account.uid, account.gid)
  const where = directoryForServer === directory ? target : directoryForServer
  const args = ['-D', where, '--pwfile=../password', '--username=postgres', '--auth=scram-sha-256', '--encoding=UTF8']
  // The built-in provider sorts and folds by code point on every host; libc and ICU differ by version.
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions')
  if (!durable) args.push('--no-sync')
  await run(join(programs, onWindows ? 'initdb.exe' : 'initdb'), args, target, account).catch((error: Error) => {
    throw new Error(`initdb could not create a database cluster in ${directory}: ${error.message}`, { cause: error })
  })
}

/** So that the rename survives a power cut: the folder's entry is part of the parent's data. */
async function syncFolder(folder: string) {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

const turnsHeld = new Set<string>()

/**
 * Waits for this process's turn, or until `finished`. The lock is a file with the holder's pid. It is removed when that
 * process is dead, or when it names our own pid and we did not write it (containers reuse pids). After 60 s the turn is
 * taken anyway: the pid may now belong to an unrelated process, and the work is safe to do twice.
 */
async function takeTurn(lock: string, finished: () => Promise<boolean>): Promise<() => Promise<void>> {
  const patienceEnds = performance.now() + 60_000
  for (;;) {
    const taken = await writeFile(lock, String(process.pid), { flag: 'wx' }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false
        throw error
      },
    )
    if (taken) {
      turnsHeld.add(lock)
      return async () => {
        turnsHeld.delete(lock)
        await rm(lock, { force: true })
      }
    }
    if (await finished()) return async () => {}
    const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
    const gone = holder === process.pid ? !turnsHeld.has(lock) : holder > 0 && !isAlive(holder)
    if (gone || performance.now() > patienceEnds) await rm(lock, { force: true })
    else await delay(50)
  }
}

const passwordFileIn = (dataDir: string) => join(dataDir, 'postgres-password')

/** Linked into place, so that no one reads it half-written and the first of several starts decides. */
async function createPassword(dataDir: string) {
  const draft = join(dataDir, `.postgres-password-${randomBytes(6).toString('hex')}`)
  await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600, flush: true })
  await link(draft, passwordFileIn(dataDir))
    .catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    .finally(() => rm(draft, { force: true }))
}

async function readPassword(dataDir: string): Promise<string> {
  const password = await textOf(passwordFileIn(dataDir))
  if (password) return password
  throw new Error(
    `${passwordFileIn(dataDir)} is missing or empty, but the cluster beside it needs it. Restore the file from the backup the data came from.`,
  )
}
