import { httpUrl, optional, type Values } from './setting.ts'

export const eventSettings = {
  AUDIT_HEADS_FILE: optional(
    "File that each signed head of the audit is appended to; best on a disk that the database's administrators cannot write to.",
    '/var/log/hitl/audit-heads.jsonl',
  ),
  AUDIT_HEADS_URL: optional(
    'URL that signed heads of the audit are posted to; in your own network it needs CALLBACK_ALLOW too.',
    'https://notary.example.com/hitl',
    httpUrl,
  ),
}

export type EventSettings = Values<typeof eventSettings>
