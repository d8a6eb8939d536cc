import type { FastifyInstance } from 'fastify'
import type { Guard } from '../identity/guard.ts'
import type { Principal } from '../identity/principal.ts'
import { createTargetRefusal } from '../outbound/target-guard.ts'
import { createTransport } from '../outbound/transport.ts'
import type { Db } from '../platform/database/db.ts'
import { type Listener, listen } from '../platform/database/listen.ts'
import type { BackgroundWork } from '../platform/loop.ts'
import type { SealedColumn } from '../platform/secrets/envelope-columns.ts'
import type { CallbackSettings } from '../settings/callbacks.ts'
import { callbackRules } from './callback.ts'
import { deliveryJson, registerCallbackRoutes } from './routes.ts'
import { createCallbacks } from './service.ts'
import { channel } from './store.ts'
import { createDeliveryWorker, type DeliveryDependencies } from './worker.ts'

export interface CallbackModuleDependencies extends Omit<DeliveryDependencies, 'db' | 'transport'> {
  readonly db: Db
  /** For background work. */
  readonly workerDb: Db
  readonly connection: Parameters<typeof listen>[0]
  readonly settings: CallbackSettings
  /** Whether this process delivers; else another one is told of what is due. */
  readonly delivers: boolean
  /** Throws 404 when the principal may not see the request. */
  readonly requireVisible: (principal: Principal, requestId: string) => Promise<unknown>
}

export type CallbackModule = ReturnType<typeof createCallbackModule>

const sealedColumns: readonly SealedColumn[] = [
  {
    table: 'callback_outbox',
    column: 'secret',
    copyOf: { table: 'consultation_requests', column: 'callback_secret', row: 'consultation_id' },
  },
]

export function createCallbackModule(dependencies: CallbackModuleDependencies) {
  const { db, workerDb, clock, log, settings, delivers, connection, requireVisible } = dependencies
  const rules = callbackRules(settings.CALLBACK_ALLOW)
  const timeoutMs = settings.CALLBACK_TIMEOUT_SECONDS * 1_000
  const transport = createTransport({ rules, timeoutMs, now: () => clock.now().getTime() })
  const worker = createDeliveryWorker({ ...dependencies, db: workerDb, transport })
  const callbacks = createCallbacks({
    db,
    clock,
    retrySeconds: settings.CALLBACK_RETRY_SECONDS,
    worker: delivers ? worker : null,
  })
  let listener: Listener | null = null
  const delivery: BackgroundWork = {
    start: () => {
      worker.start()
      listener = listen(connection, channel, log, worker.wake)
    },
    drain: worker.drain,
    stop: async (graceMs) => void (await Promise.all([listener?.stop(), worker.stop(graceMs)])),
  }

  return {
    enqueue: callbacks.enqueue,
    /** Why a callback URL is refused, null when it is not. */
    refuseTarget: createTargetRefusal(rules),
    /** The attempts to deliver a request's callback, as they are shown. */
    evidenceOf: async ({ organizationId }: Principal, requestId: string) =>
      (await callbacks.deliveries(organizationId, requestId)).map(deliveryJson),
    routes: (api: FastifyInstance, guard: Guard): void =>
      registerCallbackRoutes(api, { callbacks, guard, requireVisible }),
    loops: [delivery],
    sealedColumns,
  }
}
