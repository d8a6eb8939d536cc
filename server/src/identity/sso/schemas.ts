import { Type } from 'typebox'
import { createdAt, id, nullable, time } from '../../http/schema-parts.ts'

const returnTo = Type.Optional(
  Type.String({
    maxLength: 500,
    description: 'The path of a page of this service, where the person goes afterwards. Default: /',
  }),
)

const ofProvider = Type.Optional(
  Type.String({ maxLength: 2_000, description: 'Ignored: providers whose pages link here send it.' }),
)

/** Providers that begin a sign-in themselves add the last three (OpenID Connect Core, 4). */
export const startQuery = Type.Object({
  return_to: returnTo,
  iss: ofProvider,
  login_hint: ofProvider,
  target_link_uri: ofProvider,
  confirmed: Type.Optional(
    Type.String({ maxLength: 100, description: 'Of the page that asks before a sign-in that another page began.' }),
  ),
})
export const linkBody = Type.Object({ return_to: returnTo }, { title: 'LinkInput' })

/** Each is looked at again where it counts. Providers add parameters of their own, which must be ignored (RFC 6749, 4.1.2). */
export const callbackQuery = Type.Object(
  {
    state: Type.Optional(Type.String({ maxLength: 200, description: 'As this service sent it.' })),
    code: Type.Optional(Type.String({ maxLength: 8_000, description: 'What the provider signs in with.' })),
    iss: Type.Optional(Type.String({ maxLength: 2_000, description: 'The provider, as it names itself (RFC 9207).' })),
    error: Type.Optional(Type.String({ maxLength: 200, description: 'Why the provider refused.' })),
    confirmed: Type.Optional(Type.String({ maxLength: 100, description: 'Of the page that asks first.' })),
    again: Type.Optional(
      Type.String({ maxLength: 10, description: 'Set by this service, which sends browsers here twice.' }),
    ),
  },
  { additionalProperties: true },
)

export const linkSchema = Type.Object(
  {
    authorization_url: Type.String({ description: 'Send the browser there; the cookie of this reply belongs to it.' }),
  },
  { $id: 'SsoLink', title: 'SsoLink' },
)

export const exampleLink = {
  authorization_url:
    'https://accounts.example.com/authorize?response_type=code&client_id=hitl&code_challenge_method=S256',
}

export const identitySchema = Type.Object(
  {
    id,
    issuer: Type.String({ description: 'The provider, as it names itself.' }),
    subject: Type.String({ description: 'As which the provider knows you.' }),
    created_at: createdAt,
    last_used_at: nullable(time('The last sign-in with it.')),
  },
  { $id: 'SsoIdentity', title: 'SsoIdentity' },
)

export const exampleIdentity = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a71',
  issuer: 'https://accounts.example.com',
  subject: '248289761001',
  created_at: '2026-01-31T09:00:00.000Z',
  last_used_at: '2026-02-01T09:00:00.000Z',
}
