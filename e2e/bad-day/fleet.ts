import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { Agent } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import type { Receiver } from '../../server/test/receivers.ts'
import { type HttpReply, request } from '../../server/test/service-process.ts'

type Outcome = 'approve' | 'reject' | 'cancelled'

/** One consultation: what was asked of the service, and what it has acknowledged. */
export interface Entry {
  readonly n: number
  readonly wanted: Outcome
  readonly receiver: Receiver
  id: string | null
  /** Set by the reply to the act, or found after a reply that never came. */
  decided: boolean
  response: unknown
}

export interface Fleet {
  readonly entries: readonly Entry[]
  /** Calls that were not acknowledged: connections lost, 502, 503 and 504. They are repeated. */
  readonly failures: readonly string[]
  /** Replies that no fault explains. */
  readonly surprises: string[]
  readonly finished: number
  /** One consultation beside the load, from the creation to the decision. */
  lifecycle(receiver?: Receiver): Promise<Entry>
  call(method: string, path: string, options?: { readonly as?: string; readonly body?: unknown }): Promise<HttpReply>
  /** Begins nothing new, and finishes what is under way. */
  stop(): Promise<void>
}

export interface FleetOptions {
  readonly url: string
  readonly certificate: string
  readonly key: string
  readonly token: string
  readonly receiver: Receiver
}

export const callbackSecret = 'a secret of the fleet'
/** At most one new consultation in this time, and so many under way. */
const paceMs = 60
const lanes = 10
const pauseMs = 100

/** Agents that ask and withdraw and a reviewer who answers, all the time, each call repeated until it is acknowledged. */
export function startFleet({ url, certificate, key, token, receiver }: FleetOptions): Fleet {
  const agent = new Agent({ ca: certificate, keepAlive: true })
  const entries: Entry[] = []
  const failures: string[] = []
  const surprises: string[] = []
  const underWay = new Set<Promise<unknown>>()
  let finished = 0
  let stopped = false

  const call: Fleet['call'] = (method, path, options = {}) =>
    request(url, method, `/api/v1${path}`, { ...options, agent })
  /** The acknowledged reply, or null. */
  const attempt = async (wanted: number, ...args: Parameters<typeof request>): Promise<HttpReply | null> => {
    try {
      const reply = await request(...args)
      if (reply.status === wanted || reply.status === 409) return reply
      const text = `${args[1]} ${args[2]}: ${reply.status} ${JSON.stringify(reply.body).slice(0, 200)}`
      ;([502, 503, 504].includes(reply.status) ? failures : surprises).push(text)
    } catch (error) {
      failures.push(`${args[1]} ${args[2]}: ${error}`)
    }
    await delay(pauseMs)
    return null
  }
  const until = async (wanted: number, ...args: Parameters<typeof request>): Promise<HttpReply> => {
    for (;;) {
      const reply = await attempt(wanted, ...args)
      if (reply !== null) return reply
    }
  }

  const decide = async (entry: Entry): Promise<void> => {
    const { wanted, n } = entry
    const [path, as, body] =
      wanted === 'cancelled'
        ? ['cancel', key, undefined]
        : ['respond', token, { decision: wanted, comment: `Comment ${n}` }]
    for (;;) {
      const reply = await attempt(200, url, 'POST', `/api/v1/requests/${entry.id}/${path}`, {
        as,
        agent,
        ...(body && { body }),
      })
      if (reply?.status === 200) {
        entry.response = reply.body.response
        return
      }
      // The act may have been done although its reply was lost.
      const found = await until(200, url, 'GET', `/api/v1/requests/${entry.id}`, { as: key, agent })
      if (found.body.state === 'pending') continue
      entry.response = found.body.response
      return
    }
  }
  const lifecycle = async (to: Receiver = receiver): Promise<Entry> => {
    const n = entries.length
    const wanted = n % 5 === 4 ? 'cancelled' : n % 2 === 0 ? 'approve' : 'reject'
    const entry: Entry = { n, wanted, receiver: to, id: null, decided: false, response: null }
    entries.push(entry)
    const body = {
      title: `Request ${n}`,
      context: { n },
      metadata: { n },
      callback_webhook: to.url,
      callback_secret: callbackSecret,
    }
    const created = await until(201, url, 'POST', '/api/v1/requests', { as: key, body, agent, key: `entry-${n}` })
    assert.equal(created.status, 201, JSON.stringify(created.body))
    entry.id = created.body.id
    await decide(entry)
    entry.decided = true
    finished += 1
    return entry
  }

  const turn = setInterval(() => {
    if (underWay.size >= lanes) return
    const one = lifecycle().catch((error: unknown) => surprises.push(String(error)))
    underWay.add(one)
    void one.then(() => underWay.delete(one))
  }, paceMs)
  return {
    entries,
    failures,
    surprises,
    get finished() {
      return finished
    },
    lifecycle,
    call,
    stop: async () => {
      if (stopped) return
      stopped = true
      clearInterval(turn)
      await Promise.all(underWay)
    },
  }
}

/** Each callback is signed over the bytes that came, is that of an entry, and has one id over all its attempts. */
export function verifyCallbacks(entries: readonly Entry[]): void {
  const byId = new Map(entries.map((entry) => [entry.id, entry]))
  const ids = new Map<string, unknown>()
  const received = [...new Set(entries.map(({ receiver }) => receiver))].flatMap(({ requests }) => requests)
  for (const { headers, body } of received) {
    const { request_id: id, event, response, metadata } = JSON.parse(body.toString())
    const entry = byId.get(id)
    assert.ok(entry, `a callback for ${id}, which nobody asked for`)
    const wanted = entry.wanted === 'cancelled' ? 'request.cancelled' : 'request.responded'
    assert.equal(event, wanted)
    assert.deepEqual(metadata, { n: entry.n })
    assert.deepEqual(response ?? null, entry.response)
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    const hmac = (text: string | Buffer, encoding: 'hex' | 'base64') =>
      createHmac('sha256', callbackSecret).update(text).digest(encoding)
    assert.equal(headers['webhook-signature'], `v1,${hmac(signed, 'base64')}`)
    assert.equal(headers['x-webhook-signature'], `sha256=${hmac(body, 'hex')}`)
    assert.equal(ids.get(id) ?? headers['webhook-id'], headers['webhook-id'], 'one id over all attempts')
    ids.set(id, headers['webhook-id'])
  }
  assert.deepEqual(
    entries.filter(({ id }) => !ids.has(id ?? '')).map(({ n, wanted }) => `${n} ${wanted}`),
    [],
    'never called back',
  )
  assert.equal(new Set(ids.values()).size, entries.length, 'each has its own id')
}
