import { hash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { RateLimits } from '../http/rate-limits.ts'
import { unauthenticated } from '../http/refusals.ts'

/** The text format of Prometheus, 0.0.4. */
const contentType = 'text/plain; version=0.0.4; charset=utf-8'

export type Scrape = () => Promise<string>

/** In constant time, whatever its length. */
function holds(token: string, header: string | undefined): boolean {
  const [, given = ''] = /^Bearer +(\S+)$/i.exec(header ?? '') ?? []
  const digest = (text: string): Buffer => hash('sha256', text, 'buffer')
  return timingSafeEqual(digest(given), digest(token))
}

/** On the port of the API. A wrong token counts like every other call without valid credentials. */
export function registerMetrics(http: FastifyInstance, limits: RateLimits, token: string, scrape: Scrape): void {
  const route = { config: { uncounted: true, isProbe: true }, schema: { hide: true } }
  http.get('/metrics', route, async (request, reply) => {
    if (!holds(token, request.headers.authorization)) {
      await limits.countStranger(request.client, reply)
      throw unauthenticated()
    }
    return reply.type(contentType).send(await scrape())
  })
}

/** On a port of its own, which serves nothing else. */
export async function listenForMetrics(
  { host, port, token }: { readonly host: string; readonly port: number; readonly token: string | null },
  scrape: Scrape,
): Promise<Server> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000 }, (request, response) => {
    const status = request.method !== 'GET' || request.url !== '/metrics' ? 404 : 200
    if (status === 404) return void response.writeHead(404).end()
    if (token !== null && !holds(token, request.headers.authorization)) {
      return void response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
    }
    scrape().then(
      (text) => response.writeHead(200, { 'content-type': contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  // Scrapers are few.
  server.maxConnections = 32
  server.listen({ host, port })
  await once(server, 'listening')
  return server
}
