import { Readable, Transform } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify'
import { createByteBudget } from '../platform/limits/byte-budget.ts'
import type { Problem } from '../platform/problem.ts'
import type { Client } from './client.ts'
import { overloaded } from './refusals.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Counts this many bytes until the reply is over, which a reader that stalls brings about; throws 503 when there is no room. */
    weigh(bytes: number): void
    /** Disconnects a reader that takes nothing for this long, and one that has not taken everything after `mostMs`. */
    endStalled(afterMs: number, mostMs?: number): void
  }
}

const mebibyte = 1_048_576
/** What a process holds at once: bodies until their call is over, replies until they are read. */
const mostBytes = {
  bodies: { callers: 24 * mebibyte, strangers: 8 * mebibyte },
  replies: { callers: 32 * mebibyte, strangers: 16 * mebibyte },
  // Bodies that their route reads piece by piece.
  streams: { callers: 128 * mebibyte, strangers: 0 },
} as const
/** What such a body holds: the piece that is gathered, and what its connection has read ahead. */
const streamedBody = 512 * 1_024
/** Smaller ones cost no more than the call itself. */
const unweighed = 4_096
/** A body of unannounced length is weighed in pieces. */
const pieceBytes = 65_536
/** What a connection takes at once, so that nothing is left to hold. */
const unweighedReply = 16_384
/** What a file or another stream holds while it waits for its reader. */
const streamBytes = 131_072
/** The slowest reader of a large reply: it may take breaks, but not for ever. */
const slowestBytesPerSecond = 16_384

/** Bounds the memory that callers can hold by sending slowly and reading slowly, each by itself and all together. */
export function boundBytesUnderWay(app: FastifyInstance, stalledAfterMs: number): void {
  const budgetsOf = ({ callers, strangers }: Record<'callers' | 'strangers', number>) => ({
    callers: createByteBudget(callers),
    strangers: createByteBudget(strangers),
  })
  const bodies = budgetsOf(mostBytes.bodies)
  const replies = budgetsOf(mostBytes.replies)
  const streams = budgetsOf(mostBytes.streams)

  const hold = (
    budgets: typeof bodies,
    { request, raw }: FastifyReply,
    bytes: number,
    how: 'take' | 'overdraw' = 'take',
  ): void => {
    // The caller is gone, and nothing would give them back.
    if (raw.destroyed) return
    const { actor, client } = request
    const [budget, holder, member] =
      actor === null ? [budgets.strangers, widestOf(client), null] : [budgets.callers, actor.organizationId, actor.id]
    if (!budget[how](holder, bytes, member)) throw overloaded()
    raw.once('close', () => budget.giveBack(holder, bytes, member))
  }

  /** A body of unannounced length: weighing its limit would refuse a dozen agents that stream small bodies at once. */
  const weighedAsItComes = (reply: FastifyReply, payload: RequestPayload): RequestPayload => {
    let room = unweighed
    const weighed = new Transform({
      transform: (chunk: Buffer, _encoding, passOn) => {
        room -= chunk.length
        try {
          if (room < 0) hold(bodies, reply, pieceBytes - room)
          if (room < 0) room = pieceBytes
          passOn(null, chunk)
        } catch (error) {
          reply.header('connection', 'close')
          passOn(error as Problem)
        }
      },
    })
    // A caller that hangs up ends the body, also where nobody reads it (any more): without a listener that would end the process.
    payload.on('error', (error) => weighed.destroy(error))
    return payload.pipe(weighed).on('error', () => {})
  }

  app.addHook('preParsing', (request, reply, payload, done) => {
    const isStreamed = request.routeOptions.config.streamsBody === true
    if (request.headers['transfer-encoding'] !== undefined && !isStreamed) {
      return done(null, weighedAsItComes(reply, payload))
    }
    const bytes = isStreamed ? streamedBody : bodyBytes(request)
    if (bytes <= unweighed) return done(null, payload)
    try {
      hold(isStreamed ? streams : bodies, reply, bytes)
      done(null, payload)
    } catch (error) {
      // The rest of the body is not read.
      reply.header('connection', 'close')
      done(error as Problem)
    }
  })

  // Who has no room for a reply is refused before the act. Its size is not known yet, so a larger one overdraws.
  app.addHook('preHandler', (request, reply, done) => {
    try {
      if (isAct(request) && request.actor !== null) hold(replies, reply, unweighedReply)
      done()
    } catch (error) {
      done(error as Problem)
    }
  })

  app.decorateReply('weigh', function (this: FastifyReply, bytes: number) {
    const isDone = isAct(this.request) && this.statusCode < 400
    hold(replies, this, bytes, isDone ? 'overdraw' : 'take')
    this.endStalled(stalledAfterMs, longest(bytes))
  })

  const bounded = new WeakSet<FastifyReply>()
  const longest = (bytes: number): number => stalledAfterMs + (bytes / slowestBytesPerSecond) * 1_000

  app.decorateReply('endStalled', function (this: FastifyReply, afterMs: number, mostMs?: number) {
    const { raw, request } = this
    bounded.add(this)
    const cut = (): void => {
      // Otherwise the reader is the one that waits.
      if (raw.writableLength === 0) return
      request.log.warn('a reply was ended: its reader took nothing, or too little')
      raw.destroy()
    }
    raw.setTimeout(afterMs, cut)
    if (mostMs === undefined) return
    const late = setTimeout(cut, mostMs).unref()
    raw.once('close', () => clearTimeout(late))
  })

  app.addHook('onSend', (_request, reply, payload, done) => {
    const isText = typeof payload === 'string'
    try {
      if (payload instanceof Readable) {
        // A route that knows what its stream holds has weighed it.
        if (bounded.has(reply)) return done(null, payload)
        hold(replies, reply, streamBytes)
        const bytes = Number(reply.getHeader('content-length'))
        reply.endStalled(stalledAfterMs, bytes > 0 ? longest(bytes) : undefined)
        return done(null, payload)
      }
      if ((!isText && !Buffer.isBuffer(payload)) || payload.length <= unweighedReply) return done(null, payload)
      // Bytes are kept once while they wait; text would be kept beside them.
      const sent = isText ? Buffer.from(payload) : payload
      reply.weigh(sent.length)
      done(null, sent)
    } catch (error) {
      if (payload instanceof Readable) payload.destroy()
      done(error as Problem)
    }
  })
}

/** What it does stays done, whatever becomes of its reply. */
const isAct = ({ method }: FastifyRequest): boolean => !['GET', 'HEAD', 'OPTIONS', 'QUERY'].includes(method)

/** In IPv6 the /48, because each of its 65 536 narrower networks would be a holder that may take all that is free. */
function widestOf({ network, networks }: Client): string {
  return networks.at(-1) ?? network
}

/** The most that the body can come to. One that is larger than allowed is refused without being read. */
function bodyBytes({ method, headers, routeOptions }: FastifyRequest): number {
  if (method === 'GET' || method === 'HEAD') return 0
  const limit = routeOptions.bodyLimit ?? mebibyte
  const bytes = Number(headers['content-length'] ?? 0)
  return bytes > limit ? 0 : bytes
}
