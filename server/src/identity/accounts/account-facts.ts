import { type Actor, factBy, type Origin, type Report, type ReportedChange } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import type { Tx } from '../../platform/database/db.ts'
import { networkOf } from '../../platform/network-address.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import { type Membership, memberships, switchScope } from './account-link-store.ts'

/** The origin of a call without a signed-in person. */
export interface Visitor {
  readonly httpRequestId: string | null
  /** The client's address. */
  readonly network: string | null
}

/** Where a change of an account comes from. Each organization that the account belongs to keeps it as an event of its own. */
export interface AccountOrigin extends Visitor {
  /** Left out: the member themselves, proven otherwise than by a session. */
  readonly actor?: Actor
  /** The session it was done in. */
  readonly by?: Caller<Person>
}

export function bySession(by: Caller<Person>): AccountOrigin {
  return { httpRequestId: by.httpRequestId, network: by.network ?? null, by }
}

/** The origin as one organization knows it: a session, and the network it is used from, is of one organization only. */
export function originIn(
  { organizationId, userId }: Membership,
  { httpRequestId, network, actor, by }: AccountOrigin,
): Origin {
  const isElsewhere = by !== undefined && by.principal.organizationId !== organizationId
  return {
    organizationId,
    actor: actor ?? memberActor(userId, by),
    httpRequestId,
    network: isElsewhere ? null : network,
  }
}

function memberActor(userId: string, by?: Caller<Person>): Actor {
  return by?.principal.userId === userId ? actorOf(by.principal) : { kind: 'person', id: userId }
}

/** Does something in each organization that the account belongs to, in the scope of that organization and of the account. */
export async function everywhere(
  tx: Tx,
  accountId: string,
  act: (membership: Membership) => Promise<void>,
): Promise<void> {
  for (const membership of await memberships(tx, accountId)) {
    await switchScope(tx, membership.organizationId)
    await act(membership)
  }
}

/** Reports one change of an account to each organization that it belongs to. */
export function reportEverywhere(
  tx: Tx,
  accountId: string,
  report: Report,
  origin: AccountOrigin,
  kind: EventKind,
  change: ReportedChange,
): Promise<void> {
  return everywhere(tx, accountId, (membership) =>
    report(tx, [factBy(originIn(membership, origin), kind, ['user', membership.userId], change)]),
  )
}

/** The network that failed attempts are counted by; the audit keeps the address itself. */
export function attemptNetwork(address: string | null | undefined): string {
  return address == null ? '' : networkOf(address)
}
