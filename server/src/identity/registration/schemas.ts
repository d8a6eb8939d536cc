import { Type } from 'typebox'
import { name, noNul, nullable } from '../../http/schema-parts.ts'
import { email } from '../accounts/schemas.ts'

export const registerBody = Type.Object(
  {
    email,
    password: Type.String({ description: '8 to 72 bytes in UTF-8.', maxLength: 1_000 }),
    name: Type.Optional(nullable(name)),
    invitation: Type.Optional(
      Type.String({ minLength: 1, maxLength: 100, description: 'The token of an invitation or of the set-up link.' }),
    ),
    role: Type.Optional(nullable(Type.String({ maxLength: 255, description: 'Ignored: it gives no rights.' }))),
  },
  { title: 'Registration' },
)
export const registerExample = { email: 'reviewer@example.com', password: 'correct horse', name: 'Robin Reviewer' }

const ofOAuth = Type.Optional(
  Type.String({ maxLength: 1_000, description: 'Ignored: programs that speak OAuth 2 send it.' }),
)

export const loginBody = Type.Object(
  {
    username: Type.String({ maxLength: 320, pattern: noNul, description: 'The email address.' }),
    password: Type.String({ maxLength: 1_000, pattern: noNul, description: 'The password.' }),
    session_cookie: Type.Optional(
      Type.Union([Type.Boolean(), Type.Enum(['true', 'false'])], {
        description: 'true: also set a cookie, with which a browser renews the session through POST /auth/refresh.',
      }),
    ),
    grant_type: ofOAuth,
    scope: ofOAuth,
    client_id: ofOAuth,
    client_secret: ofOAuth,
  },
  { title: 'Login' },
)
export const loginExample = { username: 'reviewer@example.com', password: 'correct horse' }
