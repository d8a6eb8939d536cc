import { Type } from 'typebox'
import { time, updatedAt, uuid } from '../http/schema-parts.ts'
import { draftBytes, longestSnoozeDays } from './inbox.ts'

export const snoozeBody = Type.Object(
  {
    until: Type.String({
      maxLength: 40,
      description: `RFC 3339; when it comes back, within ${longestSnoozeDays} days.`,
    }),
  },
  { title: 'Snooze' },
)

export const snoozedSchema = Type.Object(
  { request_id: uuid('The request.'), until: time('When it comes back.') },
  { $id: 'SnoozedRequest', title: 'SnoozedRequest' },
)
export const snoozedExample = { request_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61', until: '2026-02-01T08:00:00.000Z' }

const answer = Type.Object(
  {},
  {
    additionalProperties: true,
    description: `What will be sent to \`respond\`, as far as it goes: it is not checked. At most ${draftBytes / 1024} KiB; returned exactly as sent.`,
  },
)
const revision = (most: { minimum?: number; maximum?: number } = {}) =>
  Type.Integer({ ...most, description: 'The revision of the request that it answers.' })

export const draftBody = Type.Object(
  { revision: revision({ minimum: 1, maximum: 2_147_483_647 }), answer },
  { title: 'Draft' },
)
export const draftSchema = Type.Object(
  { revision: revision(), answer, updated_at: updatedAt },
  { $id: 'SavedDraft', title: 'SavedDraft' },
)
export const draftBodyExample = { revision: 1, answer: { decision: 'reject', comment: 'Not before' } }
export const draftExample = { ...draftBodyExample, updated_at: '2026-01-31T09:04:00.000Z' }
