// Writes openapi.json from the routes: `npm run openapi`. With --check it only compares.
import { createApp } from '../server/src/app.ts'
import { loadConfig } from '../server/src/config.ts'
import { createLog } from '../server/src/platform/log.ts'
import { generated } from './generated.ts'

const config = loadConfig({ NODE_ENV: 'test', LOG_LEVEL: 'silent' }, '/nonexistent/.env')
// No database is needed: connections are opened at the first query, and there is none here.
const app = await createApp({
  config,
  log: createLog('silent', false),
  connection: { host: '/nonexistent' },
  secretKey: 'only to build the routes, signs nothing',
})
const document = `${JSON.stringify(app.http.swagger(), null, 2)}\n`
await app.stop()

await generated('openapi.json', document, 'openapi')
