import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '../..')

export interface Callback {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** The agent's web server, which receives the answers. */
export async function startReceiver() {
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

export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Starts the service as `npm start` does and reads the API key from the block it prints. */
export async function startService(
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
