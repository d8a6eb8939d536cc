import { Type } from 'typebox'

const id = Type.String({ format: 'uuid' })
const time = Type.String({ format: 'date-time' })
const nullable = <T extends import('typebox').TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const name = Type.String({ minLength: 1, maxLength: 255, pattern: '^[^\\u0000]*$' })
const description = nullable(Type.String({ maxLength: 512, pattern: '^[^\\u0000]*$' }))

const fields = {
  id,
  name: Type.String(),
  description: nullable(Type.String()),
  created_at: time,
  updated_at: time,
}

export const teamSchema = Type.Object(fields, { $id: 'Team', title: 'Team' })

export const teamWithMembersSchema = Type.Object(
  { ...fields, members: Type.Array(Type.Object({ user_id: id, is_lead: Type.Boolean() })) },
  { $id: 'TeamWithMembers', title: 'TeamWithMembers' },
)

export const exampleTeam = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a80',
  name: 'Payments',
  description: 'Refunds and disputes.',
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

export const exampleTeamWithMembers = {
  ...exampleTeam,
  members: [{ user_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59', is_lead: true }],
}

export const createBody = Type.Object({ name, description: Type.Optional(description) }, { title: 'NewTeam' })
export const changeBody = Type.Object(
  { name: Type.Optional(name), description: Type.Optional(description) },
  { title: 'TeamChanges' },
)
export const memberBody = Type.Object({ is_lead: Type.Optional(Type.Boolean()) }, { title: 'TeamMember' })
export const memberParams = Type.Object({ id, user_id: id })
