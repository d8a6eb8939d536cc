// The whole story in one terminal, with a real service on a throw-away folder, a real receiver and real HTTP: `npm run demo`.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '..')
const secret = 'a secret that only the agent and the service share'

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const show = (value: unknown): void => say(JSON.stringify(value, null, 2).replace(/^/gm, '   '))

interface Callback {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** The agent's web server, which receives the answer. */
async function startReceiver() {
  const first = Promise.withResolvers<Callback>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    response.end('thanks')
    first.resolve({ headers: request.headers, body: Buffer.concat(chunks) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hitl`, callback: first.promise, server }
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Starts the service as `npm start` does and reads the API key from the block it prints. */
async function startService(
  dataDir: string,
  port: number,
): Promise<{ readonly child: ChildProcess; readonly apiKey: string }> {
  const child = spawn(process.execPath, ['server/src/main.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      DATA_DIR: dataDir,
      PORT: String(port),
      DEMO: 'true',
      NODE_ENV: 'development',
      LOG_LEVEL: 'error',
    },
  })
  const exit = once(child, 'exit').then(([code]) => {
    throw new Error(`the service ended with code ${code}`)
  })
  const apiKey = (async () => {
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      const key = /Sample API key +(\S+)/.exec(line)?.[1]
      if (key !== undefined) return key
    }
    throw new Error('the service ended before it was ready')
  })()
  return { child, apiKey: await Promise.race([apiKey, exit]) }
}

async function call(url: string, token: string | null, body?: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const reply = (await response.json()) as Record<string, unknown>
  if (!response.ok) throw new Error(`${url} returned ${response.status}: ${reply.detail}`)
  return reply
}

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
  const asked = await call(`${api}/requests`, apiKey, {
    title: 'Delete 3 unused volumes in production?',
    context: { volumes: ['vol-1', 'vol-2', 'vol-3'], monthly_cost: 42.5 },
    metadata: { run: 'cleanup-7' },
    callback_webhook: receiver.url,
    callback_secret: secret,
  })
  show({ id: asked.id, title: asked.title, state: asked.state, timeout_at: asked.timeout_at })

  say('\n3. A reviewer signs in, reads the request and answers it:')
  const login = await call(`${api}/auth/login`, null, { username: 'reviewer@example.com', password: 'password123' })
  const answered = await call(`${api}/requests/${asked.id}/respond`, String(login.access_token), {
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
  say('\n5. The signature matches the bytes that were received. The agent may go on.')
} finally {
  receiver.server.close()
  if (service !== null && service.exitCode === null) {
    service.kill('SIGTERM')
    await once(service, 'exit')
  }
  await rm(dataDir, { recursive: true, force: true })
}
