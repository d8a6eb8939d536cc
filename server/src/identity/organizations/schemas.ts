import { Type } from 'typebox'
import { id, line, name, nullable, time } from '../../http/schema-parts.ts'
import { roles } from '../principal.ts'

const fields = {
  id,
  name: Type.String(),
  require_step_up: Type.Boolean({
    description: 'Sensitive acts need POST /auth/step-up, whatever factors a person has.',
  }),
  delete_after: nullable(
    Type.String({ format: 'date-time', description: 'When the organization and everything in it is deleted.' }),
  ),
  created_at: time,
  updated_at: time,
}

export const organizationSchema = Type.Object(fields, { $id: 'Organization', title: 'Organization' })

export const membershipSchema = Type.Object(
  { organization: Type.Ref('Organization'), user_id: id, role: Type.Enum([...roles]), is_current: Type.Boolean() },
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

export const createBody = Type.Object({ name }, { title: 'NewOrganization' })
export const changeBody = Type.Object(
  { name: Type.Optional(name), require_step_up: Type.Optional(Type.Boolean()) },
  { title: 'OrganizationChanges' },
)
export const transferBody = Type.Object({ user_id: id }, { title: 'OrganizationTransfer' })
export const deleteBody = Type.Object(
  { name: line({ description: "The organization's exact name." }) },
  { title: 'OrganizationDeletion' },
)
