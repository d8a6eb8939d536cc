import type { Caller, Person } from '../identity/principal.ts'
import { inTransaction } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import { withContext } from '../platform/with-context.ts'
import type { InboxContext } from './service.ts'
import { noView, tooManyViews, type View } from './view.ts'
import * as store from './view-store.ts'

export type Views = ReturnType<typeof createViews>

export function createViews(context: InboxContext) {
  return withContext(context, { list, save, change, remove, count })
}

type ViewInput = Pick<View, 'name' | 'query'>

const keyOf = ({ principal }: Caller<Person>, id: string): store.ViewKey => ({
  organizationId: principal.organizationId,
  userId: principal.userId,
  id,
})

function list({ db }: InboxContext, { principal }: Caller<Person>): Promise<readonly View[]> {
  const { organizationId, userId } = principal
  return store.viewsOf(db.within({ organizationId }), organizationId, userId)
}

/** Throws 422 where the list itself would, and 409 where they have too many. */
async function save({ db, clock, requests }: InboxContext, by: Caller<Person>, input: ViewInput): Promise<View> {
  requests.requireQuery(by.principal, input.query)
  const now = clock.now()
  const view = { ...keyOf(by, newId()), ...input, createdAt: now, updatedAt: now }
  const { organizationId } = view
  if (!(await inTransaction(db, { organizationId }, (tx) => store.insertView(tx, view)))) throw tooManyViews()
  return view
}

async function change(
  { db, clock, requests }: InboxContext,
  by: Caller<Person>,
  id: string,
  input: ViewInput,
): Promise<View> {
  const key = keyOf(by, id)
  const rows = db.within(key)
  // First, so that what is not theirs is 404 whatever they send.
  if ((await store.viewOf(rows, key)) === null) throw noView()
  requests.requireQuery(by.principal, input.query)
  const saved = await store.saveView(rows, key, { ...input, updatedAt: clock.now() })
  if (saved === null) throw noView()
  return saved
}

async function remove({ db }: InboxContext, by: Caller<Person>, id: string): Promise<void> {
  const key = keyOf(by, id)
  if (!(await store.deleteView(db.within(key), key))) throw noView()
}

async function count({ db, requests }: InboxContext, by: Caller<Person>, id: string) {
  const key = keyOf(by, id)
  const view = await store.viewOf(db.within(key), key)
  if (view === null) throw noView()
  return requests.count(by.principal, view.query)
}
