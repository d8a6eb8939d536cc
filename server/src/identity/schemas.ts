import { Type } from 'typebox'
import { emailPattern } from './user.ts'

const id = Type.String({ format: 'uuid' })
const time = Type.String({ format: 'date-time' })
const email = Type.String({ maxLength: 254, pattern: emailPattern, description: 'Compared without regard to case.' })
const role = Type.Enum(['admin', 'reviewer'])
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

export const exampleApiKey = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60',
  name: 'deploy-bot',
  description: 'Asks before it touches production.',
  is_active: true,
  last_used_at: null,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

const apiKeyFields = {
  id,
  name: Type.String(),
  description: nullable(Type.String()),
  is_active: Type.Boolean(),
  last_used_at: nullable(Type.String({ format: 'date-time', description: 'At most a minute stale.' })),
  created_at: time,
  updated_at: time,
}

export const apiKeySchema = Type.Object(apiKeyFields, { $id: 'ApiKey', title: 'ApiKey' })

export const newApiKeySchema = Type.Object(
  { ...apiKeyFields, key: Type.String({ description: 'The raw key. Shown this once; only its hash is kept.' }) },
  { $id: 'NewApiKey', title: 'NewApiKey' },
)

const keyName = Type.String({ minLength: 1, maxLength: 255 })
const keyDescription = nullable(Type.String({ maxLength: 512 }))

export const createApiKeyBody = Type.Object(
  { name: keyName, description: Type.Optional(keyDescription) },
  { title: 'NewApiKeyInput' },
)

export const changeApiKeyBody = Type.Object(
  {
    name: Type.Optional(keyName),
    description: Type.Optional(keyDescription),
    is_active: Type.Optional(Type.Boolean({ description: 'false revokes the key within a second, everywhere.' })),
  },
  { title: 'ApiKeyChanges' },
)

export const inviteBody = Type.Object(
  { role: Type.Optional(role), email: Type.Optional(nullable(email)) },
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
