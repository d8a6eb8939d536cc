import { Type } from 'typebox'
import { pageSchema } from '../../http/paging.ts'
import { name, nullable } from '../../http/schema-parts.ts'
import { grantableRole } from '../accounts/schemas.ts'

export const userPageSchema = pageSchema('UserPage', Type.Ref('User'))

export const changeBody = Type.Object(
  {
    role: Type.Optional(grantableRole),
    name: Type.Optional(nullable(name)),
    is_active: Type.Optional(
      Type.Boolean({ description: 'false: signed out everywhere within a second, and cannot sign in again.' }),
    ),
  },
  { title: 'UserChanges', minProperties: 1 },
)
