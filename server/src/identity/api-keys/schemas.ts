import { Type } from 'typebox'
import { createdAt, id, name, nullable, optionalList, time, updatedAt } from '../../http/schema-parts.ts'
import { exampleAgent } from '../agents/schemas.ts'
import { keyScopes } from '../principal.ts'
import {
  defaultLifeDays,
  defaultOverlapMinutes,
  maxLifeDays,
  maxNetworks,
  maxOverlapMinutes,
  soonDays,
} from './api-key-terms.ts'

export const exampleApiKey = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60',
  agent_id: exampleAgent.id,
  name: 'deploy-bot',
  description: 'Asks before it touches production.',
  is_active: true,
  scopes: [...keyScopes],
  expires_at: '2027-01-31T09:00:00.000Z',
  expires_soon: false,
  allowed_networks: ['192.0.2.0/24', '2001:db8:1::/48'],
  last_used_at: null,
  last_used_address: null,
  rotated_from: null,
  revoked_at: null,
  revoked_by: null,
  leaked_at: null,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

const about = 'What it is for.'
const scope = Type.Enum([...keyScopes], { title: 'KeyScope', description: 'One kind of call.' })

const apiKeyFields = {
  id,
  agent_id: Type.String({ format: 'uuid', description: 'The agent that uses it. Requests belong to the agent.' }),
  name: Type.String({ description: 'What it is called.' }),
  description: nullable(Type.String({ description: about })),
  is_active: Type.Boolean({ description: 'Not revoked. An expired key is refused even so.' }),
  scopes: Type.Array(scope, { description: 'What it may be used for.' }),
  expires_at: time('Until when it can be used.'),
  expires_soon: Type.Boolean({
    description: `It expires within ${soonDays} days, or has expired. Replies to its calls then carry the header API-Key-Expires.`,
  }),
  allowed_networks: Type.Array(Type.String(), { description: 'CIDRs that it may be used from; empty means anywhere.' }),
  last_used_at: nullable(Type.String({ format: 'date-time', description: 'At most a minute stale.' })),
  last_used_address: nullable(Type.String({ description: 'Where it was last used from.' })),
  rotated_from: nullable(Type.String({ format: 'uuid', description: 'The key that it replaces.' })),
  revoked_at: nullable(time('When it was revoked.')),
  revoked_by: nullable(Type.String({ format: 'uuid', description: 'Null when it was reported as leaked.' })),
  leaked_at: nullable(
    Type.String({ format: 'date-time', description: 'When it was reported as leaked. It is never restored.' }),
  ),
  created_at: createdAt,
  updated_at: updatedAt,
}

export const apiKeySchema = Type.Object(apiKeyFields, { $id: 'ApiKey', title: 'ApiKey' })

export const newApiKeySchema = Type.Object(
  { ...apiKeyFields, key: Type.String({ description: 'The raw key. Shown this once; only its hash is kept.' }) },
  { $id: 'CreatedApiKey', title: 'CreatedApiKey' },
)

const keyDescription = nullable(Type.String({ maxLength: 512, description: about }))
const terms = {
  scopes: optionalList(
    Type.Array(scope, {
      minItems: 1,
      maxItems: keyScopes.length,
      uniqueItems: true,
      description: 'What the key may be used for; everything by default. Give an agent no more than it needs.',
    }),
  ),
  expires_at: Type.Optional(
    Type.String({
      maxLength: 40,
      description:
        `RFC 3339; by default in ${defaultLifeDays} days, at most in ${maxLifeDays}. Every key expires: null is refused. ` +
        'Rotate it before then.',
    }),
  ),
  allowed_networks: optionalList(
    Type.Array(Type.String({ minLength: 1, maxLength: 50 }), {
      maxItems: maxNetworks,
      description:
        'CIDRs or addresses, IPv4 or IPv6, that the key may be used from; empty means anywhere. Together they may not be everybody.',
    }),
  ),
}

export const createApiKeyBody = Type.Object(
  {
    name: name,
    description: Type.Optional(keyDescription),
    agent_id: Type.Optional(
      Type.String({
        format: 'uuid',
        description:
          'An agent registered with POST /agents. Left out, a new agent of the same name and description is made.',
      }),
    ),
    ...terms,
  },
  { title: 'CreateApiKey' },
)

export const changeApiKeyBody = Type.Object(
  {
    name: Type.Optional(name),
    description: Type.Optional(keyDescription),
    is_active: Type.Optional(Type.Boolean({ description: 'false revokes the key within a second, everywhere.' })),
    ...terms,
  },
  { title: 'ApiKeyChanges' },
)

export const rotateApiKeyBody = Type.Object(
  {
    overlap_minutes: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: maxOverlapMinutes,
        description: `How long the old key goes on working. Left out: ${defaultOverlapMinutes}; 0 ends it at once.`,
      }),
    ),
    expires_at: Type.Optional(
      Type.String({
        maxLength: 40,
        description: 'RFC 3339; by default the new key lives as long as the old one was meant to.',
      }),
    ),
  },
  { title: 'ApiKeyRotation' },
)

export const listApiKeysQuery = Type.Object({
  agent_id: Type.Optional(Type.String({ format: 'uuid', description: 'Only keys of this agent.' })),
})

export const leakedKeyBody = Type.Object(
  { key: Type.String({ minLength: 1, maxLength: 1_000, description: 'The raw key, as it was found.' }) },
  { title: 'LeakedKey' },
)

export const leakedKeySchema = Type.Object(
  { status: Type.Literal('accepted', { description: 'Always the same.' }) },
  { $id: 'LeakedKeyReceipt', title: 'LeakedKeyReceipt' },
)

export const keyFormatSchema = Type.Object(
  {
    name: Type.String({ description: 'Of this kind of key.' }),
    prefix: Type.String({ description: 'How every key begins.' }),
    regex: Type.String({ description: 'Works in RE2, PCRE and JavaScript.' }),
    length: Type.Integer({ description: 'How many characters a key has.' }),
    alphabet: Type.String({ description: 'The characters after the prefix.' }),
    parts: Type.Array(
      Type.Object(
        {
          name: Type.String({ description: 'What the part is called.' }),
          length: Type.Integer({ description: 'How many characters it has.' }),
          description: Type.String({ description: 'What it is.' }),
        },
        { title: 'ApiKeyPart' },
      ),
      { description: 'In their order.' },
    ),
    checksum: Type.String({ description: 'How the last part is computed.' }),
    revocation: Type.Object(
      {
        method: Type.String({ description: 'The method of the call.' }),
        url: Type.String({ description: 'Its address.' }),
        body: Type.String({ description: 'JSON; the reply is 202 whether or not there is such a key.' }),
      },
      { title: 'ApiKeyRevocation', description: 'The call that revokes a key that was found.' },
    ),
  },
  { $id: 'ApiKeyFormat', title: 'ApiKeyFormat' },
)
