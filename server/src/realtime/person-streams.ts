import { randomInt } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import type { WebSocket } from 'ws'
import type { Caller, Person } from '../identity/principal.ts'
import { type ByteBudget, createByteBudget } from '../platform/limits/byte-budget.ts'
import { createSlots } from '../platform/limits/slots.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import { Problem, refusal } from '../platform/problem.ts'
import { beatMs, beginEventStream } from './event-stream.ts'
import type { createFeed, Subscriber } from './feed.ts'
import type { Batch } from './messages.ts'
import { noRoomToWait, tooManyWaits } from './waits.ts'

/** Tabs of browsers share one stream, so this is a person with many devices. */
export const mostStreamsOfPerson = 20

export const tooManyStreams = refusal(429, 'realtime.too_many_streams', {
  detail: `You have ${mostStreamsOfPerson} streams of your inbox open here, and that is as many as you may. Close one, or share one among your pages.`,
  headers: { 'retry-after': '5' },
})

/** What of a stream its reader has not taken; beyond, it is disconnected and asks again for what it missed. */
const mostUnsentBytes = 262_144
/** A connection takes as much at once, so that nothing is left to hold. */
const unweighed = 16_384
/** What all of those together come to that are behind. */
const behindBytes = 32 * 1_048_576
/** With the 800 ms that a credential is kept, a stream ends within a second of its revocation: see credential-cache.ts. */
const allowedForMs = 200
const checksAtOnce = 512
/** When readers come back after a stop: not all at once. */
const comeBackMs = [500, 3_000] as const

/** How a stream reaches its reader. */
export interface Transport {
  readonly send: (batch: Batch) => void
  /** Keeps proxies from ending a quiet connection. */
  readonly beat: () => void
  readonly end: (why: EndOfStream) => void
}

/** refused: its reader may not have it any more; stopping: this process ends. */
export type EndOfStream = 'refused' | 'stopping'

interface Open {
  readonly transport: Transport
  readonly credential: string
  readonly allowAgain: () => Promise<void>
  /** What is unsent may still be read; nothing more is sent. */
  readonly end: (why: EndOfStream) => void
}

export interface Opening {
  readonly by: Caller<Person>
  /** Streams with the same one may go on, or may not, for the same reasons. */
  readonly credential: string
  readonly allowAgain: () => Promise<void>
  readonly lastEventId: string | null
  /** Called once there is a place for it. */
  readonly connect: () => Transport
  readonly onGone: (act: () => void) => void
}

export type PersonStreams = ReturnType<typeof createPersonStreams>

/** The open streams of people in this process: how many, for how long, and what they hold. */
export function createPersonStreams(dependencies: {
  readonly feed: Pick<ReturnType<typeof createFeed>, 'join' | 'leave'>
  /** Places of waits and streams. */
  readonly budget: ByteBudget
  readonly log: Logger
}) {
  const { feed, budget, log } = dependencies
  const byCredential = new Map<string, Set<Open>>()
  const ofPerson = new Map<string, number>()
  let size = 0

  const remove = (open: Open): void => {
    const same = byCredential.get(open.credential)
    same?.delete(open)
    if (same?.size === 0) byCredential.delete(open.credential)
  }

  const check = createSlots(checksAtOnce)
  const checking = createLoop('the credentials of inbox streams', allowedForMs, log, async () => {
    const checkOne = async (same: ReadonlySet<Open>): Promise<void> => {
      const [first] = same
      try {
        await first?.allowAgain()
      } catch (error) {
        // While the database is away, nobody is refused.
        if (!(error instanceof Problem) || error.status >= 500) return
        for (const { end } of same) end('refused')
      }
    }
    await Promise.all([...byCredential.values()].map((same) => check(() => checkOne(same))))
    return false
  })
  const everyOpen = () => [...byCredential.values()].flatMap((same) => [...same])
  const beating: Loop = createLoop('the beat of inbox streams', beatMs, log, async () => {
    for (const { transport } of everyOpen()) transport.beat()
    return false
  })

  return {
    get size() {
      return size
    },
    /** Throws 429 or 503 where there is no place for it. */
    open: ({ by, credential, allowAgain, lastEventId, connect, onGone }: Opening): void => {
      const { organizationId, userId } = by.principal
      const person = `${organizationId} ${userId}`
      const own = ofPerson.get(person) ?? 0
      if (own >= mostStreamsOfPerson) throw tooManyStreams()
      if (!budget.take(organizationId, 1)) throw budget.room(null) < 1 ? noRoomToWait() : tooManyWaits()
      ofPerson.set(person, own + 1)
      size += 1
      const giveBack = (): void => {
        budget.giveBack(organizationId, 1)
        size -= 1
        const left = (ofPerson.get(person) ?? 1) - 1
        if (left === 0) ofPerson.delete(person)
        else ofPerson.set(person, left)
      }
      let transport: Transport
      try {
        transport = connect()
      } catch (error) {
        giveBack()
        throw error
      }
      const subscriber: Subscriber = { organizationId, userId, lastEventId, send: transport.send }
      const leave = (): void => {
        feed.leave(subscriber)
        remove(open)
      }
      const end = (why: EndOfStream): void => {
        leave()
        transport.end(why)
      }
      const open: Open = { transport, credential, allowAgain, end }
      const same = byCredential.get(credential)
      if (same === undefined) byCredential.set(credential, new Set([open]))
      else same.add(open)
      feed.join(subscriber)
      onGone(() => {
        leave()
        giveBack()
      })
    },
    stop: (): void => {
      for (const { end } of everyOpen()) end('stopping')
    },
    loops: [checking, beating],
  }
}

