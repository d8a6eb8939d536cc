import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort } from '../server/test/receivers.ts'
import { externalDatabase, login, request, startService, untilReady } from '../server/test/service-process.ts'

/** At 500 creates a second, five seconds; a slower machine takes longer. */
const wanted = 2_500
const atOnce = 32
const path = '/api/v1/requests'

interface Item {
  readonly id: string
  readonly state: string
  readonly updated_at: string
}

/** Polls as fast as it gets replies; the newest state that it has seen of each request. */
function startPoller(
  call: (path: string) => Promise<{ body: { items: Item[]; next_cursor: string | null; watermark: string } }>,
  by: 'updated_at' | 'watermark',
) {
  const seen = new Map<string, string>()
  let since = '1970-01-01T00:00:00.000Z'
  let polls = 0
  const poll = async (): Promise<number> => {
    const from = since
    let [cursor, found]: [string | null, number] = ['', 0]
    while (cursor !== null) {
      const { body } = await call(`${path}?limit=100&updated_after=${from}${cursor && `&cursor=${cursor}`}`)
      for (const item of body.items) {
        seen.set(item.id, item.state)
        found += 1
        if (by === 'updated_at' && item.updated_at > since) since = item.updated_at
      }
      if (by === 'watermark' && cursor === '') since = body.watermark
      cursor = body.next_cursor
    }
    polls += 1
    return found
  }
  return { seen, poll, polls: () => polls }
}

for (const workers of ['1', '2']) {
  test(`strict pollers miss none of ${wanted} requests and of their answers, WORKERS=${workers}`, async (c) => {
    const cwd = await mkdtemp(join(tmpdir(), 'hitl polling '))
    const database = await externalDatabase()
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const secrets = {
      SECRET_KEY: 'a key that is long enough for this test',
      ADMIN_EMAIL: 'admin@example.com',
      ADMIN_PASSWORD: 'a long enough password',
    }
    const environment = {
      ...database.environment,
      ...secrets,
      WORKERS: workers,
      PORT: String(port),
      LOG_LEVEL: 'warn',
      RATE_LIMIT_ADDRESS: '1000000/60',
    }
    const service = startService({ cwd, environment })
    const agent = new Agent({ keepAlive: true, maxSockets: atOnce + 8 })
    c.after(async () => {
      agent.destroy()
      await service.end('SIGTERM')
      await database.drop()
      await rm(cwd, { recursive: true, force: true })
    })
    await untilReady(service, url)
    const admin = await login(url, secrets.ADMIN_EMAIL, secrets.ADMIN_PASSWORD)
    const made = await request(url, 'POST', '/api/v1/api-keys', { as: admin, body: { name: 'asker' } })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    const key: string = made.body.key

    const expected = new Map<string, string>()
    let [left, lastError]: [number, string | null] = [wanted, null]
    const work = async (number: number): Promise<void> => {
      while (left > 0 && lastError === null) {
        left -= 1
        const asked = await request(url, 'POST', path, { as: key, body: { title: 'x', context: {} }, agent })
        if (asked.status !== 201) lastError = JSON.stringify(asked.body)
        expected.set(asked.body.id, 'pending')
        if ((left + number) % 3 !== 0) continue
        const answered = await request(url, 'POST', `${path}/${asked.body.id}/respond`, {
          as: admin,
          body: { decision: 'approve' },
          agent,
        })
        if (answered.status !== 200) lastError = JSON.stringify(answered.body)
        expected.set(asked.body.id, 'responded')
      }
    }
    const pollers = (['updated_at', 'watermark'] as const).map((by) =>
      startPoller((query) => request(url, 'GET', query, { as: admin, agent }), by),
    )
    const began = performance.now()
    let isOver = false
    const polling = pollers.map(async ({ poll }) => {
      while (!isOver) await poll()
    })
    await Promise.all(Array.from({ length: atOnce }, (_, number) => work(number)))
    const seconds = (performance.now() - began) / 1_000
    isOver = true
    await Promise.all(polling)
    assert.equal(lastError, null)
    for (const { poll, seen, polls } of pollers) {
      while ((await poll()) > 0);
      const missed = [...expected].filter(([id, state]) => seen.get(id) !== state)
      c.diagnostic(`${Math.round(expected.size / seconds)} creates/s, ${polls()} polls, ${missed.length} missed`)
      assert.deepEqual(missed.slice(0, 3), [])
    }
  })
}
