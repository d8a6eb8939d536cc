import { refusal } from '../../platform/problem.ts'
import type { Hold } from '../principal.ts'

/** The rules of agents and of the switch that holds them back: pure. */

export type Status = 'active' | 'paused' | 'stopped'

/** The switch of one agent, or of all agents of an organization. */
export interface Switch {
  readonly status: Status
  /** Null while it is active. */
  readonly since: Date | null
  readonly by: string | null
  readonly reason: string | null
}

/** An agent as people see it; as a caller it is the `Agent` of principal.ts. */
export interface RegisteredAgent {
  readonly organizationId: string
  readonly id: string
  readonly name: string
  readonly description: string | null
  /** The person responsible for it. */
  readonly ownerId: string | null
  readonly own: Switch
  /** The position of the switch of all the organization's agents. */
  readonly organizationStatus: Status
  /** When it was first refused because of the current pause. */
  readonly pauseAcknowledgedAt: Date | null
  /** The last use of any of its keys. */
  readonly lastUsedAt: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export const active: Switch = { status: 'active', since: null, by: null, reason: null }

export function newAgent(
  input: {
    readonly organizationId: string
    readonly name: string
    readonly description?: string | null | undefined
    readonly ownerId: string
  },
  id: string,
  now: Date,
): RegisteredAgent {
  return {
    organizationId: input.organizationId,
    id,
    name: input.name,
    description: input.description ?? null,
    ownerId: input.ownerId,
    own: active,
    organizationStatus: 'active',
    pauseAcknowledgedAt: null,
    lastUsedAt: null,
    createdAt: now,
    updatedAt: now,
  }
}

export const agentNotFound = refusal(404, 'agent.not_found', 'Agent not found')

/** Why a stopped switch cannot be set to paused. */
export const alreadyStopped = {
  agent: refusal(
    409,
    'agent.already_stopped',
    'This agent is stopped already, which goes further than a pause. Resume it first.',
  ),
  organization: refusal(
    409,
    'organization.already_stopped',
    'The agents of this organization are stopped already, which goes further than a pause. Resume them first.',
  ),
} as const

export type SwitchAct = 'pause' | 'resume' | 'stop'

const target: Readonly<Record<SwitchAct, Status>> = { pause: 'paused', resume: 'active', stop: 'stopped' }

/**
 * The switch after an act. Pressed twice it keeps its first time and reason: a person in a hurry wants the state, not the
 * change. Only resuming ends a stop, so that a pause never lets a stopped agent go on.
 */
export function turn(
  before: Switch,
  act: SwitchAct,
  by: { readonly userId: string; readonly reason: string | null },
  now: Date,
  whose: Hold['on'],
): Switch {
  const status = target[act]
  if (before.status === status) return before
  if (status === 'active') return active
  if (before.status === 'stopped') {
    throw alreadyStopped[whose]()
  }
  return { status, since: now, by: by.userId, reason: by.reason }
}

/** What holds an agent back: the stricter of its own switch and its organization's; the organization's if they are equal. */
export function holdOf(own: Switch, organization: Switch, isAcknowledged: boolean): Hold | null {
  const rank = { active: 0, paused: 1, stopped: 2 } as const
  const [on, strongest] =
    rank[own.status] > rank[organization.status] ? (['agent', own] as const) : (['organization', organization] as const)
  if (strongest.status === 'active' || strongest.since === null) return null
  return { on, status: strongest.status, since: strongest.since, reason: strongest.reason, isAcknowledged }
}
