import { type TSchema, Type } from 'typebox'

const id = Type.String({ format: 'uuid' })
const time = Type.String({ format: 'date-time' })
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
// Something to read in it, and no U+0000, which PostgreSQL could not store.
const name = Type.String({ minLength: 1, maxLength: 255, pattern: '^(?=[^\\u0000]*\\S)[^\\u0000]*$' })
const description = nullable(Type.String({ maxLength: 512, pattern: '^[^\\u0000]*$' }))

export const teamSchema = Type.Object(
  { id, name: Type.String(), description: nullable(Type.String()), created_at: time, updated_at: time },
  { $id: 'Team', title: 'Team' },
)

export const teamPageSchema = Type.Object(
  { items: Type.Array(Type.Ref('Team')), next_cursor: nullable(Type.String()) },
  { $id: 'TeamPage', title: 'TeamPage' },
)

export const teamMemberPageSchema = Type.Object(
  { items: Type.Array(Type.Object({ user_id: id, is_lead: Type.Boolean() })), next_cursor: nullable(Type.String()) },
  { $id: 'TeamMemberPage', title: 'TeamMemberPage' },
)

export const exampleTeam = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a80',
  name: 'Payments',
  description: 'Refunds and disputes.',
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

export const exampleTeamMember = { user_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59', is_lead: true }

export const pageQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 100, description: '`next_cursor` of the page before.' })),
})

export const createBody = Type.Object({ name, description: Type.Optional(description) }, { title: 'NewTeam' })
export const changeBody = Type.Object(
  { name: Type.Optional(name), description: Type.Optional(description) },
  { title: 'TeamChanges' },
)
export const memberBody = Type.Object({ is_lead: Type.Optional(Type.Boolean()) }, { title: 'TeamMember' })
export const memberParams = Type.Object({ id, user_id: id })
