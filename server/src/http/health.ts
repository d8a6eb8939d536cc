import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Outage } from '../platform/database/errors.ts'
import { within } from '../platform/within.ts'
import { problems, success, withHeaders } from './openapi.ts'

export interface HealthOptions {
  readonly version: string
  readonly environment: string
  /** Null: the database can be read and written. */
  readonly database: () => Promise<Outage | null>
  /** False when the seals of the audit are not those that this process has seen. */
  readonly auditIsIntact: () => boolean
  /** Null: no transaction holds them back for long. */
  readonly sealsHeldBackSeconds: () => number | null
  /** False when a key was needed that opens stored secrets and that the settings lack. */
  readonly hasEveryKey: () => boolean
  /** Null: it agrees with the database's. */
  readonly clockSecondsAhead: () => number | null
  /** Null: the database is not in a folder of this machine, or nobody has looked yet. */
  readonly freeSpace: () => { readonly freeBytes: number; readonly isLow: boolean } | null
  /** The restored copy whose callbacks and mail are held; null: everything is sent. */
  readonly held: () => { readonly restoredAt: Date } | null
  /** True once a stop has begun: load balancers should send nothing more. */
  readonly stopping: () => boolean
}

const healthSchema = Type.Object(
  {
    status: Type.Enum(['healthy', 'unhealthy'], { description: 'Whether calls should be sent here.' }),
    version: Type.String({ description: 'Of the service.' }),
    environment: Type.String({ description: 'NODE_ENV.' }),
    checks: Type.Object(
      {
        database: Type.Enum(['ok', 'unavailable', 'disk_full', 'read_only', 'too_many_connections'], {
          description: 'What keeps the service from using it: also tried are a write and space on its disk.',
        }),
        audit: Type.Enum(['ok', 'changed'], {
          description:
            'changed: seals of the audit were removed or replaced in the database; the log names the organization.',
        }),
        secrets: Type.Enum(['ok', 'key_missing'], {
          description: 'key_missing: stored secrets need a key that the settings lack; the log names it.',
        }),
      },
      { title: 'HealthChecks', description: 'What was looked at.' },
    ),
    seals_held_back_seconds: Type.Optional(
      Type.Integer({
        description:
          'How long a transaction that stays open, in any database of the server, has kept events from being sealed; only there above 10 s. The log names its session.',
      }),
    ),
    clock_seconds_ahead: Type.Optional(
      Type.Integer({
        description:
          "How far the clock of this process is ahead of the database's; negative: behind. Only there above 10 s: callbacks and time limits then come early or late.",
      }),
    ),
    data_dir: Type.Optional(
      Type.Object(
        {
          free_bytes: Type.Integer({ description: 'What is left for the embedded database.' }),
          is_low: Type.Boolean({ description: 'Whether that is less than DATA_DIR_FREE_MEBIBYTES.' }),
        },
        { title: 'DataFolder', description: 'The disk of DATA_DIR; only there with the embedded database.' },
      ),
    ),
    callbacks_held_since: Type.Optional(
      Type.String({
        format: 'date-time',
        description:
          'When a backup was restored into this installation; only there while it sends neither callbacks nor mail because of that. "hitl restore --release" ends it.',
      }),
    ),
  },
  { $id: 'Health', title: 'Health' },
)

const example = {
  status: 'healthy',
  version: '0.2.0',
  environment: 'production',
  checks: { database: 'ok', audit: 'ok', secrets: 'ok' },
}

const healthReplies = {
  200: success('Healthy', Type.Ref('Health'), example),
  503: withHeaders(
    success('One of the checks is not ok, or the service is stopping', Type.Ref('Health'), {
      ...example,
      status: 'unhealthy',
      checks: { database: 'unavailable', audit: 'ok', secrets: 'ok' },
    }),
    'Retry-After',
  ),
}
const aliveReply = {
  200: success(
    'The process responds',
    Type.Object({ status: Type.Literal('alive', { description: 'The process runs.' }) }, { title: 'Liveness' }),
    { status: 'alive' },
  ),
}

const describe = (operationId: string, summary: string, replies: object, hide: boolean) => ({
  config: { uncounted: true, isProbe: true },
  schema: { hide, tags: ['service'], summary, operationId, response: { ...problems(), ...replies } },
})

/** A health check must reply before its caller gives up, whatever the database does. */
const timeoutMs = 2_000

/** `/health` and `/readyz` ask the database, `/livez` only shows that the process runs; also under `/api/v1`. */
export function registerHealth(app: FastifyInstance, options: HealthOptions): void {
  app.addSchema(healthSchema)
  const check = async () => {
    const outage = await within(timeoutMs, options.database())
    const database = outage === null ? ('ok' as const) : (outage ?? 'unavailable')
    const audit = options.auditIsIntact() ? 'ok' : 'changed'
    const secrets = options.hasEveryKey() ? 'ok' : 'key_missing'
    const checks = { database, audit, secrets } as const
    const healthy = Object.values(checks).every((found) => found === 'ok') && !options.stopping()
    const space = options.freeSpace()
    const ahead = options.clockSecondsAhead()
    const heldBack = options.sealsHeldBackSeconds()
    const held = options.held()
    return {
      status: healthy ? ('healthy' as const) : ('unhealthy' as const),
      version: options.version,
      environment: options.environment,
      checks,
      ...(heldBack === null ? {} : { seals_held_back_seconds: heldBack }),
      ...(ahead === null ? {} : { clock_seconds_ahead: ahead }),
      ...(space === null ? {} : { data_dir: { free_bytes: space.freeBytes, is_low: space.isLow } }),
      ...(held === null ? {} : { callbacks_held_since: held.restoredAt.toISOString() }),
    }
  }
  for (const prefix of ['', '/api/v1']) {
    // Under /api/v1 they are the same.
    const hide = prefix !== ''
    for (const [path, summary] of Object.entries({ health: 'Health', readyz: 'Readiness' })) {
      app.get(`${prefix}/${path}`, describe(path, summary, healthReplies, hide), async (_request, reply) => {
        const report = await check()
        if (report.status === 'unhealthy') reply.status(503).header('retry-after', '1')
        return reply.send(report)
      })
    }
    app.get(`${prefix}/livez`, describe('livez', 'Liveness', aliveReply, hide), async () => ({ status: 'alive' }))
  }
}
