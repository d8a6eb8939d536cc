// Writes openapi.json from the routes: `npm run openapi`; with --check it only compares, and fails when it would change.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createApp } from '../server/src/app.ts'
import { loadConfig } from '../server/src/config.ts'
import { createLog } from '../server/src/platform/log.ts'

const path = join(import.meta.dirname, '../openapi.json')
const config = loadConfig({ NODE_ENV: 'test', LOG_LEVEL: 'silent' }, '/nonexistent/.env')
// No call is made, so no database is needed: connections are opened at the first query.
const app = await createApp({
  config,
  log: createLog('silent', false),
  connection: { host: '/nonexistent' },
  secretKey: 'only to build the routes, signs nothing',
})
const document = `${JSON.stringify(app.http.swagger(), null, 2)}\n`
await app.stop()

if (process.argv.includes('--check')) {
  const committed = await readFile(path, 'utf8').catch(() => '')
  if (committed !== document) {
    process.stderr.write('openapi.json is not what the routes say. Run "npm run openapi" and commit the result.\n')
    process.exitCode = 1
  }
} else {
  await writeFile(path, document)
}
