import { Type } from 'typebox'
import { pageSchema } from '../../http/paging.ts'
import { id, noNul, nullable, time } from '../../http/schema-parts.ts'
import { emailPattern } from './user.ts'

const email = Type.String({ maxLength: 254, pattern: emailPattern, description: 'Compared without regard to case.' })
const role = Type.Enum(['owner', 'admin', 'reviewer', 'auditor'])
const invitedRole = Type.Enum(['admin', 'reviewer', 'auditor'])

export const exampleUser = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  email: 'reviewer@example.com',
  name: 'Robin Reviewer',
  role: 'reviewer',
  is_active: true,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

export const userSchema = Type.Object(
  {
    id,
    email: Type.String(),
    name: nullable(Type.String()),
    role,
    is_active: Type.Boolean(),
    created_at: time,
    updated_at: time,
  },
  { $id: 'User', title: 'User' },
)

export const registerBody = Type.Object(
  {
    email,
    password: Type.String({ description: '8 to 72 bytes in UTF-8.', maxLength: 1_000 }),
    name: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 255 }))),
    invitation: Type.Optional(
      Type.String({ minLength: 1, maxLength: 100, description: 'The token of an invitation or of the set-up link.' }),
    ),
  },
  { title: 'Registration' },
)

export const registerExample = { email: 'reviewer@example.com', password: 'correct horse', name: 'Robin Reviewer' }

export const loginBody = Type.Object(
  {
    username: Type.String({ maxLength: 320, pattern: noNul, description: 'The email address.' }),
    password: Type.String({ maxLength: 1_000, pattern: noNul }),
    session_cookie: Type.Optional(
      Type.Union([Type.Boolean(), Type.Enum(['true', 'false'])], {
        description: 'true: also set a cookie, with which a browser renews the session through POST /auth/refresh.',
      }),
    ),
  },
  { title: 'Login' },
)

export const loginExample = { username: 'reviewer@example.com', password: 'correct horse' }

export const tokenSchema = Type.Object(
  {
    access_token: Type.String({ description: 'JWT for the Authorization header.' }),
    token_type: Type.Literal('bearer'),
    expires_in: Type.Integer({ description: 'Seconds.' }),
    user: Type.Ref('User'),
  },
  { $id: 'AccessToken', title: 'AccessToken' },
)

export const tokenExample = {
  access_token: 'eyJhbGciOiJIUzI1NiJ9.e30.signature',
  token_type: 'bearer',
  expires_in: 1800,
  user: exampleUser,
}

export const inviteBody = Type.Object(
  { role: Type.Optional(invitedRole), email: Type.Optional(nullable(email)) },
  { title: 'NewInvitationInput' },
)

export const invitationSchema = Type.Object(
  {
    id,
    role,
    email: nullable(Type.String()),
    expires_at: time,
    token: Type.String({ description: 'For `invitation` in POST /auth/register. Shown only once.' }),
    url: Type.String({ description: 'The page where the invited person sets a password.' }),
  },
  { $id: 'Invitation', title: 'Invitation' },
)

const openInvitation = Type.Object({
  id,
  role: invitedRole,
  email: nullable(Type.String()),
  created_by: nullable(id),
  expires_at: time,
  created_at: time,
})

export const invitationPageSchema = pageSchema('InvitationPage', openInvitation)

export const exampleOpenInvitation = {
  id: exampleUser.id,
  role: 'reviewer',
  email: 'reviewer@example.com',
  created_by: exampleUser.id,
  expires_at: '2026-02-07T09:00:00.000Z',
  created_at: '2026-01-31T09:00:00.000Z',
}

export const joinBody = Type.Object({ token: Type.String({ minLength: 1, maxLength: 100 }) }, { title: 'Joining' })

export const userPageSchema = pageSchema('UserPage', Type.Ref('User'))

export const changeUserBody = Type.Object(
  {
    role: Type.Optional(Type.Enum(['admin', 'reviewer', 'auditor'])),
    name: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 255, pattern: noNul }))),
    is_active: Type.Optional(
      Type.Boolean({ description: 'false: signed out everywhere within a second, and cannot sign in again.' }),
    ),
  },
  { title: 'UserChanges', minProperties: 1 },
)
