import { Client, type Dispatcher, Pool } from 'undici'
import { type AttemptMeans, notSent, type PostResult, startAttempt } from './attempt.ts'
import { checkTarget } from './target-guard.ts'
import { stopped } from './transport-errors.ts'
import { type ConnectorOptions, createVettedConnector } from './vetted-connector.ts'

export interface PostTarget {
  /**
   * The organization that posts: connections are shared only within one. If organizations shared connections, 64 hanging
   * posts to a receiver would hold up everyone else's, and the timing of a post would reveal who else posts there.
   */
  readonly owner: string
  readonly url: string
  /** Sent unchanged, with `accept-encoding: identity` added. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Transport = ReturnType<typeof createTransport>

/** `timeoutMs` is for the whole attempt: waiting for a connection, name look-up, TLS, reply headers and reply body. */
export interface TransportOptions extends ConnectorOptions {
  /** Unix time in milliseconds, for a `Retry-After` that is a date. */
  readonly now?: () => number
}

const poolsKept = 500
const clientOptions = {
  pipelining: 1,
  allowH2: false,
  maxHeaderSize: 16 * 1024,
  keepAliveTimeout: 4_000,
  keepAliveMaxTimeout: 60_000,
  // A busy connection would outlive every change of the DNS; after this many posts the name is asked again.
  maxRequestsPerClient: 1_000,
  // The attempt's deadline covers both.
  headersTimeout: 0,
  bodyTimeout: 0,
} as const
const poolOptions = { ...clientOptions, connections: 64 } as const

/**
 * Posts to addresses that others chose: keep-alive connections, at most 64 per owner and origin, one request at a time on each, no
 * redirects, no decompression, no proxy variables. Every target is checked before every attempt, and every address before
 * every connection.
 */
export function createTransport(options: TransportOptions) {
  const connector = createVettedConnector(options)
  const pools = createPools((origin) => new Pool(origin, { ...poolOptions, connect: connector.connect }))
  const running = new Set<() => void>()
  let isStopped = false

  const meansFor = (owner: string, origin: string): AttemptMeans => {
    const pool = pools.get(owner, origin)
    return {
      what: options.rules.what,
      timeoutMs: options.timeoutMs,
      now: options.now ?? Date.now,
      isTls: origin.startsWith('https:'),
      send: (request, handler) => pool.dispatch(request, handler),
      sendOnNewConnection(request, handler) {
        const client = pools.track(new Client(origin, { ...clientOptions, connect: connector.connect }))
        const accepted = client.dispatch({ ...request, reset: true }, handler)
        pools.retire(client)
        return accepted
      },
      endedReusedConnection: connector.endedReusedConnection,
    }
  }

  /** Makes one attempt. Never throws: what goes wrong is in the result. */
  const post = async (target: PostTarget): Promise<PostResult> => {
    if (isStopped) return notSent(stopped)
    const verdict = checkTarget(target.url, options.rules)
    if (!verdict.ok) return notSent({ code: 'target_refused', message: verdict.reason })
    const { origin, pathname, search } = verdict.url
    const headers = { ...target.headers, 'accept-encoding': 'identity' }
    const request = { method: 'POST', path: pathname + search, headers, body: target.body }
    const attempt = startAttempt(request, meansFor(target.owner, origin))
    running.add(attempt.stop)
    const result = await attempt.result
    running.delete(attempt.stop)
    return result
  }

  /** Ends the attempts under way with `stopped`; once it resolves no socket and no timer is left. */
  const close = async (): Promise<void> => {
    isStopped = true
    for (const stop of running) stop()
    await Promise.all([pools.destroy(), connector.close()])
  }

  return { post, close }
}

/** The pools of the last 500 owners and origins. One that falls out finishes what it has begun and closes its connections. */
function createPools(create: (origin: string) => Pool) {
  const recent = new Map<string, Pool>()
  const open = new Set<Dispatcher>()

  const track = <D extends Dispatcher>(dispatcher: D): D => {
    open.add(dispatcher)
    return dispatcher
  }

  const retire = (dispatcher: Dispatcher): void => {
    // Rejects if `destroy` below ends it first; it is closed then too.
    const closed = () => open.delete(dispatcher)
    dispatcher.close().then(closed, closed)
  }

  const get = (owner: string, origin: string): Pool => {
    // No origin holds a space.
    const name = `${origin} ${owner}`
    const pool = recent.get(name) ?? track(create(origin))
    recent.delete(name)
    recent.set(name, pool)
    const oldest = recent.size > poolsKept ? recent.entries().next().value : undefined
    if (oldest) {
      recent.delete(oldest[0])
      retire(oldest[1])
    }
    return pool
  }

  const destroy = async (): Promise<void> => {
    recent.clear()
    await Promise.all([...open].map((dispatcher) => dispatcher.destroy()))
    open.clear()
  }

  return { get, track, retire, destroy }
}
