import { Type } from 'typebox'
import { pageSchema } from '../../http/paging.ts'
import { createdAt, id, name, noNul, nullable, updatedAt, uuid } from '../../http/schema-parts.ts'

const about = 'What it is for.'
const description = nullable(Type.String({ maxLength: 512, pattern: noNul, description: about }))

const userId = uuid('The person.')
const isLead = Type.Boolean({ description: 'A lead may change the team and its members.' })

export const teamSchema = Type.Object(
  {
    id,
    name: Type.String({ description: 'What it is called.' }),
    description: nullable(Type.String({ description: about })),
    created_at: createdAt,
    updated_at: updatedAt,
  },
  { $id: 'Team', title: 'Team' },
)
export const teamPageSchema = pageSchema('TeamPage', Type.Ref('Team'))
export const teamMemberPageSchema = pageSchema(
  'TeamMemberPage',
  Type.Object({ user_id: userId, is_lead: isLead }, { title: 'TeamMember' }),
)

export const exampleTeam = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a80',
  name: 'Payments',
  description: 'Refunds and disputes.',
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}
export const exampleTeamMember = { user_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59', is_lead: true }

export const createBody = Type.Object({ name, description: Type.Optional(description) }, { title: 'CreateTeam' })
export const changeBody = Type.Object(
  { name: Type.Optional(name), description: Type.Optional(description) },
  { title: 'TeamChanges' },
)
export const memberBody = Type.Object({ is_lead: Type.Optional(isLead) }, { title: 'TeamMemberChanges' })
export const memberParams = Type.Object({ id: uuid('The team.'), user_id: userId })
