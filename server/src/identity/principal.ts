import { Problem } from '../platform/problem.ts'

export const roles = ['owner', 'admin', 'reviewer', 'auditor'] as const
export type Role = (typeof roles)[number]

export interface Person {
  readonly kind: 'person'
  readonly organizationId: string
  readonly userId: string
  readonly accountId: string
  readonly role: Role
  /** Left out where the access token names none. */
  readonly sessionId?: string
  /** How and when this person signed in; renewing a session does not move it. Left out when nobody knows. */
  readonly signIn?: { readonly methods: readonly string[]; readonly at: Date }
}

export interface Agent {
  readonly kind: 'agent'
  readonly organizationId: string
  readonly apiKeyId: string
}

/** Who is asking, as the credential proved it. The organization comes from here and from nowhere else. */
export type Principal = Person | Agent

/** Who did something, as an event keeps it. */
export interface Actor {
  /** timer: the service, because a time was up; system: the service otherwise; anonymous: nobody signed in. */
  readonly kind: 'person' | 'agent' | 'timer' | 'system' | 'anonymous'
  readonly id: string | null
  /** An agent's key. */
  readonly keyId?: string
  /** A person's session, and how it was opened, such as ['password', 'totp']. */
  readonly sessionId?: string
  readonly signedInWith?: readonly string[]
}

export const system: Actor = { kind: 'system', id: null }

export function actorOf(principal: Principal): Actor {
  if (principal.kind === 'agent') return { kind: 'agent', id: principal.apiKeyId }
  const { userId: id, sessionId, signIn } = principal
  return {
    kind: 'person',
    id,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(signIn === undefined ? {} : { signedInWith: signIn.methods }),
  }
}

const everybody = ['reviewer', 'auditor', 'admin', 'owner'] as const
const managers = ['admin', 'owner'] as const

/** What each kind of caller may do: the only place that says so. */
export const rights = {
  'request.create': ['agent'],
  'request.read': ['agent', ...everybody],
  'request.respond': ['reviewer', ...managers],
  'request.cancel': ['agent'],
  'request.redeem': ['agent'],
  'request.redeliver': ['agent', 'reviewer', ...managers],
  'profile.read': everybody,
  'account.change': everybody,
  'api-key.manage': managers,
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
  'team.run': everybody,
  'audit.read': ['auditor', ...managers],
  'audit.export': ['auditor', ...managers],
  'audit.manage': managers,
} as const satisfies Record<string, readonly (Role | 'agent')[]>

export type Right = keyof typeof rights

/** What decides over rights: a person's role, or being an agent. */
export type CallerKind = Role | 'agent'

export function callerKind(principal: Principal): CallerKind {
  return principal.kind === 'agent' ? 'agent' : principal.role
}

export function may(caller: CallerKind, right: Right): boolean {
  const allowed: readonly string[] = rights[right]
  return allowed.includes(caller)
}

/** Throws 403 with a sentence that names the credential the call needs. */
export function requireRight(principal: Principal, right: Right): void {
  if (may(callerKind(principal), right)) return
  const allowed: readonly string[] = rights[right]
  const needed =
    allowed[0] === 'agent' && allowed.length === 1
      ? 'an API key; people cannot make it'
      : allowed.includes('reviewer')
        ? `the access token of a person whose role is ${listed(allowed)}`
        : `the access token of an administrator: ${listed(allowed)}`
  throw new Problem(403, 'auth.forbidden', `This call needs ${needed}.`)
}

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
