import { Type } from 'typebox'
import { pageSchema } from '../../http/paging.ts'
import { id, name, noNul, nullable, time } from '../../http/schema-parts.ts'

const description = nullable(Type.String({ maxLength: 512, pattern: noNul }))

export const teamSchema = Type.Object(
  { id, name: Type.String(), description: nullable(Type.String()), created_at: time, updated_at: time },
  { $id: 'Team', title: 'Team' },
)
export const teamPageSchema = pageSchema('TeamPage', Type.Ref('Team'))
export const teamMemberPageSchema = pageSchema('TeamMemberPage', Type.Object({ user_id: id, is_lead: Type.Boolean() }))

export const exampleTeam = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a80',
  name: 'Payments',
  description: 'Refunds and disputes.',
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}
export const exampleTeamMember = { user_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59', is_lead: true }

export const createBody = Type.Object({ name, description: Type.Optional(description) }, { title: 'NewTeam' })
export const changeBody = Type.Object(
  { name: Type.Optional(name), description: Type.Optional(description) },
  { title: 'TeamChanges' },
)
export const memberBody = Type.Object({ is_lead: Type.Optional(Type.Boolean()) }, { title: 'TeamMember' })
export const memberParams = Type.Object({ id, user_id: id })
