import { Type } from 'typebox'
import { nullable, time } from '../http/schema-parts.ts'
import { outcomeStatuses } from './consultation.ts'

export const outcomeDataBytes = 16_384

const status = Type.Enum(outcomeStatuses, {
  title: 'OutcomeStatus',
  description: 'executed: it was done; failed: it was tried and not done; unknown: the agent cannot say.',
})
const detail = 'What happened, in words.'
const data = `What came of it, at most ${outcomeDataBytes / 1_024} KiB. Returned exactly as sent.`

export const outcomeBody = Type.Object(
  {
    status,
    detail: Type.Optional(nullable(Type.String({ maxLength: 20_000, description: detail }))),
    data: Type.Optional(nullable(Type.Object({}, { additionalProperties: true, description: data }))),
  },
  { title: 'ReportOutcome' },
)

export const outcomeExample = { status: 'executed', detail: 'Deleted vol-1 and vol-3.', data: { deleted: 2 } }

export const reportedOutcome = Type.Object(
  {
    status,
    detail: nullable(Type.String({ description: detail })),
    data: nullable(Type.Object({}, { additionalProperties: true, description: data })),
    reported_at: time('When the agent reported it.'),
  },
  {
    title: 'RequestOutcome',
    description: 'What happened when the agent carried out what was decided; null until it reports.',
  },
)
