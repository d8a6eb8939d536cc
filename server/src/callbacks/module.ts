import type { FastifyInstance } from 'fastify'
import type { DeliveryModule } from '../deliveries/module.ts'
import type { Guard } from '../identity/guard.ts'
import type { Principal } from '../identity/principal.ts'
import { createTargetRefusal } from '../outbound/target-guard.ts'
import { createTransport } from '../outbound/transport.ts'
import type { Clock } from '../platform/clock.ts'
import type { SealedColumn } from '../platform/secrets/envelope-columns.ts'
import type { CallbackSettings } from '../settings/callbacks.ts'
import { callbackRules } from './callback.ts'
import { type CallbackChannel, createCallbackChannel } from './channel.ts'
import { eventsOf } from './order.ts'
import { createCallbackProofs } from './proof.ts'
import { type CallbackRoutes, deliveryJson, registerCallbackRoutes } from './routes.ts'
import { channelName, createCallbacks } from './service.ts'
import { refuseSecret } from './signature.ts'
import { callbackWebhooks } from './webhooks.ts'

export interface CallbackModuleDependencies
  extends Omit<CallbackChannel, 'transport' | 'proofs'>,
    Pick<CallbackRoutes, 'requireVisible' | 'requestNotFound' | 'redeliver'> {
  readonly clock: Clock
  /** The current one first. */
  readonly secretKeys: readonly [string, ...string[]]
  readonly settings: CallbackSettings
  readonly deliveries: DeliveryModule
}

const sealedColumns: readonly SealedColumn[] = [
  {
    table: 'deliveries',
    column: 'secret',
    copyOf: { table: 'consultation_requests', column: 'callback_secret', row: 'subject_id' },
  },
]

export function createCallbackModule(dependencies: CallbackModuleDependencies) {
  const { clock, secretKeys, settings, deliveries, requireVisible, requestNotFound, redeliver } = dependencies
  const rules = callbackRules(settings.CALLBACK_ALLOW)
  const timeoutMs = settings.CALLBACK_TIMEOUT_SECONDS * 1_000
  const proofs = createCallbackProofs(secretKeys)
  const transport = createTransport({ rules, timeoutMs, now: () => clock.now().getTime() })
  deliveries.addChannel(channelName, createCallbackChannel({ ...dependencies, transport, proofs }))
  const callbacks = createCallbacks(deliveries, proofs, {
    retrySeconds: settings.CALLBACK_RETRY_SECONDS,
    recoverySeconds: settings.CALLBACK_RECOVERY_SECONDS,
  })

  return {
    enqueue: callbacks.enqueue,
    eventsOf,
    /** Why a callback URL is refused; null when it is not. */
    refuseTarget: createTargetRefusal(rules),
    refuseSecret,
    /** The attempts to deliver a request's callback, as the API shows them. */
    evidenceOf: async ({ organizationId }: Principal, requestId: string) =>
      (await callbacks.attempts(organizationId, requestId)).map(deliveryJson),
    erase: callbacks.erase,
    routes: (api: FastifyInstance, guard: Guard): void =>
      registerCallbackRoutes(api, { callbacks, guard, requireVisible, requestNotFound, redeliver }),
    webhooks: callbackWebhooks,
    sealedColumns,
  }
}
