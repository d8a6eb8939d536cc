import { Type } from 'typebox'
import { createdAt, id, line, name, nullable, time, updatedAt, uuid } from '../../http/schema-parts.ts'
import { role } from '../accounts/schemas.ts'

const requireStepUp = Type.Boolean({
  description: 'Sensitive acts need POST /auth/step-up, whatever factors a person has.',
})
const fields = {
  id,
  name: Type.String({ description: 'What it is called.' }),
  require_step_up: requireStepUp,
  delete_after: nullable(time('When the organization and everything in it is deleted.')),
  created_at: createdAt,
  updated_at: updatedAt,
}

export const organizationSchema = Type.Object(fields, {
  $id: 'Organization',
  title: 'Organization',
  description: 'An organization.',
})

export const membershipSchema = Type.Object(
  {
    organization: Type.Ref('Organization'),
    user_id: uuid('You, in this organization.'),
    role,
    is_current: Type.Boolean({ description: 'The organization of this very call.' }),
  },
  { $id: 'Membership', title: 'Membership' },
)

export const exampleOrganization = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a51',
  name: 'Example Inc.',
  require_step_up: false,
  delete_after: null,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}

export const exampleMembership = {
  organization: exampleOrganization,
  user_id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59',
  role: 'owner',
  is_current: true,
}

export const createBody = Type.Object({ name }, { title: 'CreateOrganization' })
export const changeBody = Type.Object(
  { name: Type.Optional(name), require_step_up: Type.Optional(requireStepUp) },
  { title: 'OrganizationChanges' },
)
export const transferBody = Type.Object(
  { user_id: uuid('The member who becomes the owner.') },
  { title: 'OrganizationTransfer' },
)
export const deleteBody = Type.Object(
  { name: line({ description: "The organization's exact name." }) },
  { title: 'OrganizationDeletion' },
)
