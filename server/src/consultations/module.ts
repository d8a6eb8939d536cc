import type { FastifyInstance } from 'fastify'
import type { Guard } from '../identity/guard.ts'
import type { Caller, Principal } from '../identity/principal.ts'
import type { SigningKeys } from '../identity/signing-keys/service.ts'
import type { SealedColumn } from '../platform/secrets/envelope-columns.ts'
import type { ConsultationSettings } from '../settings/consultations.ts'
import type { HttpSettings } from '../settings/http.ts'
import { secretPlace } from './ask.ts'
import { answeredBy, certificateContradicts, createCertificateOpener, createCertifier } from './certificate.ts'
import { registerCertificateRoutes } from './certificate-routes.ts'
import { notFound, questionChanged } from './consultation.ts'
import type { Context } from './context.ts'
import { digestOf } from './digest.ts'
import { asAgentSees, asPeopleSee } from './hold.ts'
import { askedText, outlineOf, requestJson, valuesText } from './representation.ts'
import { registerRevisionRoutes } from './revision-routes.ts'
import { registerConsultationRoutes } from './routes.ts'
import { createConsultations } from './service.ts'
import { createExpiryWorker, createSearchWorker } from './worker.ts'

export interface ConsultationModuleDependencies extends Omit<Context, 'certifier' | 'openCertificate' | 'openWrites'> {
  readonly settings: ConsultationSettings & HttpSettings
  readonly signingKeys: SigningKeys
}

/** What reading one request may be refused with. */
export const showRefusals = [notFound, questionChanged, certificateContradicts] as const

export type ConsultationModule = ReturnType<typeof createConsultationModule>

const sealedColumns: readonly SealedColumn[] = [{ table: 'consultation_requests', column: 'callback_secret' }]

export function createConsultationModule({ signingKeys, settings, ...dependencies }: ConsultationModuleDependencies) {
  const { clock, log, sealer } = dependencies
  const consultations = createConsultations({
    ...dependencies,
    certifier: createCertifier({ signingKeys, issuer: settings.publicUrl, hours: settings.CERTIFICATE_HOURS }),
    openCertificate: createCertificateOpener(signingKeys),
  })

  return {
    ...consultations,
    /** A request as its route shows it, with the certificate of its decision. Throws 404 when the caller may not see it. */
    evidenceOf: async (principal: Principal, id: string) => {
      const found = await consultations.read(principal, id)
      const now = clock.now()
      return {
        json: requestJson(found, principal, now),
        outline: requestJson(outlineOf(found), principal, now),
        context: askedText(found),
        values: valuesText(found),
        digest: digestOf(found),
        answered: answeredBy(found),
        certificate: asPeopleSee(found).certificate,
        earlier: await consultations.earlier(principal, found),
      }
    },
    /** A request as its route shows it, for those who wait for it: nobody hears of a decision that is held back. Throws `showRefusals`. */
    shown: async (by: Caller, id: string) => {
      const found = await consultations.show(by, id)
      return { request: asAgentSees(found), json: () => requestJson(found, by.principal, clock.now()) }
    },
    openCallbackSecret: (organizationId: string, id: string, sealed: Buffer) =>
      sealer.open(sealed, secretPlace(organizationId, id)),
    routes: (api: FastifyInstance, guard: Guard): void => {
      registerConsultationRoutes(api, { consultations, guard, clock })
      registerCertificateRoutes(api, { consultations, guard, clock })
      registerRevisionRoutes(api, { consultations, guard, clock })
    },
    loops: [createExpiryWorker(consultations, log), createSearchWorker(consultations, log)],
    sealedColumns,
  }
}
