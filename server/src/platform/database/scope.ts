import type { GroupStatement } from './statement-group.ts'

/**
 * Which rows a transaction may touch. It is sent ahead of the transaction's statements with set_config(..., true), and
 * row-level security enforces it (0001_ground.sql): a forgotten filter finds nothing.
 */
export interface Scope {
  /** The rows of this organization. */
  readonly organizationId?: string
  /** A person's own sign-in data, across organizations. */
  readonly accountId?: string
  /** The one row with this id, address or hash of a secret, while the organization is not known yet. */
  readonly lookUp?: string
  /** Background work: what is due, across organizations. */
  readonly worker?: true
  /** Re-encryption under other keys: the sealed values of all accounts. */
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
 * The statement that sets the scope. `session`: settings to send with each transaction when a pooler would not keep them with
 * the session. `role`: the role to run as when another one has signed in.
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
    // The condition is never true, so that there is no row to send and read.
    known = {
      name: `scope_${key}`,
      text: `select where ${parts.length === 0 ? 'false' : `num_nonnulls(${parts.join(', ')}) = 0`}`,
    }
    if (prepare) texts.set(key, known)
  }
  const values = given.map(([name]) => (scope[name] === true ? 'on' : scope[name]))
  return { name: prepare ? known.name : undefined, text: known.text, values }
}
