import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { problems, success } from './openapi.ts'

export interface HealthOptions {
  readonly version: string
  readonly environment: string
  /** Throws when the database does not respond. */
  readonly ping: () => Promise<void>
  /** True once a stop has begun: load balancers should send nothing more. */
  readonly stopping: () => boolean
}

const healthSchema = Type.Object(
  {
    status: Type.Enum(['healthy', 'unhealthy']),
    version: Type.String(),
    environment: Type.String(),
    checks: Type.Object({ database: Type.Enum(['ok', 'unavailable']) }),
  },
  { $id: 'Health', title: 'Health' },
)

const aliveSchema = Type.Object({ status: Type.Literal('alive') })

const example = { status: 'healthy', version: '0.1.0', environment: 'production', checks: { database: 'ok' } }

/** A health check must reply before its caller gives up, whatever the database does. */
const timeoutMs = 2_000

/** `/health` and `/readyz` ask the database, `/livez` only shows that the process runs; also under `/api/v1`. */
export function registerHealth(app: FastifyInstance, options: HealthOptions): void {
  app.addSchema(healthSchema)
  // Concurrent checks share one query: they need no credentials, and a flood must not take the pool's connections.
  let asking: Promise<boolean> | null = null
  const databaseAnswers = (): Promise<boolean> => {
    asking ??= options
      .ping()
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        asking = null
      })
    return asking
  }
  const check = async () => {
    const database = (await inTime(databaseAnswers())) ? 'ok' : 'unavailable'
    const healthy = database === 'ok' && !options.stopping()
    return {
      status: healthy ? ('healthy' as const) : ('unhealthy' as const),
      version: options.version,
      environment: options.environment,
      checks: { database },
    }
  }
  const describe = (summary: string, hide: boolean, operationId: string) => ({
    config: { uncounted: true },
    schema: {
      hide,
      tags: ['service'],
      summary,
      operationId,
      response: {
        ...problems(),
        200: success('Healthy', Type.Ref('Health'), example),
        503: success('The database does not respond, or the service is stopping; try again', Type.Ref('Health'), {
          ...example,
          status: 'unhealthy',
          checks: { database: 'unavailable' },
        }),
      },
    },
  })
  for (const prefix of ['', '/api/v1']) {
    const hide = prefix === ''
    for (const [path, summary] of [
      ['health', 'Health'],
      ['readyz', 'Readiness'],
    ] as const) {
      app.get(`${prefix}/${path}`, describe(summary, hide, path), async (_request, reply) => {
        const report = await check()
        if (report.status === 'unhealthy') reply.status(503).header('retry-after', '1')
        return reply.send(report)
      })
    }
    app.get(
      `${prefix}/livez`,
      {
        config: { uncounted: true },
        schema: {
          hide,
          tags: ['service'],
          summary: 'Liveness',
          operationId: 'livez',
          response: { 200: success('The process responds', aliveSchema, { status: 'alive' }), ...problems() },
        },
      },
      async () => ({ status: 'alive' }),
    )
  }
}

async function inTime(answer: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false)
  })
  const first = await Promise.race([answer, late])
  clearTimeout(timer)
  return first
}
