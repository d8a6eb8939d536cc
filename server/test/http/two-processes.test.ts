import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { sampleAdmin } from '../../src/seed.ts'
import { freePort } from '../receivers.ts'
import {
  externalDatabase,
  type HttpReply,
  request,
  type ServiceProcess,
  startService,
  untilReady,
} from '../service-process.ts'

const limits = { RATE_LIMIT_KEY: '150/3000', RATE_LIMIT_PERSON: '60/3000', RATE_LIMIT_ADDRESS: '100/3000' }

let folder: string
let database: Awaited<ReturnType<typeof externalDatabase>>
const services: ServiceProcess[] = []
const urls: string[] = []
let apiKey: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hitl limits '))
  database = await externalDatabase()
  for (const demo of ['true', 'false']) {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const environment = { ...database.environment, ...limits, PORT: String(port), DATA_DIR: folder, DEMO: demo }
    const service = startService({ cwd: folder, environment: { ...environment, LOG_LEVEL: 'warn' } })
    services.push(service)
    await untilReady(service, url)
    urls.push(url)
  }
  apiKey = /Sample API key\s+(\S+)/.exec(services[0]?.stdout ?? '')?.[1] ?? ''
  assert.match(apiKey, /^hitl_/)
})
after(async () => {
  await Promise.all(services.map((service) => service.end('SIGTERM')))
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

/** Makes `count` calls at once, alternating between the two processes. */
const storm = (count: number, call: (url: string) => Promise<HttpReply>): Promise<readonly HttpReply[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => call(urls[index % 2] as string)))
const countOf = (replies: readonly HttpReply[], status: number): number =>
  replies.filter((reply) => reply.status === status).length

describe('two processes of the service on one database keep one count', () => {
  test('an API key has exactly its 150 calls', async () => {
    const replies = await storm(300, (url) => request(url, 'GET', '/api/v1/requests', { as: apiKey }))
    assert.deepEqual([countOf(replies, 200), countOf(replies, 429)], [150, 150])
  })

  test('60 wrong passwords at once: eleven are tried, and one more after each wait; each is counted', async () => {
    const body = JSON.stringify({ username: sampleAdmin, password: 'a wrong password' })
    // Each waits for its turn to be hashed, which can take a while on a busy machine.
    const guess = async (url: string): Promise<HttpReply> => {
      const headers = { 'content-type': 'application/json' }
      const reply = await fetch(`${url}/api/v1/auth/login`, { method: 'POST', headers, body })
      return { status: reply.status, body: await reply.json() }
    }
    const startedAt = performance.now()
    const replies = await storm(60, guess)
    const seconds = (performance.now() - startedAt) / 1_000
    const tried = countOf(replies, 401)
    assert.equal(tried + countOf(replies, 429), 60)
    // Real time passes here: after the eleventh there is one more after 1 s, after 2 s more, 4 s more ...
    const most = 11 + Math.floor(Math.log2(seconds + 1))
    assert.ok(tried >= 11 && tried <= most, `${tried} were tried in ${seconds} s, ${most} may be`)
    const tallies = await database.sql('select failures from attempt_tallies order by 1')
    assert.deepEqual(
      tallies.map(({ failures }) => failures),
      [tried, tried, tried],
    )
    const refused = replies.find(({ status }) => status === 429)
    assert.equal(refused?.body.code, 'auth.throttled')
  })

  test('strangers in this network have the remaining 40 of 100 calls; health checks still work', async () => {
    const replies = await storm(200, (url) => request(url, 'GET', '/api/v1/auth/me'))
    assert.deepEqual([countOf(replies, 401), countOf(replies, 429)], [40, 160])
    for (const url of urls) assert.equal((await request(url, 'GET', '/health')).status, 200)
  })
})
