/**
 * The floor: what Node's own HTTP server and the driver can do with the same calls, one commit per act and nothing else. It
 * asks nobody who they are, checks nothing, keeps no audit and no lease, and does not try a callback twice. Its first message
 * is the connection to a database of its own; its only reply is the address it listens on.
 */
import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import type { Connection } from './plan.ts'

const statements = {
  insert: `insert into requests (id, body, callback_webhook, callback_secret, created_at) values ($1, $2, $3, $4, now())
    returning created_at`,
  respond: `update requests set state = 'responded', decision = $2, comment = $3, responded_at = now()
    where id = $1 and state = 'pending' returning callback_webhook, callback_secret, responded_at`,
  sent: `update requests set state = 'callback_sent', callback_sent_at = now() where id = $1`,
} as const

interface Owed {
  readonly callback_webhook: string
  readonly callback_secret: string
  readonly responded_at: Date
}

async function serve(connection: Connection): Promise<string> {
  // As many connections as the service has for calls and workers together.
  const pool = new pg.Pool({ ...connection, max: 20 })
  await pool.query(`create table requests (id uuid primary key, state text not null default 'pending', body json not null,
    callback_webhook text not null, callback_secret text not null, decision text, comment text,
    created_at timestamptz not null, responded_at timestamptz, callback_sent_at timestamptz)`)
  const agent = new Agent({ keepAlive: true })
  const commit = async <Row extends pg.QueryResultRow>(name: keyof typeof statements, values: readonly unknown[]) =>
    (await pool.query<Row>({ name, text: statements[name], values: [...values] })).rows[0]

  const create = async (body: string): Promise<string> => {
    const id = randomUUID()
    const { callback_webhook, callback_secret, ...asked } = JSON.parse(body)
    const row = await commit('insert', [id, body, callback_webhook, callback_secret])
    return JSON.stringify({ id, ...asked, state: 'pending', ...row })
  }

  const respond = async (id: string, body: string): Promise<string> => {
    const { decision, comment } = JSON.parse(body)
    const owed = await commit<Owed & pg.QueryResultRow>('respond', [id, decision, comment])
    if (owed === undefined) throw new Error('already decided')
    void callBack(id, decision, owed).then(() => commit('sent', [id]))
    return JSON.stringify({ id, state: 'responded', response: { decision, comment }, responded_at: owed.responded_at })
  }

  const callBack = async (id: string, decision: string, owed: Owed): Promise<void> => {
    const body = JSON.stringify({ event: 'request.responded', request_id: id, decision, timestamp: owed.responded_at })
    const signature = createHmac('sha256', owed.callback_secret).update(body).digest('hex')
    const headers = { 'content-type': 'application/json', 'x-webhook-signature': `sha256=${signature}` }
    const call = request(owed.callback_webhook, { method: 'POST', agent, headers }).end(body)
    const [reply] = (await once(call, 'response')) as [IncomingMessage]
    await text(reply)
  }

  const server = createServer(async (call, reply) => {
    const json = { 'content-type': 'application/json' }
    try {
      const body = await text(call)
      const id = /^\/api\/v1\/requests\/([^/]+)\/respond$/.exec(call.url ?? '')?.[1]
      const made = id === undefined ? await create(body) : await respond(id, body)
      reply.writeHead(id === undefined ? 201 : 200, json).end(made)
    } catch (error) {
      reply.writeHead(500, json).end(JSON.stringify({ detail: String(error) }))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

process.once('message', (connection: Connection) => {
  serve(connection).then(
    (url) => process.send?.({ url }),
    (error: unknown) => process.send?.({ failure: error instanceof Error ? (error.stack ?? '') : String(error) }),
  )
})
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
