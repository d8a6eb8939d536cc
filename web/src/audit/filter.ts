export interface AuditFilter {
  readonly kind?: string
  readonly actor_kind?: string
  readonly subject_id?: string
  readonly since?: string
  readonly until?: string
}

const names = ['kind', 'actor_kind', 'subject_id', 'since', 'until'] as const

/** The filter of an address. What the service does not take, it refuses in words. */
export const filterOf = (search: Readonly<Record<string, unknown>>): AuditFilter =>
  Object.fromEntries(names.flatMap((name) => (typeof search[name] === 'string' ? [[name, search[name]]] : [])))
