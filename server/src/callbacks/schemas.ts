import { Type } from 'typebox'
import { id, nullable, time } from '../http/schema-parts.ts'

export const deliverySchema = Type.Object(
  {
    id,
    webhook_id: Type.String({ format: 'uuid', description: 'The `webhook-id` header: the same for all attempts.' }),
    attempt: Type.Integer({ minimum: 1 }),
    url: Type.String(),
    succeeded: Type.Boolean(),
    status_code: nullable(Type.Integer()),
    duration_ms: Type.Integer(),
    reply: Type.String({ description: 'The first 1 000 characters of the reply.' }),
    error_code: nullable(
      Type.String({
        description: 'target_refused, dns, connect, tls, timeout, reset, protocol, redirect, secret, changed or body.',
      }),
    ),
    error: nullable(Type.String()),
    started_at: time,
  },
  { $id: 'Delivery', title: 'Delivery' },
)

export const deliveryExample = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a62',
  webhook_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a63',
  attempt: 1,
  url: 'https://agent.example.com/hitl',
  succeeded: true,
  status_code: 200,
  duration_ms: 38,
  reply: 'ok',
  error_code: null,
  error: null,
  started_at: '2026-01-31T09:05:00.003Z',
}
