import type { FastifyInstance } from 'fastify'
import type { Guard } from '../identity/guard.ts'
import type { Db } from '../platform/database/db.ts'
import type { Hold } from '../restored/hold.ts'
import type { AttachmentSettings } from '../settings/attachments.ts'
import type { AttachmentContext } from './context.ts'
import { registerAttachmentRoutes } from './routes.ts'
import { openObjectStore } from './s3.ts'
import { createAttachments } from './service.ts'
import { createAttachmentSweeper } from './worker.ts'

export interface AttachmentModuleDependencies extends Omit<AttachmentContext, 'limits' | 'objects'> {
  /** For background work. */
  readonly workerDb: Db
  readonly settings: AttachmentSettings
  readonly hold: Hold
}

const mebibyte = 1_048_576

/** Files of requests: added, read, removed, taken by answers, swept. */
export function createAttachmentModule({ workerDb, settings, hold, ...dependencies }: AttachmentModuleDependencies) {
  const { requests, clock, log } = dependencies
  const objects = openObjectStore(settings, log)
  const limits = {
    bytes: settings.ATTACHMENT_MAX_MIB * mebibyte,
    perRequest: settings.ATTACHMENT_MAX_PER_REQUEST,
    organizationBytes: settings.ATTACHMENT_ORGANIZATION_MIB * mebibyte,
  }
  const attachments = createAttachments({ ...dependencies, limits, objects })
  return {
    ...attachments,
    routes: (api: FastifyInstance, guard: Guard): void =>
      registerAttachmentRoutes(api, { attachments, guard, requests, limits }),
    loops: [createAttachmentSweeper({ db: workerDb, clock, log, objects, hold })],
    close: async (): Promise<void> => objects?.close(),
  }
}
