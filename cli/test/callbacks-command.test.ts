import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, beforeEach, describe, test } from 'node:test'
import { hitl } from './hitl-process.ts'

const token = 'eyJhbGciOiJIUzI1NiJ9.e30.s3cret-signature'
const callback = (n: number) => ({
  request_id: `01890f3e-5c2a-7bbb-8a3b-${String(n).padStart(12, '0')}`,
  webhook_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a63',
  url: 'https://agent.example.com/hitl',
  target: 'https://agent.example.com',
  status: 'failed',
  attempts: 4,
  next_attempt_at: '2026-01-31T09:06:15.000Z',
  last_error: 'The receiver replied 503; only 2xx counts as received.\u001b[31m',
  created_at: '2026-01-31T09:05:00.003Z',
  updated_at: '2026-01-31T09:05:15.000Z',
})

/** A service that gives the replies of the test, one after the other, and records the calls. */
let replies: (readonly [status: number, body: unknown])[] = []
const asked: { readonly method: string; readonly url: string; readonly token: string; readonly body: unknown }[] = []
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return chunks.length === 0 ? null : JSON.parse(Buffer.concat(chunks).toString())
}
const server = createServer(async (request, response) => {
  const { method = '', url = '', headers } = request
  asked.push({ method, url, token: String(headers.authorization), body: await bodyOf(request) })
  const [status, body] = replies.shift() ?? [500, {}]
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
after(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  asked.length = 0
})

const run = (...args: readonly string[]) =>
  hitl(['callbacks', ...args, '--url', url], { environment: { HITL_TOKEN: token } })

describe('hitl callbacks list', () => {
  test('goes through the pages up to --limit, with the filters', async () => {
    replies = [
      [200, { items: [callback(1), callback(2)], next_cursor: 'YQ' }],
      [200, { items: [], next_cursor: 'Yg' }],
      [200, { items: [callback(3)], next_cursor: null }],
    ]
    const { code, stdout } = await run('list', '--status', 'failed', '--target', 'https://agent.example.com')
    assert.equal(code, 0)
    assert.equal(stdout.split('\n').filter((line) => /^2026.* failed .* 4 attempts, next 2026/.test(line)).length, 3)
    assert.ok(stdout.includes('only 2xx counts as received.[U+001B]'), 'no terminal codes')
    assert.equal(asked[0]?.url, '/api/v1/callbacks?status=failed&target=https%3A%2F%2Fagent.example.com&limit=50')
    assert.match(asked[1]?.url ?? '', /limit=48&cursor=YQ$/)
    assert.equal(asked[2]?.token, `Bearer ${token}`)
  })

  test('--json, and what is left over', async () => {
    replies = [[200, { items: [callback(1)], next_cursor: 'YQ' }]]
    const { stdout } = await run('list', '--limit', '1', '--json')
    assert.deepEqual(JSON.parse(stdout), { callbacks: [callback(1)], complete: false })
  })

  test('none', async () => {
    replies = [[200, { items: [], next_cursor: null }]]
    assert.equal((await run('list')).stdout, 'There are no such callbacks.\n')
  })
})

describe('hitl callbacks redeliver', () => {
  test('asks until everything is due again', async () => {
    replies = [
      [202, { redelivered: 500, skipped: 0, next_cursor: 'YQ' }],
      [202, { redelivered: 99, skipped: 1, next_cursor: null }],
    ]
    const { code, stdout } = await run('redeliver', '--status', 'sent', '--since', '2026-01-31T12:00:00Z')
    assert.equal(code, 0)
    assert.equal(stdout, '599 callbacks are due again. 1 skipped: somebody else was first.\n')
    const filter = { status: 'sent', since: '2026-01-31T12:00:00Z', limit: 500 }
    assert.deepEqual(
      asked.map(({ method, body }) => [method, body]),
      [
        ['POST', filter],
        ['POST', { ...filter, cursor: 'YQ' }],
      ],
    )
  })

  for (const [redelivered, text] of [
    [0, 'There is no such callback to send again.\n'],
    [1, '1 callback is due again.\n'],
  ] as const) {
    test(`says it of ${redelivered}`, async () => {
      replies = [[202, { redelivered, skipped: 0, next_cursor: null }]]
      assert.equal((await run('redeliver')).stdout, text)
    })
  }

  test('the reason of a refusal, exit code 1', async () => {
    replies = [[403, { code: 'permission.denied', detail: 'Your role may not do this.' }]]
    const { code, stderr } = await run('redeliver')
    assert.equal(code, 1)
    assert.match(stderr, /Your role may not do this\./)
  })

  test('a wrong --limit, and no token: exit code 64', async () => {
    assert.equal((await run('redeliver', '--limit', '0')).code, 64)
    const { code, stderr } = await hitl(['callbacks', 'redeliver', '--url', url], { environment: { HITL_TOKEN: '' } })
    assert.equal(code, 64)
    assert.match(stderr, /HITL_TOKEN/)
    assert.equal(asked.length, 0)
  })
})
