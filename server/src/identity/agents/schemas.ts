import { Type } from 'typebox'

const id = Type.String({ format: 'uuid' })
const time = Type.String({ format: 'date-time' })
const nullable = <T extends import('typebox').TSchema>(schema: T) => Type.Union([schema, Type.Null()])

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
