import { Type } from 'typebox'
import { actorKinds } from '../../facts/fact.ts'
import { type EventKind, eventKinds, subjectKinds } from '../../facts/kinds.ts'
import { pageQuery, pageSchema } from '../../http/paging.ts'
import { id, nullable, time, uuid } from '../../http/schema-parts.ts'

const object = (description: string) => Type.Object({}, { additionalProperties: true, description })
const sha256 = (description: string) => Type.String({ pattern: '^[0-9a-f]{64}$', description })

const kinds = Object.keys(eventKinds) as EventKind[]

const kind = Type.Enum(kinds, {
  title: 'EventKind',
  description: 'What happened, `noun.past_tense`; docs/events.md explains each. More may be added.',
})
const actorKind = Type.Enum(actorKinds, {
  title: 'ActorKind',
  description: 'timer: a deadline passed. anonymous: the caller had not signed in.',
})

export const eventSchema = Type.Object(
  {
    v: Type.Integer({ description: 'The version of this form: 1.' }),
    organization_id: uuid('Whose event it is.'),
    id,
    kind,
    occurred_at: time('When it happened.'),
    subject: Type.Object(
      {
        kind: Type.Enum(subjectKinds, { title: 'EventSubjectKind', description: 'What kind of thing it is.' }),
        id,
      },
      { title: 'EventSubject', description: 'What the event is about.' },
    ),
    actor: Type.Object(
      {
        kind: actorKind,
        id: nullable(uuid('The person or the agent.')),
        key_id: nullable(Type.String({ format: 'uuid', description: "The agent's API key." })),
        session_id: nullable(Type.String({ format: 'uuid', description: "The person's session." })),
        signed_in_with: nullable(
          Type.Array(Type.String(), { description: 'How the person signed in, such as password and totp.' }),
        ),
      },
      { title: 'EventActor', description: 'Who did it.' },
    ),
    http_request_id: nullable(Type.String({ description: 'The call that caused it, as in the log.' })),
    digest: nullable(
      sha256('SHA-256 over the RFC 8785 JSON of what was asked, or of what a fresh factor was bound to.'),
    ),
    before: nullable(object('The changed values before.')),
    after: nullable(object('The changed values after.')),
    erasable_sha256: nullable(sha256('SHA-256 of the erasable part with its salt.')),
    erasable: nullable(object('Free text that people or agents wrote, addresses and networks. Can be erased.')),
    erased: Type.Boolean({ description: 'The erasable part was erased.' }),
    altered: Type.Boolean({
      description: 'The columns that lists search by contradict the record: somebody changed the row in the database.',
    }),
    seal: nullable(
      Type.Integer({
        description:
          'Number of the seal whose range it is in; null for up to two seconds. Only an export or an evidence pack proves that ' +
          'the event is what was sealed.',
      }),
    ),
  },
  { $id: 'Event', title: 'Event' },
)

export const eventPageSchema = pageSchema(
  'EventPage',
  Type.Ref('Event'),
  'null on the last page. A page can hold fewer events than `limit`, or none, and still have a next page.',
)

export const eventExample = {
  v: 1,
  organization_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a00',
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70',
  kind: 'request.responded',
  occurred_at: '2026-01-31T09:05:00.000Z',
  subject: { kind: 'request', id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a61' },
  actor: {
    kind: 'person',
    id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
    key_id: null,
    session_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a71',
    signed_in_with: ['password', 'totp'],
  },
  http_request_id: '5c0b3bd0-0f3c-4a53-9f0e-0a8f6f0c7b1e',
  digest: '5fc2b16b9a4c4ff7b7a0d1f4d3a2c1e0b9f8e7d6c5b4a39281706f5e4d3c2b1a',
  before: { state: 'pending' },
  after: { state: 'responded', revision: 1, decision: 'approve' },
  erasable_sha256: '45fb4efcf5662cbcd97a78f4044b9e91678d8c7a70cc44ccd70838205aab3ad2',
  erasable: { comment: 'Fine, but keep vol-2.', network: '192.0.2.17' },
  erased: false,
  altered: false,
  seal: 4711,
}

const instant = (description: string) => Type.Optional(Type.String({ maxLength: 40, description }))

export const listQuery = Type.Object({
  since: instant('RFC 3339; only events at this time or later.'),
  until: instant('RFC 3339; only events before this time.'),
  actor_kind: Type.Optional(actorKind),
  actor_id: Type.Optional(Type.String({ format: 'uuid', description: 'The id of a person or an agent.' })),
  kind: Type.Optional(kind),
  subject_id: Type.Optional(
    Type.String({ format: 'uuid', description: 'The id of a request, user, key, invitation, ...' }),
  ),
  request_id: Type.Optional(Type.String({ format: 'uuid', description: 'Short for the subject_id of a request.' })),
  ...pageQuery.properties,
})

export const timelineQuery = pageQuery
