import type { Actor, Origin } from '../facts/fact.ts'
import { forbidden } from '../http/refusals.ts'
import { type AnyRefusal, type Problem, refusal } from '../platform/problem.ts'

export const roles = ['owner', 'admin', 'reviewer', 'auditor'] as const
export type Role = (typeof roles)[number]

export interface Person {
  readonly kind: 'person'
  readonly organizationId: string
  readonly userId: string
  readonly accountId: string
  readonly role: Role
  /** Null or left out where they have none. */
  readonly name?: string | null
  /** Left out where the access token names none. */
  readonly sessionId?: string
  /** How and when this person signed in; renewing a session does not change it. Left out when unknown. */
  readonly signIn?: { readonly methods: readonly string[]; readonly at: Date }
}

/** What a key may be made for. */
export const keyScopes = [
  'requests:create',
  'requests:read',
  'requests:cancel',
  'requests:redeliver',
  'requests:redeem',
] as const
export type KeyScope = (typeof keyScopes)[number]

/** Why an agent may not ask, or do, anything just now. */
export interface Hold {
  /** Which switch holds the agent back: its own, or its organization's. */
  readonly on: 'agent' | 'organization'
  /** paused: new requests are refused; stopped: every call is refused. */
  readonly status: 'paused' | 'stopped'
  readonly since: Date
  readonly reason: string | null
  /** A call of the agent was already refused because of it. */
  readonly isAcknowledged: boolean
}

export interface Agent {
  readonly kind: 'agent'
  readonly organizationId: string
  readonly agentId: string
  /** The key it showed. */
  readonly apiKeyId: string
  /** In the order of `keyScopes`, each once. */
  readonly scopes: readonly KeyScope[]
  /** Left out, or null, while it may work. */
  readonly hold?: Hold | null
  /** When its key expires, where that is soon. */
  readonly keyExpiring?: Date | null
}

/** Who is asking, as the credential proved it. The organization comes from here and from nowhere else. */
export type Principal = Person | Agent

export function actorOf(principal: Principal): Actor {
  if (principal.kind === 'agent') return { kind: 'agent', id: principal.agentId, keyId: principal.apiKeyId }
  const { userId: id, sessionId, signIn } = principal
  return {
    kind: 'person',
    id,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(signIn === undefined ? {} : { signedInWith: signIn.methods }),
  }
}

/** Whose turn is taken for a caller where organizations take turns, and within each its agents and people. */
export function payerOf(principal: Principal): readonly string[] {
  return [principal.organizationId, principal.kind === 'agent' ? principal.agentId : principal.userId]
}

const everybody = ['reviewer', 'auditor', 'admin', 'owner'] as const
const managers = ['admin', 'owner'] as const

/** What each kind of caller may do: the only place that says so. */
export const rights = {
  'request.create': ['agent'],
  'request.read': ['agent', ...everybody],
  'queue.read': everybody,
  'request.respond': ['reviewer', ...managers],
  'request.attach': ['agent', 'reviewer', ...managers],
  'request.cancel': ['agent'],
  'request.redeem': ['agent'],
  'request.report': ['agent'],
  'request.redeliver': ['agent', 'reviewer', ...managers],
  'callback.read': everybody,
  'callback.redeliver': managers,
  'profile.read': everybody,
  'account.change': everybody,
  'api-key.manage': managers,
  'agent.read': everybody,
  'agent.manage': managers,
  'agent.pause': managers,
  'organization.pause': managers,
  'invitation.create': managers,
  'sso.link': everybody,
  'sso.manage': managers,
  'user.manage': managers,
  'organization.read': everybody,
  'organization.create': managers,
  'organization.manage': managers,
  'organization.delete': ['owner'],
  'user.read': everybody,
  'team.read': everybody,
  'team.create': managers,
  'team.run': ['reviewer', ...managers],
  'audit.read': ['auditor', ...managers],
  'audit.export': ['auditor', ...managers],
  'audit.manage': managers,
} as const satisfies Record<string, readonly (Role | 'agent')[]>

export type Right = keyof typeof rights

/** The scope that an agent's key needs for each right of agents: one without a scope does not compile. */
export const scopeNeeded = {
  'request.create': 'requests:create',
  'request.attach': 'requests:create',
  'request.read': 'requests:read',
  'request.cancel': 'requests:cancel',
  'request.redeem': 'requests:redeem',
  // Who carries a decision out says what came of it.
  'request.report': 'requests:redeem',
  'request.redeliver': 'requests:redeliver',
} as const satisfies { readonly [R in AgentRight]: KeyScope }

type AgentRight = { [R in Right]: 'agent' extends (typeof rights)[R][number] ? R : never }[Right]

/** The scope that a key needs for it; null when it is for people. */
export function scopeFor(right: Right): KeyScope | null {
  return (scopeNeeded as Readonly<Partial<Record<Right, KeyScope>>>)[right] ?? null
}

/** What an agent that is paused may not do; everything else goes on. */
export const suspendedByPause: readonly Right[] = ['request.create']

/** What one caller may do. */
export type Rights = ReadonlySet<Right>

const everyRight = Object.keys(rights) as Right[]
const having = (isAllowed: (right: Right) => boolean): Rights => new Set(everyRight.filter(isAllowed))
const nothing: Rights = new Set()

