import { allowEntry } from '../outbound/allow-list.ts'
import { isProduction, type ServiceSettings } from './service.ts'
import { integer, list, oneOf, optional, type Rule, secret, type Values } from './setting.ts'

export const identitySettings = {
  REGISTRATION: oneOf('Who may create an account (open: anyone, as a reviewer).', 'invite', [
    'invite',
    'open',
    'closed',
  ]),
  ADMIN_EMAIL: optional('First admin, created at the start when it does not exist.', 'admin@example.com'),
  ADMIN_PASSWORD: secret(optional("First admin's password, 8 to 72 bytes.", 'choose your own')),
  ACCESS_TOKEN_EXPIRE_MINUTES: integer('Life of an access token.', 30, 1, 1_440),
  ACCESS_TOKEN_ALGORITHM: oneOf(
    'EdDSA: access tokens are signed with rotating keys, whose public parts are at /.well-known/jwks.json.',
    'HS256',
    ['HS256', 'EdDSA'],
  ),
  SESSION_IDLE_MINUTES: integer('A browser not used for this long has to sign in again.', 10_080, 5, 525_600),
  SESSION_MAX_MINUTES: integer(
    "A browser's session ends after this long, however much it is used.",
    43_200,
    5,
    525_600,
  ),
  STEP_UP_FRESH_MINUTES: integer(
    'A sign-in this fresh is proof enough for sensitive acts of people who have no second factor; 0: never.',
    10,
    0,
    1_440,
  ),
  SSO_ALLOW: list(
    'CIDRs and hosts beyond the public internet where identity providers may be.',
    '10.2.0.0/16,accounts.internal',
    allowEntry,
  ),
  SSO_CA: optional('File with the certificate authority of identity providers.', '/run/secrets/sso-ca.pem'),
}

export type IdentitySettings = Values<typeof identitySettings>

export const identityRules = (values: IdentitySettings & ServiceSettings): readonly Rule[] => {
  const { ADMIN_EMAIL, ADMIN_PASSWORD } = values
  const passwordBytes = Buffer.byteLength((ADMIN_PASSWORD ?? 'none set').normalize('NFC'))
  return [
    [
      (ADMIN_EMAIL === null) !== (ADMIN_PASSWORD === null),
      'ADMIN_EMAIL and ADMIN_PASSWORD belong together: set both or neither',
    ],
    [ADMIN_EMAIL !== null && !/^[^\s@]+@[^\s@]+$/.test(ADMIN_EMAIL), 'ADMIN_EMAIL must be an email address'],
    [passwordBytes < 8 || passwordBytes > 72, 'ADMIN_PASSWORD must be 8 to 72 bytes long'],
    [
      isProduction(values) && ADMIN_PASSWORD === 'password123',
      'ADMIN_PASSWORD is the published sample password: choose your own',
    ],
  ]
}
