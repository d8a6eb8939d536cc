import type { FastifyInstance } from 'fastify'
import type { Delivery } from '../deliveries/delivery.ts'
import type { Event } from '../events/event.ts'
import type { Tx } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import type { TraceSettings } from '../settings/traces.ts'

/** What is read of one act on one request. */
export interface RequestTraced {
  readonly kind: 'request'
  readonly before: Traced | null
  readonly after: Traced
}

interface Traced {
  readonly id: string
  readonly state: string
  readonly risk: string
  readonly traceparent: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly heldUntil: Date | null
  readonly response: { readonly decision: string | null; readonly respondedAt: Date } | null
}

/** An attempt that begins: the `traceparent` that goes along with it, and what to call at its end. */
export interface AttemptTraced {
  readonly traceparent: string | null
  readonly end: (statusCode: number | null, errorCode: string | null) => void
}

export interface TraceModule {
  /** Traces every call of the web server, and the statements that it sends. */
  readonly serve: (http: FastifyInstance) => void
  /** For `events.append`. */
  readonly note: (tx: Tx, events: readonly Event[], changes: readonly RequestTraced[]) => Promise<void>
  readonly attempt: (delivery: Pick<Delivery, 'id' | 'event' | 'roundAttempts' | 'traceparent'>) => AttemptTraced
  /** Sends what is left. */
  readonly stop: () => Promise<void>
}

export interface TraceDependencies {
  readonly log: Logger
  readonly settings: TraceSettings
  readonly version: string
}
