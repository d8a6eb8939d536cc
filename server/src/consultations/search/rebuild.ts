import { type Db, inTransaction } from '../../platform/database/db.ts'
import * as store from './store.ts'

/** Everything that search knows of an organization is made again, by the workers. */
export function rebuild({ db }: { readonly db: Db }, organizationId: string): Promise<void> {
  return inTransaction(db, { organizationId }, (tx) => store.clear(tx, organizationId))
}
