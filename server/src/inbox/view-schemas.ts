import { Type } from 'typebox'
import { pageSchema } from '../http/paging.ts'
import { createdAt, id, line, noNul, updatedAt } from '../http/schema-parts.ts'
import { mostViews, viewNameLength, viewQueryLength } from './view.ts'

const members = {
  name: line({ maxLength: viewNameLength, description: 'What the person calls it.' }),
  query: Type.String({
    maxLength: viewQueryLength,
    pattern: noNul,
    description:
      'The query of `GET /requests` that it stands for, as an address has it: `risk=high,critical&sort=due`; empty: all requests. Checked as there. ' +
      'Without what is about one page: `limit`, `offset`, `cursor`, `fields` and `updated_after`.',
  }),
}

export const viewBody = Type.Object(members, { title: 'SaveView' })

export const viewSchema = Type.Object(
  {
    id,
    name: Type.String({ description: 'What the person calls it.' }),
    query: Type.String({ description: 'The query of `GET /requests` that it stands for, as it was saved.' }),
    created_at: createdAt,
    updated_at: updatedAt,
  },
  { $id: 'SavedView', title: 'SavedView' },
)
export const viewsSchema = pageSchema(
  'SavedViews',
  Type.Ref('SavedView'),
  `always null, because a person has at most ${mostViews}.`,
)
export const viewCountSchema = Type.Object(
  {
    count: Type.Integer({ description: 'How many requests a first page of 100 has.' }),
    is_more: Type.Boolean({ description: 'Whether there may be more than these.' }),
  },
  { $id: 'ViewCount', title: 'ViewCount' },
)

export const viewBodyExample = { name: 'Refunds that are due', query: 'tag=refund&queue=all&sort=due' }
export const viewExample = {
  id: '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a71',
  ...viewBodyExample,
  created_at: '2026-01-31T09:00:00.000Z',
  updated_at: '2026-01-31T09:00:00.000Z',
}
