// Runs the tests on one throw-away PostgreSQL: `npm test`, or `npm test -- server/test/some.test.ts`. `--e2e`: those that
// need a program of somebody else's on the machine (pgbouncer).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { glob, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../server/src/platform/embedded-postgres.ts'
import { migrate } from '../server/src/platform/migrate.ts'

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
  const run = spawn(process.execPath, ['--test', '--test-concurrency=2', '--test-timeout=300000', ...files], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      HITL_TEST_SERVER: JSON.stringify({ connection: { host, port, user, password }, template: database }),
    },
  })
  const [code] = (await once(run, 'exit')) as [number | null]
  process.exitCode = code ?? 1
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}