/** What a slow reader holds: the part that is beyond what its connection takes counts, in shares of organizations. */
export function createSlowReaders() {
  const behind = createByteBudget(behindBytes)
  const weigh = (organizationId: string, out: Out): void => {
    if (out.held > 0 || out.unsent() <= unweighed) return
    // All that it may come to, so that it is counted once.
    if (behind.take(organizationId, mostUnsentBytes)) out.held = mostUnsentBytes
    else out.disconnect()
  }
  const giveBack = (organizationId: string, out: Out): void => {
    if (out.held > 0) behind.giveBack(organizationId, out.held)
    out.held = 0
  }
  return {
    /** Writes, or disconnects a reader that has too much unsent. */
    write: (organizationId: string, out: Out, text: Buffer | string): void => {
      if (out.unsent() + text.length > mostUnsentBytes) {
        out.disconnect()
        return
      }
      out.write(text, () => {
        if (out.unsent() <= unweighed) giveBack(organizationId, out)
      })
      // Node passes on what is written in one turn at its end: what is unsent then was not taken.
      if (out.held === 0 && out.unsent() > unweighed) process.nextTick(weigh, organizationId, out)
    },
    /** Its connection is closed. */
    gone: giveBack,
  }
}

export type SlowReaders = ReturnType<typeof createSlowReaders>

/** A connection as `createSlowReaders` sees it. */
export interface Out {
  held: number
  readonly unsent: () => number
  /** Calls back once its connection has taken all of this text. */
  readonly write: (text: Buffer | string, taken: () => void) => void
  readonly disconnect: () => void
}

/** RFC 6455, 7.4.1, and the registry of close codes at IANA (1012: service restart). */
const closeCodes = { refused: 1008, stopping: 1012, talks: 1003 } as const
/** A peer that does not close its side is cut off. */
const closedAfterMs = 1_000

/** A WebSocket that only tells. */
export function connectWebSocket(
  socket: WebSocket,
  organizationId: string,
  { slow, log }: { readonly slow: SlowReaders; readonly log: Pick<Logger, 'info'> },
): Transport {
  let answered = true
  const out: Out = {
    held: 0,
    unsent: () => socket.bufferedAmount,
    write: (text, taken) => socket.send(text, { binary: false }, taken),
    disconnect: () => {
      log.info('a WebSocket was ended: its reader took too little')
      socket.terminate()
    },
  }
  const close = (code: number): void => {
    socket.close(code)
    setTimeout(() => socket.terminate(), closedAfterMs).unref()
  }
  socket.once('close', () => slow.gone(organizationId, out))
  socket.on('pong', () => {
    answered = true
  })
  // Too much, or no WebSocket at all: the library closes with the code that says so.
  socket.on('error', () => {})
  socket.on('message', () => close(closeCodes.talks))
  const isOpen = (): boolean => socket.readyState === socket.OPEN
  return {
    send: (batch) => {
      for (const frame of batch.frames()) if (isOpen()) slow.write(organizationId, out, frame)
    },
    beat: () => {
      if (!answered) socket.terminate()
      else if (isOpen()) socket.ping()
      answered = false
    },
    end: (why) => close(closeCodes[why]),
  }
}

/** Server-sent events. */
export function connectEventStream(
  reply: FastifyReply,
  organizationId: string,
  { slow, stalledAfterMs }: { readonly slow: SlowReaders; readonly stalledAfterMs: number },
): Transport {
  const { raw } = reply
  beginEventStream(reply, stalledAfterMs)
  const out: Out = {
    held: 0,
    unsent: () => raw.writableLength,
    write: (text, taken) => void raw.write(text, taken),
    disconnect: () => {
      if (raw.destroyed) return
      reply.log.info('a stream was ended: its reader took too little')
      raw.destroy()
    },
  }
  raw.once('close', () => slow.gone(organizationId, out))
  const isOver = (): boolean => raw.destroyed || raw.writableEnded
  return {
    send: (batch) => {
      if (!isOver()) slow.write(organizationId, out, batch.events())
    },
    beat: () => {
      if (!isOver() && raw.writableLength === 0) raw.write(':\n\n')
    },
    end: (why) => {
      if (isOver()) return
      if (why === 'stopping') raw.write(`retry: ${randomInt(...comeBackMs)}\n\n`)
      raw.end()
    },
  }
}
