import { Type } from 'typebox'
import { createdAt, id, line, nullable, optionalList, time, updatedAt } from '../../../http/schema-parts.ts'
import { says } from '../../../platform/validation.ts'
import { grantableRole as role } from '../../accounts/schemas.ts'

// Printable ASCII without blanks and quotes (RFC 6749, 3.3 and appendix A).
const scope = Type.String({
  maxLength: 100,
  pattern: says('^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$', 'must be one scope: ASCII without blanks, quotes and backslashes'),
})
const visible = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, pattern: says('^[\\x20-\\x7e]+$', 'must be printable ASCII'), description })
const claimName = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: says('^[^\\u0000]+$', 'must have no NUL character, and something else'),
  description: 'A claim of the ID token or the userinfo endpoint, or a path such as realm_access.roles.',
})
const claimValue = '^[^\\u0000]{1,255}$'
const domain = Type.String({
  maxLength: 253,
  pattern: says('^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$', 'must be a domain, such as example.com'),
})

const settings = {
  name: line(),
  issuer: Type.String({
    minLength: 1,
    maxLength: 2_000,
    description: 'https://; written exactly as the provider names itself in its discovery document.',
  }),
  client_id: visible(512, 'As which this installation is registered there.'),
  scopes: Type.Array(scope, { maxItems: 20, description: 'Asked for beside openid. Default: email, profile.' }),
  role_claim: nullable(claimName),
  role_map: Type.Record(Type.String({ pattern: claimValue }), role, {
    maxProperties: 200,
    description:
      "The claim's values to roles; the highest counts, at every sign-in. Nobody becomes owner, and no owner is lowered.",
  }),
  default_role: Type.Union([role, Type.Null()], {
    description: 'For people without a value that is mapped; null: they are refused.',
  }),
  team_claim: nullable(claimName),
  team_map: Type.Record(Type.String({ pattern: claimValue }), Type.String({ format: 'uuid' }), {
    maxProperties: 500,
    description:
      "The claim's values to ids of teams. Who is in these teams is decided by the claims, at every sign-in.",
  }),
  creates_members: Type.Boolean({
    description: 'Who comes for the first time becomes a member. Else members link the identity themselves.',
  }),
  email_domains: Type.Array(domain, {
    maxItems: 50,
    description: 'When not empty, only verified addresses of these domains become members by themselves.',
  }),
  is_enforced: Type.Boolean({
    description:
      "Passwords and passkeys no longer open this organization, and sessions that they opened end; the owner's still do, " +
      'so that a provider that fails locks nobody out for good. Needs one sign-in or link through the provider first.',
  }),
  is_active: Type.Boolean({ description: 'Whether people can sign in through it.' }),
}

const clientSecret = nullable(visible(2_000, 'Kept encrypted and never shown again. null: a public client.'))

export const providerSchema = Type.Object(
  {
    id,
    ...settings,
    has_client_secret: Type.Boolean({ description: 'Whether a secret is kept.' }),
    redirect_uri: Type.String({ description: 'To be registered at the provider, exactly.' }),
    start_url: Type.String({ description: 'Where people go to sign in.' }),
    proven_at: nullable(time('The last success, as it is configured now.')),
    created_at: createdAt,
    updated_at: updatedAt,
  },
  { $id: 'IdentityProvider', title: 'IdentityProvider' },
)

export const exampleProvider = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70',
  name: 'Example accounts',
  issuer: 'https://accounts.example.com',
  client_id: 'hitl',
  scopes: ['email', 'profile', 'groups'],
  role_claim: 'groups',
  role_map: { 'hitl-admins': 'admin', 'hitl-reviewers': 'reviewer' },
  default_role: null,
  team_claim: null,
  team_map: {},
  creates_members: true,
  email_domains: ['example.com'],
  is_enforced: false,
  is_active: true,
  has_client_secret: true,
  redirect_uri: 'https://hitl.example.com/api/v1/auth/sso/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70/callback',
  start_url: 'https://hitl.example.com/api/v1/auth/sso/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70/start',
  proven_at: null,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

const lists = {
  scopes: optionalList(settings.scopes),
  role_map: optionalList(settings.role_map),
  team_map: optionalList(settings.team_map),
  email_domains: optionalList(settings.email_domains),
}
const { name, issuer, client_id, ...others } = settings

export const createProviderBody = Type.Object(
  { name, issuer, client_id, client_secret: Type.Optional(clientSecret), ...optional(others), ...lists },
  { title: 'CreateIdentityProvider' },
)

export const changeProviderBody = Type.Object(
  { ...optional(settings), ...lists, client_secret: Type.Optional(clientSecret) },
  { title: 'IdentityProviderChanges' },
)

export const createProviderExample = {
  name: 'Example accounts',
  issuer: 'https://accounts.example.com',
  client_id: 'hitl',
  client_secret: 'as the provider made it',
  scopes: ['email', 'profile', 'groups'],
  role_claim: 'groups',
  role_map: { 'hitl-admins': 'admin', 'hitl-reviewers': 'reviewer' },
  creates_members: true,
  email_domains: ['example.com'],
}

function optional<T extends Record<string, import('typebox').TSchema>>(fields: T) {
  return Object.fromEntries(Object.entries(fields).map(([key, schema]) => [key, Type.Optional(schema)])) as {
    [Key in keyof T]: ReturnType<typeof Type.Optional<T[Key]>>
  }
}
