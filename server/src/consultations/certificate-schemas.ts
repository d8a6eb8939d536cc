import { Type } from 'typebox'
import { nullable, sha256Hex, time, uuid } from '../http/schema-parts.ts'
import { decision } from './questions/schemas.ts'

const digest = Type.String({
  maxLength: 64,
  pattern: sha256Hex,
  description:
    'SHA-256, in hex, over the RFC 8785 JSON of what was asked: {context, description, title}, and what there is of action, answer, justification and presentation.',
})

export const redeemBody = Type.Object(
  {
    digest: Type.Optional(
      Type.Union([digest, Type.Null()], {
        description: 'Computed from what is about to be done; 412 when that is not what was approved.',
      }),
    ),
  },
  { title: 'Redemption' },
)

export const certificateSchema = Type.Object(
  {
    request_id: uuid('The request that was decided.'),
    certificate: Type.String({ description: 'Compact JWS (EdDSA, typ hitl-decision+jwt); see docs/certificates.md.' }),
    digest,
    decision: nullable(decision),
    revision: Type.Integer({ description: 'The revision that was decided.' }),
    expires_at: time('An approval can be redeemed until then.'),
    redeemed_at: nullable(time('When the approval was used.')),
  },
  { $id: 'Certificate', title: 'Certificate' },
)

export const digestExample = '5fc2b16b9a4c4ff7b7a0d1f4d3a2c1e0b9f8e7d6c5b4a39281706f5e4d3c2b1a'

export const certificateText =
  'eyJhbGciOiJFZERTQSIsInR5cCI6ImhpdGwtZGVjaXNpb24rand0Iiwia2lkIjoiLi4uIn0.eyJkZWNpc2lvbiI6ImFwcHJvdmUifQ.c2lnbmF0dXJl'

export const certificateExample = {
  request_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61',
  certificate: certificateText,
  digest: digestExample,
  decision: 'approve',
  revision: 1,
  expires_at: '2026-02-01T09:05:00.000Z',
  redeemed_at: null,
}
