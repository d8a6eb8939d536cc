import { later } from '../../platform/clock.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { type CreatedOnce, createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { type Page, pageOf } from '../../platform/page.ts'
import { invalid } from '../../platform/problem.ts'
import { withContext } from '../../platform/with-context.ts'
import { userById } from '../accounts/store.ts'
import type { IdentityContext } from '../context.ts'
import type { Caller, Person, Principal } from '../principal.ts'
import { agentNotFound, newAgent, type RegisteredAgent } from './agent.ts'
import { agentFact } from './facts.ts'
import * as store from './store.ts'

export interface AgentChanges {
  readonly name?: string | undefined
  readonly description?: string | null | undefined
  readonly ownerId?: string | undefined
}

export type Agents = ReturnType<typeof createAgents>

/** The register of agents: their names, their purpose, and the person responsible for each. */
export function createAgents(context: IdentityContext) {
  return withContext(context, { register, list, one, change })
}

async function register(
  { db, clock, report }: IdentityContext,
  by: Caller<Person>,
  input: AgentChanges & { readonly name: string },
  idempotency: Idempotency | null,
): Promise<CreatedOnce<RegisteredAgent>> {
  const { organizationId, userId } = by.principal
  const { name, description, ownerId = userId } = input
  const agent = newAgent({ organizationId, name, description, ownerId }, newId(), clock.now())
  return createOnce(idempotency, {
    insert: () =>
      inTransaction(db, { organizationId }, async (tx) => {
        await requireMember(tx, organizationId, ownerId)
        const inserted = await store.insertAgent(tx, agent, userId, idempotency)
        if (inserted !== null) await report(tx, [agentFact(by, 'agent.created', null, inserted)])
        return inserted
      }),
    find: (key) => store.agentByIdempotencyKey(db.within({ organizationId }), organizationId, userId, key),
    initialReply: ({ id, createdAt, organizationStatus }) => ({
      ...newAgent({ organizationId, name, description, ownerId }, id, createdAt),
      organizationStatus,
    }),
  })
}

async function list(
  { db }: IdentityContext,
  { organizationId }: Principal,
  filter: store.AgentFilter,
  limit: number,
): Promise<Page<RegisteredAgent>> {
  return pageOf(await store.agents(db.within({ organizationId }), organizationId, filter, limit + 1), limit)
}

async function one({ db }: IdentityContext, { organizationId }: Principal, id: string): Promise<RegisteredAgent> {
  const agent = await store.agentById(db.within({ organizationId }), organizationId, id)
  if (agent === null) throw agentNotFound()
  return agent
}

function change(
  { db, clock, report }: IdentityContext,
  by: Caller<Person>,
  id: string,
  changes: AgentChanges,
): Promise<RegisteredAgent> {
  const { organizationId } = by.principal
  return inTransaction(db, { organizationId }, async (tx) => {
    const before = await store.agentById(tx, organizationId, id, true)
    if (before === null) throw agentNotFound()
    const { name = before.name, description = before.description, ownerId = before.ownerId } = changes
    const isSame = name === before.name && description === before.description && ownerId === before.ownerId
    if (isSame) return before
    if (ownerId !== null && ownerId !== before.ownerId) await requireMember(tx, organizationId, ownerId)
    const after = { ...before, name, description, ownerId, updatedAt: later(before, clock.now()) }
    await store.saveAgent(tx, after)
    await report(tx, [agentFact(by, 'agent.changed', before, after)])
    return after
  })
}

async function requireMember(tx: Tx, organizationId: string, userId: string): Promise<void> {
  const owner = await userById(tx, organizationId, userId)
  if (owner === null || !owner.isActive) throw invalid('owner_id', 'names no active member of this organization')
}
