import { Type } from 'typebox'
import { pageSchema } from '../../http/paging.ts'
import { noNul, nullable } from '../../http/schema-parts.ts'
import { grantableRole } from '../accounts/schemas.ts'

export const userPageSchema = pageSchema('UserPage', Type.Ref('User'))

export const changeBody = Type.Object(
  {
    role: Type.Optional(grantableRole),
    name: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 255, pattern: noNul }))),
    is_active: Type.Optional(
      Type.Boolean({ description: 'false: signed out everywhere within a second, and cannot sign in again.' }),
    ),
  },
  { title: 'UserChanges', minProperties: 1 },
)
