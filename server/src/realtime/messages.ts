import { textOf } from './event-stream.ts'

export const messageEvents = ['reset', 'request.new', 'request.changed', 'counts', 'presence'] as const

export interface Message {
  /** Where its reader goes on after it; null: it says how things are now, and is not repeated. */
  readonly id: string | null
  readonly event: (typeof messageEvents)[number]
  /** JSON. */
  readonly data: string
}

/** Messages that many streams are sent: each form is made once. */
export interface Batch {
  readonly messages: readonly Message[]
  /** As server-sent events. */
  readonly events: () => Buffer
  /** As texts of a WebSocket, one for each. */
  readonly frames: () => readonly Buffer[]
}

export function batchOf(messages: readonly Message[]): Batch {
  let events: Buffer | null = null
  let frames: readonly Buffer[] | null = null
  return {
    messages,
    events: () => {
      events ??= Buffer.from(messages.map(({ id, event, data }) => textOf({ id, name: event, data })).join(''))
      return events
    },
    frames: () => {
      frames ??= messages.map(({ id, event, data }) =>
        Buffer.from(`{"id":${JSON.stringify(id)},"event":"${event}","data":${data}}`),
      )
      return frames
    },
  }
}
