import { Problem } from '../platform/problem.ts'

export type Role = 'admin' | 'reviewer'

export interface Person {
  readonly kind: 'person'
  readonly organizationId: string
  readonly userId: string
  readonly role: Role
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
  readonly kind: 'person' | 'agent' | 'system'
  readonly id: string | null
}

export const system: Actor = { kind: 'system', id: null }

export function actorOf(principal: Principal): Actor {
  return principal.kind === 'person'
    ? { kind: 'person', id: principal.userId }
    : { kind: 'agent', id: principal.apiKeyId }
}

/** What each kind of caller may do: the only place that says so. */
const rights = {
  'request.create': ['agent'],
  'request.read': ['agent', 'reviewer', 'admin'],
  'request.respond': ['reviewer', 'admin'],
  'request.cancel': ['agent'],
  'request.redeliver': ['agent', 'reviewer', 'admin'],
  'profile.read': ['reviewer', 'admin'],
  'api-key.manage': ['admin'],
  'invitation.create': ['admin'],
} as const satisfies Record<string, readonly (Role | 'agent')[]>

export type Right = keyof typeof rights

export function may(principal: Principal, right: Right): boolean {
  const allowed: readonly string[] = rights[right]
  return allowed.includes(principal.kind === 'agent' ? 'agent' : principal.role)
}

/** Throws 403 with a sentence that names the credential the call needs. */
export function requireRight(principal: Principal, right: Right): void {
  if (may(principal, right)) return
  const allowed: readonly string[] = rights[right]
  const needed =
    allowed[0] === 'agent' && allowed.length === 1
      ? 'an API key; people cannot make it'
      : allowed.includes('reviewer')
        ? "a signed-in person's access token; API keys cannot make it"
        : "an administrator's access token"
  throw new Problem(403, 'auth.forbidden', `This call needs ${needed}.`)
}

/** A principal together with the id of the HTTP request it speaks through, for the audit. */
export interface Caller<P extends Principal = Principal> {
  readonly principal: P
  readonly httpRequestId: string
}
