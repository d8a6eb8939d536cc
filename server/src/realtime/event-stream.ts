import type { FastifyReply } from 'fastify'
import { Problem } from '../platform/problem.ts'
import type { StreamEvent } from './waits.ts'

export const eventStreamType = 'text/event-stream; charset=utf-8'
/** Proxies end connections on which nothing passes for long, often after 30 s. */
export const beatMs = 15_000
/** When a client that was disconnected connects again. */
const retryMs = 2_000
/** A connection takes as much at once, so that nothing is left to hold. */
const unweighed = 16_384

export type EventStream = ReturnType<typeof openEventStream>

/** Sends the head of server-sent events (WHATWG HTML, 9.2). A reader that takes nothing for `stalledAfterMs` is disconnected. */
export function beginEventStream(reply: FastifyReply, stalledAfterMs: number): void {
  const { raw } = reply
  reply.hijack()
  reply.endStalled(stalledAfterMs)
  // nginx would hold events back until its buffer is full.
  reply.header('content-type', eventStreamType).header('x-accel-buffering', 'no')
  raw.writeHead(200, reply.getHeaders() as Record<string, string>)
  raw.write(`retry: ${retryMs}\n\n`)
}

export function openEventStream(reply: FastifyReply, stalledAfterMs: number) {
  const { raw } = reply
  beginEventStream(reply, stalledAfterMs)
  const beat = setInterval(() => {
    if (raw.writableLength === 0) raw.write(':\n\n')
  }, beatMs)
  raw.once('close', () => clearInterval(beat))

  return {
    /** False when there is no room for it: the stream has to end, and its reader asks again. */
    send: (event: StreamEvent): boolean => {
      const text = textOf(event)
      const bytes = Buffer.byteLength(text)
      try {
        if (bytes > unweighed) reply.weigh(bytes)
      } catch (error) {
        if (error instanceof Problem) return false
        throw error
      }
      raw.write(text)
      return true
    },
    end: (): void => {
      clearInterval(beat)
      raw.end()
    },
  }
}

/** A line end in the data, which the agent may have written into its metadata, begins another data line. */
export function textOf({ id, name, data }: Omit<StreamEvent, 'id'> & { readonly id: string | null }): string {
  return `${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: ${data.replaceAll(/\r\n|\r|\n/g, '\ndata: ')}\n\n`
}
