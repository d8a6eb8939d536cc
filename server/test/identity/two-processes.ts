import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type App, createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, type TestApp, testConfig } from '../harness.ts'

/** Another process of the same installation: only the database is shared. */
export function startOther(t: TestApp): Promise<App> {
  const log = createLog('silent', false)
  return createApp({ config: testConfig(), secretKey, connection: t.connection, log, clock: t.clock })
}

export async function statusAt(app: App, key: string, method: 'GET' | 'POST' = 'GET'): Promise<number> {
  const reply = await app.http.inject({
    method,
    url: '/api/v1/requests',
    headers: { authorization: `Bearer ${key}` },
    ...(method === 'POST' ? { payload: { title: 'May I?', context: {} } } : {}),
  })
  return reply.statusCode
}

/** Calls `look` until it returns true; fails if that is still not so for a call sent more than a second from now. */
export async function withinASecond(
  context: TestContext,
  look: () => Promise<number>,
  wanted: number,
  message: string,
): Promise<void> {
  const changed = performance.now()
  let lastOtherwise = changed
  await context.waitFor(
    async () => {
      const asked = performance.now()
      const status = await look()
      if (status !== wanted) lastOtherwise = asked
      assert.equal(status, wanted)
    },
    { interval: 20, timeout: 5_000 },
  )
  assert.ok(lastOtherwise - changed <= 1_000, `${message}: ${lastOtherwise - changed} ms after it`)
}
