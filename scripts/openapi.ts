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
const document = `${lines(app.http.swagger())}\n`
await app.stop()

/** JSON with what fits into a line in one line: half as many bytes as with a line for every value. */
function lines(value: unknown, indent = ''): string {
  const short = JSON.stringify(value)
  if (typeof value !== 'object' || value === null || short.length + indent.length <= 160) return short
  const inner = `${indent} `
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  const members = Array.isArray(value)
    ? value.map((element) => lines(element, inner))
    : Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${lines(member, inner)}`)
  return `${open}\n${inner}${members.join(`,\n${inner}`)}\n${indent}${close}`
}

await generated('openapi.json', document, 'openapi')
