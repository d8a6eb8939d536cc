import { Type } from 'typebox'
import { id, nullable, time, uuid } from '../../http/schema-parts.ts'

export const sessionSchema = Type.Object(
  {
    id,
    organization_id: uuid('The organization that it is in.'),
    user_id: uuid('The person.'),
    kind: Type.Enum(['browser', 'bearer'], {
      description: 'browser: renewed with a cookie; bearer: ends with its token.',
    }),
    signed_in_with: Type.Array(Type.String(), { description: 'password, totp, recovery_code, passkey, oidc.' }),
    signed_in_at: time('When it began.'),
    network: nullable(Type.String({ description: 'The address it was last used from.' })),
    user_agent: nullable(Type.String({ description: 'The program, as it names itself.' })),
    last_used_at: time('When it was last used.'),
    expires_at: time('When it ends by itself.'),
    is_current: Type.Boolean({ description: 'The session of this very call.' }),
  },
  { $id: 'Session', title: 'Session' },
)

export const sessionExample = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70',
  organization_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a51',
  user_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  kind: 'browser',
  signed_in_with: ['password', 'totp'],
  signed_in_at: '2026-01-31T09:00:00.000Z',
  network: '203.0.113.7',
  user_agent: 'Mozilla/5.0',
  last_used_at: '2026-01-31T09:10:00.000Z',
  expires_at: '2026-03-02T09:00:00.000Z',
  is_current: true,
}

export const switchBody = Type.Object(
  { organization_id: uuid('The organization to enter.') },
  { title: 'OrganizationChoice' },
)
