import { Type } from 'typebox'
import { createdAt, id, nullable, updatedAt } from '../../http/schema-parts.ts'
import { says } from '../../platform/validation.ts'
import { roles } from '../principal.ts'
import { emailPattern, grantableRoles } from './user.ts'

export const email = Type.String({
  maxLength: 254,
  pattern: says(emailPattern, 'must be an email address'),
  description: 'Compared without regard to case.',
})
export const grantableRole = Type.Enum([...grantableRoles], {
  title: 'GrantableRole',
  description: 'What the person may do. An owner is made with POST /organization/transfer only.',
})
export const role = Type.Enum([...roles], { title: 'Role', description: 'What the person may do.' })

export const userSchema = Type.Object(
  {
    id,
    email: Type.String({ description: 'The address to sign in with.' }),
    name: nullable(Type.String({ description: 'What the person is called.' })),
    role,
    is_active: Type.Boolean({ description: 'Whether the person can sign in.' }),
    created_at: createdAt,
    updated_at: updatedAt,
  },
  { $id: 'User', title: 'User', description: 'A person of an organization.' },
)

export const exampleUser = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  email: 'reviewer@example.com',
  name: 'Robin Reviewer',
  role: 'reviewer',
  is_active: true,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

export const tokenSchema = Type.Object(
  {
    access_token: Type.String({ description: 'JWT for the Authorization header.' }),
    token_type: Type.Literal('bearer', { description: 'How to send it: `Authorization: Bearer …`.' }),
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