const rightsOfRole = new Map(
  roles.map((role) => [role, having((right) => (rights[right] as readonly string[]).includes(role))]),
)
/** By the scopes of keys: at most 32 sets. */
const rightsOfScopes = new Map<string, Rights>()

export function rightsOf(principal: Principal): Rights {
  if (principal.kind === 'person') return rightsOfRole.get(principal.role) ?? nothing
  const { scopes } = principal
  const name = scopes.join(' ')
  const known = rightsOfScopes.get(name)
  if (known !== undefined) return known
  const made = having((right) => (scopes as readonly (KeyScope | null)[]).includes(scopeFor(right)))
  rightsOfScopes.set(name, made)
  return made
}

/** Throws 403 with a sentence that names the credential the call needs, or says who holds the agent back and why. */
export function requireRight(principal: Principal, right: Right): void {
  const hold = principal.kind === 'agent' ? (principal.hold ?? null) : null
  if (hold?.status === 'stopped') throw heldBack(hold)
  requireRole(principal, right)
  if (hold !== null && suspendedByPause.includes(right)) throw heldBack(hold)
}

type Held = Pick<Hold, 'since' | 'reason'>

const heldBackBy =
  (subject: string, refused: string, them: string) =>
  ({ since, reason }: Held) => ({
    detail: `${subject} since ${since.toISOString()}${reason === null ? '' : ` (${reason})`}. ${refused} until an administrator resumes ${them}.`,
    extra: { since, reason },
  })
const exampleHold: Held = { since: new Date('2026-01-31T10:00:00Z'), reason: 'It asks the same thing again and again.' }

export const agentPaused = refusal(
  403,
  'agent.paused',
  heldBackBy('This agent has been paused', 'New requests are refused', 'it'),
  exampleHold,
)
export const agentStopped = refusal(
  403,
  'agent.stopped',
  heldBackBy('This agent has been stopped', 'Every call is refused', 'it'),
  exampleHold,
)
export const allAgentsPaused = refusal(
  403,
  'organization.paused',
  heldBackBy('All agents of this organization have been paused', 'New requests are refused', 'them'),
  exampleHold,
)
export const allAgentsStopped = refusal(
  403,
  'organization.stopped',
  heldBackBy('All agents of this organization have been stopped', 'Every call is refused', 'them'),
  exampleHold,
)

const holds = {
  agent: { paused: agentPaused, stopped: agentStopped },
  organization: { paused: allAgentsPaused, stopped: allAgentsStopped },
} as const

/** The refusal for an agent that is not active, or whose organization has paused or stopped all agents. */
export function heldBack(hold: Omit<Hold, 'isAcknowledged'>): Problem {
  return holds[hold.on][hold.status](hold)
}

function requireRole(principal: Principal, right: Right): void {
  if (rightsOf(principal).has(right)) return
  const scope = scopeFor(right)
  if (principal.kind === 'agent' && scope !== null) throw scopeMissing(scope)
  throw forbidden(credentialFor(right))
}

/** The credential that has the right, as the end of "This call needs ...". */
function credentialFor(right: Right): string {
  const allowed: readonly string[] = rights[right]
  return allowed[0] === 'agent' && allowed.length === 1
    ? 'an API key; people cannot make it'
    : allowed.includes('reviewer')
      ? `the access token of a person whose role is ${listed(allowed)}`
      : `the access token of an administrator: ${listed(allowed)}`
}

/** How `requireRight` can refuse callers, for the documents. */
export function refusalsOf(right: Right): readonly AnyRefusal[] {
  const scope = scopeFor(right)
  const isForEverybody = roles.every((role) => rightsOfRole.get(role)?.has(right))
  return [
    ...(scope === null ? [] : [agentStopped, allAgentsStopped, scopeMissing.saying(scope)]),
    ...(suspendedByPause.includes(right) ? [agentPaused, allAgentsPaused] : []),
    ...(scope !== null && isForEverybody ? [] : [forbidden.saying(credentialFor(right))]),
  ]
}

/** RFC 6750, 3.1. */
export const scopeMissing = refusal(
  403,
  'auth.scope_missing',
  (scope: KeyScope) => ({
    detail: `This API key was not made for this: it lacks the scope ${scope}. Use a key that has it.`,
    headers: { 'www-authenticate': `Bearer realm="hitl", error="insufficient_scope", scope="${scope}"` },
  }),
  'requests:create',
)

function listed(roles: readonly string[]): string {
  return roles
    .filter((role) => role !== 'agent')
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1')
}

/** A principal together with the id of the HTTP request it speaks through, for the audit. */
export interface Caller<P extends Principal = Principal> {
  readonly principal: P
  readonly httpRequestId: string
  /** The client's address; left out where nothing came over the network. */
  readonly network?: string
}

/** The origin of facts that a caller causes: `factBy(byCaller(by), ...)`. */
export function byCaller({ principal, httpRequestId, network }: Caller): Origin {
  return {
    organizationId: principal.organizationId,
    actor: actorOf(principal),
    httpRequestId,
    network: network ?? null,
  }
}

/** The origin of facts about a call without a valid credential. */
export function byNobody(
  organizationId: string,
  { httpRequestId, network = null }: Pick<Origin, 'httpRequestId' | 'network'>,
): Origin {
  return { organizationId, actor: { kind: 'anonymous', id: null }, httpRequestId, network }
}

/** One HTTP call, by anybody. */
export type Call = Omit<Caller, 'principal'>
