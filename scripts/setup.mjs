/**
 * Runs before `npm start`, `npm test` and the like (see package.json). Installs the dependencies if they are missing or differ
 * from package-lock.json; otherwise ends at once. Plain JavaScript without dependencies, because it runs under whatever Node
 * the machine has (18 or later). The command after it runs under the pinned Node in node_modules/.bin.
 *
 * Then builds the inbox if its sources are not those that web/dist was made from.
 *
 * It reads what is installed from node_modules/.package-lock.json, which npm writes last, so an interrupted install leaves no
 * such file. It compares contents and not times, because a clone or a copy gives every file a new time.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const neededMajor = 24
const onWindows = process.platform === 'win32'
/** Two installs at once in one folder break each other. The lock is outside node_modules because npm ci empties that. */
const lock = join(tmpdir(), `hitl-setup-${createHash('sha256').update(root).digest('hex').slice(0, 16)}.lock`)
const lockPatienceMs = 600_000

if (!isInstalled()) {
  const locked = takeLock()
  try {
    // The process that held the lock may have installed them.
    if (!isInstalled()) install()
  } finally {
    if (locked) rmSync(lock, { force: true })
  }
}
checkNode()
await buildWeb()

function packagesIn(file) {
  try {
    return Object.entries(JSON.parse(readFileSync(join(root, file), 'utf8')).packages).filter(
      ([path, entry]) => path.includes('node_modules/') && !entry.link,
    )
  } catch {
    return undefined
  }
}

function isInstalled() {
  const wanted = packagesIn('package-lock.json')
  const found = packagesIn(join('node_modules', '.package-lock.json'))
  if (!wanted) fail('package-lock.json is missing or unreadable. Restore it with "git checkout package-lock.json".')
  if (!found) return false
  const installed = new Map(found)
  const known = new Set(wanted.map(([path]) => path))
  // With --omit=dev, as in an image, no development package is there.
  const devOmitted = !found.some(([, entry]) => entry.dev)
  const fits = ([path, entry]) => {
    const there = installed.get(path)
    if (there) return there.version === entry.version && there.integrity === entry.integrity
    // Optional packages may be for other systems.
    return Boolean(entry.optional || entry.devOptional || (entry.dev && devOmitted))
  }
  return wanted.every(fits) && found.every(([path]) => known.has(path))
}

/** False if no lock file can be written; the install then goes ahead without one. */
function takeLock() {
  const givenUpAt = Date.now() + lockPatienceMs
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      return true
    } catch (error) {
      if (error.code !== 'EEXIST') return false
    }
    if (!isHeld() || Date.now() > givenUpAt) {
      try {
        rmSync(lock, { force: true })
      } catch {
        return false
      }
    } else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  }
}

function isHeld() {
  try {
    const holder = Number(readFileSync(lock, 'utf8'))
    // The file was just created and the pid is not written yet.
    if (!holder) return true
    return holder !== process.pid && process.kill(holder, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function install() {
  process.stdout.write('Installing the dependencies (npm ci), once...\n')
  // No package needs its install script, so none runs. npm shows only errors: under an older Node it would warn once per
  // package, although that Node only downloads them.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  const options = { cwd: root, stdio: 'inherit' }
  const { status, error } =
    npm && /^npm(-cli)?\.c?js$/.test(basename(npm))
      ? spawnSync(process.env.npm_node_execpath || process.execPath, [npm, ...args], options)
      : spawnSync(onWindows ? 'npm.cmd' : 'npm', args, { ...options, shell: onWindows })
  if (error) fail(`npm could not be started (${error.message}). Install Node.js with npm, then run the command again.`)
  if (status !== 0)
    fail(
      'npm ci failed; its message is above. Check the connection to the npm registry and the free disk space, then run the command again.',
    )
}

/** npm puts node_modules/.bin first on PATH, so the Node there runs the script that follows. */
function checkNode() {
  const bin = join(root, 'node_modules', '.bin')
  if (existsSync(join(bin, onWindows ? 'node.cmd' : 'node'))) {
    // Asking that Node for its version would take longer than everything else here, and npm recorded what it installed.
    const pinned = packagesIn(join('node_modules', '.package-lock.json'))
      ?.filter(([path]) => /^node_modules\/node-(bin-)?[a-z]+-[a-z0-9]+$/.test(path))
      .map(([, entry]) => entry.version)
    if (pinned?.some((version) => Number.parseInt(version, 10) >= neededMajor)) return
  }
  if (Number.parseInt(process.versions.node, 10) >= neededMajor) return
  fail(
    `The service needs Node ${neededMajor}; this is ${process.version}, and no Node ${neededMajor} was installed for ${process.platform} ${process.arch}. ` +
      `Run "npm ci" without omitting optional packages, or install Node ${neededMajor} or later (https://nodejs.org), then run the command again.`,
  )
}

async function buildWeb() {
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js')
  // An image has neither the sources nor Vite, but what they make.
  if (!existsSync(join(root, 'web', 'src')) || !existsSync(vite)) return
  const { builtFrom, sourcesDigest } = await import('../web/build/stamp.mjs')
  if (builtFrom() === sourcesDigest()) return
  const locked = takeLock()
  try {
    if (builtFrom() === sourcesDigest()) return
    process.stdout.write('Building the inbox...\n')
    const node = join(root, 'node_modules', '.bin', onWindows ? 'node.cmd' : 'node')
    const command = existsSync(node) ? node : process.execPath
    const args = [vite, 'build', 'web', '--configLoader', 'native', '--logLevel', 'warn']
    const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: onWindows })
    if (status !== 0) fail('The inbox could not be built; the reason is above.')
  } finally {
    if (locked) rmSync(lock, { force: true })
  }
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`)
  if (existsSync(lock) && readFileSync(lock, 'utf8') === String(process.pid)) rmSync(lock, { force: true })
  process.exit(1)
}
