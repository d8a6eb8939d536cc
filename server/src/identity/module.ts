import type { FastifyInstance } from 'fastify'
import type { RateLimits } from '../http/rate-limits.ts'
import type { Db } from '../platform/database/db.ts'
import { createLoop } from '../platform/loop.ts'
import type { SealedColumn } from '../platform/secrets/envelope-columns.ts'
import { createExpiryWarnings } from './api-keys/expiry-warnings.ts'
import { registerKeyFormat } from './api-keys/leaked-key-routes.ts'
import { deleteEndedRows } from './ended-rows.ts'
import { demandStepUps } from './factors/step-ups/demand-step-ups.ts'
import { createGuard, type Guard } from './guard.ts'
import { namesOf } from './members/name-store.ts'
import { organizationIds } from './organizations/store.ts'
import { keepReplies } from './replies/keep-replies.ts'
import { registerIdentityRoutes } from './routes.ts'
import { createIdentity, type IdentityDependencies } from './service.ts'
import { createCookieReader } from './sessions/routes.ts'
import { registerKeySet } from './signing-keys/routes.ts'

export interface IdentityModuleDependencies extends IdentityDependencies {
  /** For background work. */
  readonly workerDb: Db
}

export type IdentityModule = ReturnType<typeof createIdentityModule>

const sealedColumns: readonly SealedColumn[] = [
  { table: 'signing_keys', column: 'private_key', of: 'installation' },
  { table: 'signing_keys', column: 'proof', of: 'installation' },
  { table: 'identity_providers', column: 'client_secret' },
  { table: 'totp_factors', column: 'seed', of: 'accounts' },
  { table: 'sso_flows', column: 'secrets' },
  { table: 'kept_replies', column: 'reply' },
]

export function createIdentityModule(dependencies: IdentityModuleDependencies) {
  const { db, workerDb, clock, log, report } = dependencies
  const { publicUrl } = dependencies.settings
  const identity = createIdentity(dependencies)

  return {
    ...identity,
    namesOf: (organizationId: string, ids: readonly string[]) =>
      namesOf(db.within({ organizationId }), organizationId, ids),
    organizationIds: () => organizationIds(db.within({ worker: true })),
    createGuard: (http: FastifyInstance, limits: RateLimits): Guard => {
      demandStepUps(http, identity.factors.stepUps)
      keepReplies(http, identity.keptReplies)
      return createGuard(http, identity.authenticator, {
        limits,
        bodyLimit: dependencies.settings.BODY_LIMIT_BYTES,
        sessionOfCookie: createCookieReader(identity.sessions, publicUrl),
      })
    },
    routes: (api: FastifyInstance, guard: Guard): void =>
      registerIdentityRoutes(api, { identity, guard, clock, publicUrl }),
    pages: [
      (http: FastifyInstance) => registerKeySet(http, identity.signingKeys),
      (http: FastifyInstance) => registerKeyFormat(http, publicUrl),
    ],
    loops: [
      createExpiryWarnings({ db: workerDb, clock, log, report }),
      // Nothing depends on these intervals: what has expired or ended counts for nothing even before it is deleted.
      createLoop('unfinished factors', 60_000, log, () => identity.factors.sweep()),
      createLoop('ended sessions', 300_000, log, () => identity.sessions.deleteEndedSessions()),
      createLoop('ended invitations, links and flows', 300_000, log, () =>
        deleteEndedRows(workerDb.within({ worker: true }), clock.now()),
      ),
      createLoop('deleted organizations', 300_000, log, () => identity.organizationDeletion.deleteDue()),
    ],
    sealedColumns,
    close: async (): Promise<void> => {
      await identity.authenticator.close()
      await identity.providerHttp.close()
    },
  }
}
