// Runs the tests: `npm test`, or `npm test -- server/test/some.test.ts`. With `--e2e` it runs those that start the real command
// and service, need another program (pgbouncer), or need the machine to themselves (times, memory).
import { glob, mkdir, mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { pathToFileURL } from 'node:url'
import { migrate } from '../server/src/platform/database/migrate.ts'
import { startEmbeddedPostgres } from '../server/src/platform/embedded-postgres/embedded-postgres.ts'

const root = join(import.meta.dirname, '..')
/** These measure times of the wall clock or memory, so each has the machine to itself, after the others. */
const alone = ['inbox/speed', 'memory'].map((name) => `e2e/${name}.test.ts`)
const cache = join(root, 'node_modules/.cache')
const secondsFile = join(cache, 'hitl-test-seconds.json')

const given = process.argv.slice(2)
const isE2e = given.includes('--e2e')
const pattern = isE2e ? 'e2e/{,inbox/}*.test.ts' : '*/test/**/*.test.ts'
const files = given.filter((argument) => argument !== '--e2e').map((file) => join(process.cwd(), file))
if (files.length === 0) for await (const file of glob(pattern, { cwd: root })) files.push(join(root, file))

/** How long each file took when it last ran on this machine. */
const measured: Record<string, number> = await readFile(secondsFile, 'utf8').then(JSON.parse, () => ({}))
/** The longest ones, for the first run on a machine. */
const longest: Record<string, number> = {
  'server/test/plans/plans.test.ts': 90,
  'server/test/deliveries/recovery.test.ts': 65,
  'server/test/authorization/matrix.test.ts': 60,
  'cli/test/audit-verify.test.ts': 45,
  'server/test/consultations/acts.test.ts': 40,
  'server/test/consultations/bad-input.test.ts': 35,
  'server/test/identity/odd-input.test.ts': 35,
  'server/test/identity/open-flows.test.ts': 30,
  'server/test/letters/letters.test.ts': 30,
  'server/test/consultations/race.test.ts': 25,
  'server/test/deliveries/leases.test.ts': 25,
  'server/test/events/export.test.ts': 25,
  'server/test/events/heads.test.ts': 25,
  'e2e/bad-day.test.ts': 190,
  'e2e/crash.test.ts': 110,
  'e2e/processes.test.ts': 110,
  'e2e/clients.test.ts': 100,
  'e2e/operations.test.ts': 100,
}
const seconds: Record<string, number> = { ...longest, ...measured }
const nameOf = (file: string): string => relative(root, file)
const secondsOf = (file: string): number => seconds[nameOf(file)] ?? 0
// The longest first, so that no long file runs alone at the end.
files.sort((a, b) => secondsOf(b) - secondsOf(a) || (a < b ? -1 : 1))

/** Files of one process: it reads the source once, which takes a second, and compiles what is hot once. */
const mostInGroup = 8
/** Such a file has a process to itself. */
const longSeconds = 20

// More than there are cores, because a test file spends about a third of its time waiting for processes and the database.
const workers = Math.min(files.length, Math.ceil(availableParallelism() * 1.5))

const names = new Set(files.map(nameOf))

/** Files that are short, some to a process, each as a suite with its name: written as a file that imports them. */
async function grouped(some: readonly string[], place: string): Promise<readonly string[]> {
  // Tests of the inbox put a `fetch` of their own into the process, and take no second to start.
  const short = some.filter((file) => secondsOf(file) < longSeconds && !nameOf(file).startsWith('web/'))
  const count = Math.max(Math.min(short.length, workers), Math.ceil(short.length / mostInGroup))
  const groups = Array.from({ length: count }, (_, at) => short.filter((_file, index) => index % count === at))
  const written = groups.map(async (group, at) => {
    const [first] = group
    if (group.length === 1 && first !== undefined) return first
    const path = join(place, `group-${at}.mjs`)
    const suites = group.map((file) => {
      const [name, url] = [nameOf(file), pathToFileURL(file).href].map((text) => JSON.stringify(text))
      return `describe(${name}, async () => { await import(${url}) })\n`
    })
    await writeFile(path, `import { describe } from 'node:test'\n${suites.join('')}`)
    return path
  })
  return [...some.filter((file) => !short.includes(file)), ...(await Promise.all(written))]
}

/** A throw-away PostgreSQL for each worker, so that no test file meets the transactions, locks or load of another. */
async function startServer(dataDir: string) {
  // Nothing here outlives the run, so nothing is synced to disk. The crash tests start durable servers of their own.
  const server = await startEmbeddedPostgres({ dataDir, durable: false, log: () => {} })
  await migrate(server.connection)
  return server
}

/** Bytes that the servers of a run may come to, with room. */
const roomBytes = 8 * 2 ** 30
/** Where they are: in memory if it has room. A tenth of the time of the tests was the disk's. */
const memory = '/dev/shm'
const hasRoom = await statfs(memory).then(
  ({ bavail, bsize }) => bavail * bsize >= roomBytes,
  () => false,
)
const folder = await mkdtemp(join(hasRoom ? memory : tmpdir(), 'hitl-test-'))
const places = Array.from({ length: workers }, (_, index) => join(folder, String(index)))
const started = await Promise.allSettled(places.map(startServer))
try {
  const servers = started.map((server, index) => {
    if (server.status === 'rejected') throw server.reason
    const { host, port, user, password, database } = server.value.connection
    return { connection: { host, port, user, password }, template: database, taken: `${places[index]}-taken` }
  })
  process.env.HITL_TEST_SERVERS = JSON.stringify(servers)
  // Strips and compiles the source once, not in each of the hundreds of processes.
  process.env.NODE_COMPILE_CACHE ??= join(cache, 'hitl')
  const broken = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.exitCode = 1
      broken.abort()
    })
  }
  const took = new Map<string, number>()
  const tookMs = (name: string, ms: number): void => void took.set(name, Math.round(ms) / 1_000)
  const runFiles = async (some: readonly string[], concurrency: number): Promise<void> => {
    if (some.length === 0 || broken.signal.aborted) return
    const tests = run({ files: [...some], cwd: root, concurrency, timeout: 600_000, signal: broken.signal })
    tests.on('test:fail', ({ todo }) => {
      if (todo === undefined || todo === false) process.exitCode = 1
    })
    tests.on('test:complete', ({ name, nesting, details: { duration_ms: ms } }) => {
      if (nesting === 0 && names.has(name)) tookMs(name, ms)
    })
    tests.on('test:summary', ({ file, duration_ms: ms }) => {
      if (file !== undefined && names.has(nameOf(file))) tookMs(nameOf(file), ms)
    })
    for await (const text of tests.compose(spec)) process.stdout.write(text)
  }
  const isAlone = (file: string): boolean => alone.includes(nameOf(file))
  const together = files.filter((file) => !isAlone(file))
  await runFiles(isE2e ? together : await grouped(together, folder), workers)
  await runFiles(files.filter(isAlone), 1)
  const slowest = [...took].sort(([, a], [, b]) => b - a).slice(0, isE2e ? undefined : 10)
  for (const [name, each] of slowest) process.stdout.write(`${each.toFixed(1).padStart(7)} s  ${name}\n`)
  Object.assign(seconds, Object.fromEntries(took))
  await mkdir(cache, { recursive: true })
  await writeFile(secondsFile, JSON.stringify(seconds, null, 2))
} finally {
  for (const server of started) if (server.status === 'fulfilled') await server.value.stop()
  await rm(folder, { recursive: true, force: true })
}
