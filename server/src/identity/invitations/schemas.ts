import { Type } from 'typebox'
import { pageSchema } from '../../http/paging.ts'
import { id, nullable, time } from '../../http/schema-parts.ts'
import { email, exampleUser, grantableRole } from '../accounts/schemas.ts'

export const inviteBody = Type.Object(
  { role: Type.Optional(grantableRole), email: Type.Optional(nullable(email)) },
  { title: 'NewInvitationInput' },
)

export const invitationSchema = Type.Object(
  {
    id,
    role: grantableRole,
    email: nullable(Type.String()),
    expires_at: time,
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
  Type.Object({
    id,
    role: grantableRole,
    email: nullable(Type.String()),
    created_by: nullable(id),
    expires_at: time,
    created_at: time,
  }),
)
export const exampleOpenInvitation = {
  id: exampleUser.id,
  role: 'reviewer',
  email: 'reviewer@example.com',
  created_by: exampleUser.id,
  expires_at: '2026-02-07T09:00:00.000Z',
  created_at: '2026-01-31T09:00:00.000Z',
}

export const acceptBody = Type.Object({ token: Type.String({ minLength: 1, maxLength: 100 }) }, { title: 'Joining' })
