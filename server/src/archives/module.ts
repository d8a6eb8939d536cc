import type { FastifyInstance } from 'fastify'
import type { Guard } from '../identity/guard.ts'
import { registerArchiveRoutes } from './routes.ts'
import type { ArchiveContext } from './service.ts'

export interface ArchiveModuleDependencies extends ArchiveContext {
  readonly stalledAfterMs: number
}

/** What is kept of a person, or of an organization, for them to take away. */
export function createArchiveModule({ stalledAfterMs, ...context }: ArchiveModuleDependencies) {
  return {
    routes: (api: FastifyInstance, guard: Guard): void => {
      registerArchiveRoutes(api, { context, guard, stalledAfterMs })
    },
  }
}
