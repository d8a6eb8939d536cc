// The whole story in one terminal, with a real service on a throw-away folder, a real receiver and real HTTP: `npm run demo`.
import type { ChildProcess } from 'node:child_process'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { caller, say, show } from './demo/client.ts'
import { type Callback, freePort, startReceiver, startService } from './demo/processes.ts'
import { scenes } from './demo/scenes.ts'

const secret = 'a secret that only the agent and the service share'

function verify({ headers, body }: Callback): boolean {
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)
  const given = Buffer.from(String(headers['x-webhook-signature']))
  return given.length === expected.length && timingSafeEqual(given, expected)
}

const dataDir = await mkdtemp(join(tmpdir(), 'hitl-demo-'))
const receiver = await startReceiver()
const port = await freePort()
const api = `http://127.0.0.1:${port}/api/v1`
let service: ChildProcess | null = null
try {
  say('1. Starting the service with its own PostgreSQL on an empty folder ...')
  const { child, apiKey } = await startService(dataDir, port)
  service = child
  say(`   ready at http://127.0.0.1:${port}\n`)

  say('2. The agent must not decide this alone, so it asks:')
  const agent = caller(api, 'agent', apiKey)
  const asked = await agent.call('POST', '/requests', {
    title: 'Delete 3 unused volumes in production?',
    context: { volumes: ['vol-1', 'vol-2', 'vol-3'], monthly_cost: 42.5 },
    metadata: { run: 'cleanup-7' },
    callback_webhook: receiver.url,
    callback_secret: secret,
  })
  show({ id: asked.id, title: asked.title, state: asked.state, timeout_at: asked.timeout_at })

  say('\n3. A reviewer signs in, reads the request and answers it:')
  const login = { username: 'reviewer@example.com', password: 'password123' }
  const { access_token: token } = await caller(api, '', null).call('POST', '/auth/login', login)
  const person = caller(api, 'person', token)
  const answered = await person.call('POST', `/requests/${asked.id}/respond`, {
    decision: 'approve',
    comment: 'Fine, but keep vol-2.',
  })
  show({ state: answered.state, response: answered.response })

  say('\n4. The agent is called back:')
  const callback = await receiver.callback
  for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature', 'x-webhook-signature']) {
    say(`   ${name}: ${callback.headers[name]}`)
  }
  show(JSON.parse(callback.body.toString('utf8')))

  if (!verify(callback)) throw new Error('the signature does not match the bytes that were received')
  say('   The signature matches the bytes that were received. The agent may go on.')

  for (const [n, scene] of scenes.entries()) {
    process.stdout.write(`\n${n + 5}. `)
    await scene({ agent, person })
  }
  say('\nAll of it went as it should.')
} finally {
  receiver.server.close()
  if (service !== null && service.exitCode === null) {
    service.kill('SIGTERM')
    await once(service, 'exit')
  }
  await rm(dataDir, { recursive: true, force: true })
}
