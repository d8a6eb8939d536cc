import { integer, type Values } from './setting.ts'

export const consultationSettings = {
  CERTIFICATE_HOURS: integer('How long an approval may be carried out, once.', 24, 1, 8_760),
}

export type ConsultationSettings = Values<typeof consultationSettings>
