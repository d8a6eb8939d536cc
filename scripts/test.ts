// Runs the tests: `npm test`, or `npm test -- server/test/some.test.ts`. With `--e2e` it runs those that start the real command
// and service, need another program (pgbouncer), or need the machine to themselves (times, memory).
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { migrate } from '../server/src/platform/database/migrate.ts'
import { startEmbeddedPostgres } from '../server/src/platform/embedded-postgres/embedded-postgres.ts'

const root = join(import.meta.dirname, '..')
/** These measure times of the wall clock or memory, so each has the machine to itself, after the others. */
const alone = ['bench', 'inbox/speed', 'memory'].map((name) => `e2e/${name}.test.ts`)
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
  'server/test/plans/plans.test.ts': 50,
  'cli/test/audit-verify.test.ts': 45,
  'server/test/authorization/matrix.test.ts': 45,
  'server/test/consultations/acts.test.ts': 40,
  'server/test/consultations/bad-input.test.ts': 35,
  'server/test/identity/open-flows.test.ts': 30,
  'e2e/bad-day.test.ts': 120,
  'e2e/crash.test.ts': 60,
}
const seconds = { ...longest, ...measured }
const nameOf = (file: string): string => relative(root, file)
const secondsOf = (file: string): number => seconds[nameOf(file)] ?? 0
// The longest first, so that no long file runs alone at the end.
files.sort((a, b) => secondsOf(b) - secondsOf(a) || (a < b ? -1 : 1))

// More than there are cores, because a test file spends about a third of its time waiting for processes and the database.
const workers = Math.min(files.length, Math.ceil(availableParallelism() * 1.5))

/** A throw-away PostgreSQL for each worker, so that no test file meets the transactions, locks or load of another. */
async function startServer(dataDir: string) {
  // Nothing here outlives the run, so nothing is synced to disk. The crash tests start durable servers of their own.
  const server = await startEmbeddedPostgres({ dataDir, durable: false, log: () => {} })
  await migrate(server.connection)
  return server
}

const folder = await mkdtemp(join(tmpdir(), 'hitl-test-'))
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
  const runFiles = async (some: readonly string[], concurrency: number): Promise<void> => {
    if (some.length === 0 || broken.signal.aborted) return
    const timeout = isE2e ? 600_000 : 300_000
    const tests = run({ files: some, cwd: root, concurrency, timeout, signal: broken.signal })
    tests.on('test:fail', ({ todo }) => {
      if (todo === undefined || todo === false) process.exitCode = 1
    })
    tests.on('test:summary', ({ file, duration_ms: ms }) => {
      if (file !== undefined) took.set(nameOf(file), Math.round(ms) / 1_000)
    })
    for await (const text of tests.compose(spec)) process.stdout.write(text)
  }
  const isAlone = (file: string): boolean => alone.includes(nameOf(file))
  await runFiles(
    files.filter((file) => !isAlone(file)),
    workers,
  )
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
