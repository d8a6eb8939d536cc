type Sql = (query: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>

/** An event as it was recorded, with its erasable part beside it. */
export interface RecordedEvent {
  readonly id: string
  readonly organization_id: string
  readonly kind: string
  readonly occurred_at: string
  readonly subject: { readonly kind: string; readonly id: string }
  readonly actor: { readonly kind: string; readonly id: string | null; readonly key_id: string | null }
  readonly http_request_id: string | null
  readonly digest: string | null
  // biome-ignore lint/suspicious/noExplicitAny: events hold values of every shape
  readonly before: any
  // biome-ignore lint/suspicious/noExplicitAny: events hold values of every shape
  readonly after: any
  /** Without its salt. */
  // biome-ignore lint/suspicious/noExplicitAny: events hold values of every shape
  readonly erasable: any
}

export interface WantedEvents {
  readonly organization?: string
  readonly subject?: string
  readonly kinds?: readonly string[]
}

/** The events of the audit in the order of their chains, read directly as the superuser. */
export async function recordedEvents(sql: Sql, wanted: WantedEvents = {}): Promise<readonly RecordedEvent[]> {
  const { organization = null, subject = null, kinds = null } = wanted
  const rows = await sql(
    `select record, erasable from events
     where ($1::uuid is null or organization_id = $1) and ($2::uuid is null or subject_id = $2)
       and ($3::text[] is null or kind = any ($3))
     order by era, xact, id`,
    [organization, subject, kinds],
  )
  return rows.map(({ record, erasable }) => ({
    ...JSON.parse(String(record)),
    erasable: typeof erasable === 'string' ? withoutSalt(JSON.parse(erasable)) : null,
  }))
}

function withoutSalt({ salt: _, ...erasable }: Readonly<Record<string, unknown>>) {
  return erasable
}
