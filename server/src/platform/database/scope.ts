import type { GroupStatement } from './statement-group.ts'

/**
 * Whose rows a transaction may touch. It is said to PostgreSQL in front of the transaction's statements, with
 * set_config(..., true), and row-level security holds them to it (0001_ground.sql): a forgotten filter finds nothing.
 */
export interface Scope {
  /** The rows of this organization. */
  readonly organizationId?: string
  /** A person's own sign-in data, over organizations. */
  readonly accountId?: string
  /** The one row whose own id, address or secret's hash this is: before anybody knows the organization. */
  readonly lookUp?: string
  /** Background work: what is due, over organizations. */
  readonly worker?: true
  /** Sealing anew under other keys: what is sealed in people's accounts, over all of them. */
  readonly resealer?: true
}

const settings = [
  ['organizationId', 'hitl.organization'],
  ['accountId', 'hitl.account'],
  ['lookUp', 'hitl.lookup'],
  ['worker', 'hitl.worker'],
  ['resealer', 'hitl.resealer'],
] as const

/** Statements per combination of keys: each is parsed once per connection. */
const texts = new Map<string, { readonly name: string; readonly text: string }>()

/**
 * The statement that says it. `session` are settings that must travel with each transaction, where a pooler would not keep
 * them with the session; `role` is the role that PostgreSQL is to judge the statements by, where another one has signed in.
 */
export function scopeStatement(
  scope: Scope,
  prepare: boolean,
  role: string | null,
  session: Readonly<Record<string, string>>,
): GroupStatement {
  const given = settings.filter(([key]) => scope[key] !== undefined)
  const key = `${given.map(([name]) => name).join('_')}${role === null ? '' : '_role'}`
  let known = texts.get(key)
  if (known === undefined || !prepare) {
    const fixed = { ...session, ...(role === null ? {} : { role }) }
    const parts = [
      ...given.map(([, setting], index) => `set_config('${setting}', $${index + 1}, true)`),
      ...Object.entries(fixed).map(([setting, value]) => `set_config('${setting}', '${value}', true)`),
    ]
    // A condition that is never met, so that there is no row to send and to read.
    known = {
      name: `scope_${key}`,
      text: `select where ${parts.length === 0 ? 'false' : `num_nonnulls(${parts.join(', ')}) = 0`}`,
    }
    if (prepare) texts.set(key, known)
  }
  const values = given.map(([name]) => (scope[name] === true ? 'on' : scope[name]))
  return { name: prepare ? known.name : undefined, text: known.text, values }
}
