// Runs the tests on one throw-away PostgreSQL: `npm test`, or `npm test -- server/test/some.test.ts`. `--e2e`: those that
// need a program of somebody else's on the machine (pgbouncer).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { glob, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '../server/src/platform/database/migrate.ts'
import { startEmbeddedPostgres } from '../server/src/platform/embedded-postgres/embedded-postgres.ts'

const root = join(import.meta.dirname, '..')
const dataDir = await mkdtemp(join(tmpdir(), 'hitl-test-'))
// Nothing here outlives the run, so nothing is synced to disk; the crash tests start durable servers of their own.
const server = await startEmbeddedPostgres({ dataDir, durable: false, log: () => {} })
try {
  const { host, port, user, password, database } = server.connection
  await migrate(server.connection)
  const given = process.argv.slice(2)
  const pattern = given.includes('--e2e') ? 'e2e/*.test.ts' : '*/test/**/*.test.ts'
  const files = given.filter((argument) => argument !== '--e2e')
  if (files.length === 0) for await (const file of glob(pattern, { cwd: root })) files.push(file)
  files.sort()
  const env = {
    ...process.env,
    HITL_TEST_SERVER: JSON.stringify({ connection: { host, port, user, password }, template: database }),
  }
  const run = async (some: readonly string[], atOnce: number): Promise<void> => {
    if (some.length === 0) return
    const options = ['--test', `--test-concurrency=${atOnce}`, '--test-timeout=300000']
    const tests = spawn(process.execPath, [...options, ...some], { cwd: root, stdio: 'inherit', env })
    const [code] = (await once(tests, 'exit')) as [number | null]
    if (code !== 0) process.exitCode = code ?? 1
  }
  // Nothing is sealed past a transaction that is open anywhere on the server: the tests of the audit have it to themselves.
  const isAudit = (file: string): boolean => file.includes('test/events/')
  await run(
    files.filter((file) => !isAudit(file)),
    2,
  )
  await run(files.filter(isAudit), 1)
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}
