import { refusal } from '../platform/problem.ts'

/** A list of the inbox that one person has named: its filters and its order. */
export interface View {
  readonly organizationId: string
  readonly id: string
  readonly userId: string
  readonly name: string
  /** As in the address of the list, without the question mark. */
  readonly query: string
  readonly createdAt: Date
  readonly updatedAt: Date
}

export const mostViews = 50
export const viewNameLength = 60
export const viewQueryLength = 2_000

export const tooManyViews = refusal(
  409,
  'inbox.too_many_views',
  `You have ${mostViews} saved views, and that is as many as you may. Delete one of them first.`,
)

export const noView = refusal(
  404,
  'inbox.no_view',
  'You have no saved view with this id. GET /views lists those you have.',
)
