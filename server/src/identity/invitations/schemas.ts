import { Type } from 'typebox'
import { pageSchema } from '../../http/paging.ts'
import { createdAt, id, nullable, time, uuid } from '../../http/schema-parts.ts'
import { email, exampleUser, grantableRole } from '../accounts/schemas.ts'

export const inviteBody = Type.Object(
  { role: Type.Optional(grantableRole), email: Type.Optional(nullable(email)) },
  { title: 'CreateInvitation' },
)

const invited = nullable(Type.String({ description: 'The only address that can use it; null: any.' }))
const expiresAt = time('It can be used until then.')

export const invitationSchema = Type.Object(
  {
    id,
    role: grantableRole,
    email: invited,
    expires_at: expiresAt,
    token: Type.String({ description: 'For `invitation` in POST /auth/register. Shown only once.' }),
    url: Type.String({ description: 'The page where the invited person sets a password.' }),
  },
  { $id: 'Invitation', title: 'Invitation' },
)
export const exampleInvitation = {
  id: exampleUser.id,
  role: 'reviewer',
  email: 'reviewer@example.com',
  expires_at: '2026-02-07T09:00:00.000Z',
  token: 'b2theS1yYW5kb20tdG9rZW4',
  url: 'https://hitl.example.com/setup#b2theS1yYW5kb20tdG9rZW4',
}

export const invitationPageSchema = pageSchema(
  'InvitationPage',
  Type.Object(
    {
      id,
      role: grantableRole,
      email: invited,
      created_by: nullable(uuid('The person who invited.')),
      expires_at: expiresAt,
      created_at: createdAt,
    },
    { title: 'OpenInvitation' },
  ),
)
export const exampleOpenInvitation = {
  id: exampleUser.id,
  role: 'reviewer',
  email: 'reviewer@example.com',
  created_by: exampleUser.id,
  expires_at: '2026-02-07T09:00:00.000Z',
  created_at: '2026-01-31T09:00:00.000Z',
}

export const acceptBody = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 100, description: 'Of the invitation.' }) },
  { title: 'Joining' },
)
