import type { Tx } from '../../../platform/database/db.ts'
import { assuranceJson } from '../step-up.ts'
import type { Permit } from './service.ts'

/** What the event of an act keeps of the step-up behind it; nothing where none was needed. */
export type UsedPermit = { readonly digest?: string; readonly assurance?: ReturnType<typeof assuranceJson> }

export async function usePermit(tx: Tx, permit: Permit | null): Promise<UsedPermit> {
  return permit === null ? {} : { digest: permit.digest, assurance: assuranceJson(await permit.use(tx)) }
}
