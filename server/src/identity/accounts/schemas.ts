import { Type } from 'typebox'
import { emailPattern } from './user.ts'

const id = Type.String({ format: 'uuid' })
const time = Type.String({ format: 'date-time' })
const email = Type.String({ maxLength: 254, pattern: emailPattern, description: 'Compared without regard to case.' })
const role = Type.Enum(['owner', 'admin', 'reviewer', 'auditor'])
const invitedRole = Type.Enum(['admin', 'reviewer', 'auditor'])
const nullable = <T extends import('typebox').TSchema>(schema: T) => Type.Union([schema, Type.Null()])

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

// U+0000 cannot be in any account, and PostgreSQL would refuse to look for it.
const noNul = '^[^\\u0000]*$'

export const loginBody = Type.Object(
  {
    username: Type.String({ maxLength: 320, pattern: noNul, description: 'The email address.' }),
    password: Type.String({ maxLength: 1_000, pattern: noNul }),
    session_cookie: Type.Optional(
      Type.Union([Type.Boolean(), Type.Enum(['true', 'false'])], {
        description: 'true: for browsers, a cookie that POST /auth/refresh renews the session with.',
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
    token: Type.String({ description: 'For `invitation` in POST /auth/register. Shown this once.' }),
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

export const invitationPageSchema = Type.Object(
  { items: Type.Array(openInvitation), next_cursor: nullable(Type.String()) },
  { $id: 'InvitationPage', title: 'InvitationPage' },
)

export const exampleOpenInvitation = {
  id: exampleUser.id,
  role: 'reviewer',
  email: 'reviewer@example.com',
  created_by: exampleUser.id,
  expires_at: '2026-02-07T09:00:00.000Z',
  created_at: '2026-01-31T09:00:00.000Z',
}

export const joinBody = Type.Object({ token: Type.String({ minLength: 1, maxLength: 100 }) }, { title: 'Joining' })

const pageQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 100, description: '`next_cursor` of the page before.' })),
})
export const userQuery = pageQuery
export const invitationQuery = pageQuery

export const userPageSchema = Type.Object(
  { items: Type.Array(Type.Ref('User')), next_cursor: nullable(Type.String()) },
  { $id: 'UserPage', title: 'UserPage' },
)

export const changeUserBody = Type.Object(
  {
    role: Type.Optional(Type.Enum(['admin', 'reviewer', 'auditor'])),
    name: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 255, pattern: noNul }))),
    is_active: Type.Optional(
      Type.Boolean({ description: 'false: signed out everywhere within a second, and not let in again.' }),
    ),
  },
  { title: 'UserChanges', minProperties: 1 },
)
