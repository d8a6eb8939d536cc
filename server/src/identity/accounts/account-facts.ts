import type { Actor, Fact, Report } from '../../facts/fact.ts'
import type { Tx } from '../../platform/database/db.ts'
import { networkOf } from '../../platform/network-address.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import { enterOrganization, type Membership, memberships } from './account-link-store.ts'

/** From where something is done about an account. */
export interface Visitor {
  readonly httpRequestId: string | null
  /** The client's address. */
  readonly network: string | null
}

export type AccountFact = Pick<Fact, 'kind' | 'before' | 'after' | 'occurredAt'> & {
  readonly erasable?: NonNullable<Fact['erasable']>
  readonly visitor: Visitor
  /** Left out: the member themselves, who has proved it otherwise than by being signed in. */
  readonly actor?: Fact['actor']
  /** The session it was done in. */
  readonly by?: Caller<Person>
}

export function visitorOf(by: Caller<Person>): Visitor {
  return { httpRequestId: by.httpRequestId, network: by.network ?? null }
}

/** Something in each organization that the account belongs to, in that one's scope; the account's own stays. */
export async function everywhere(
  tx: Tx,
  accountId: string,
  act: (membership: Membership) => Promise<void>,
): Promise<void> {
  for (const membership of await memberships(tx, accountId)) {
    await enterOrganization(tx, membership.organizationId)
    await act(membership)
  }
}

/** The account's member themselves, as one organization knows them: a session is of one organization only. */
export function memberActor(userId: string, by?: Caller<Person>): Actor {
  return by?.principal.userId === userId ? actorOf(by.principal) : { kind: 'person', id: userId }
}

/** Tells each organization that the account belongs to, in its own events. */
export function reportEverywhere(
  tx: Tx,
  accountId: string,
  report: Report,
  { visitor, actor, by, ...fact }: AccountFact,
): Promise<void> {
  return everywhere(tx, accountId, ({ organizationId, userId }) =>
    report(tx, [
      {
        ...fact,
        organizationId,
        subjectKind: 'user',
        subjectId: userId,
        actor: actor ?? memberActor(userId, by),
        httpRequestId: visitor.httpRequestId,
        network: visitor.network,
      },
    ]),
  )
}

/** By which attempts from one place are counted; the audit keeps the address itself. */
export function attemptNetwork(address: string | null | undefined): string {
  return address == null ? '' : networkOf(address)
}
