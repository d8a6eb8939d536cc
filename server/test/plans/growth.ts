import { recordSql } from '../events/chain.ts'
import type { TestApp } from '../harness.ts'

/** Tables that grow with the number of agents, providers or keys of an organization, not with its use. */
const few = [
  'organizations',
  'attachment_usage',
  'identity_providers',
  'audit_policies',
  'consultation_totals',
  'data_keys',
  'signing_keys',
  'secret_key_checks',
  'schema_access',
  'schema_migrations',
  'request_search_progress',
  'request_search_parts',
]

/** Ids that a copied row shares with its original; all other ids are new. */
const common: Readonly<Record<string, readonly string[]>> = { consultation_requests: ['agent_id', 'api_key_id'] }

/** Times that are moved far ahead, so that the copies are not due when their originals are. */
const due = ['discard_at', 'next_action_at', 'due_at', 'warn_at', 'expires_at', 'forget_at', 'ends_at', 'until']

interface Column {
  readonly table: string
  readonly name: string
  readonly type: string
  readonly unique: boolean
}

/** Copies rows of these organizations and of people until each table has about this many more. Nothing is analyzed. */
export async function grow(t: TestApp, organizationIds: readonly string[], rows: number): Promise<void> {
  const columns = (await t.sql(
    `select c.relname as table, a.attname as name, a.atttypid::regtype::text as type, exists (
       select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey)) as unique
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
       and a.attgenerated = ''`,
  )) as unknown as readonly Column[]
  // Skips foreign keys and triggers.
  await t.sql('set session_replication_role = replica')
  for (const [table, its] of Map.groupBy(columns, (column) => column.table)) {
    if (few.includes(table)) continue
    const ofThem = its.some(({ name }) => name === 'organization_id') ? 'where organization_id = any ($1::uuid[])' : ''
    const originals = `(select *, $1::uuid[] from ${table} ${ofThem} limit 40) original`
    // What is random in a copy is made once.
    const copy = `select ${its.map((column) => `${copyOf(column)} as ${column.name}`)} from ${originals}
      cross join generate_series(1, (select $2::int / greatest(count(*), 1) from ${originals})) n offset 0`
    const values = its.map(({ name }) => (table === 'events' && name === 'record' ? recordSql('copy') : `copy.${name}`))
    await t.sql(
      `insert into ${table} (${its.map(({ name }) => name)}) overriding system value select ${values} from (${copy}) copy`,
      [organizationIds, rows],
    )
  }
  for (const organizationId of organizationIds) await signLastSeal(t, organizationId)
  await t.sql('set session_replication_role = origin')
}

function copyOf({ table, name, type, unique }: Column): string {
  if (due.includes(name)) return `case when ${name} is not null then '2900-01-01'::timestamptz end`
  if (name === 'organization_id' || common[table]?.includes(name)) return name
  // The copies are about no request, and no list looks for one by them.
  if (table === 'deliveries' && name === 'shown') return 'false'
  // An organization has one owner.
  if (name === 'role') return `replace(role, 'owner', 'reviewer')`
  if (type === 'uuid') return `case when ${name} is not null then gen_random_uuid() end`
  if (!unique) return name
  if (type === 'text') return `md5(${name} || n)`
  if (type === 'bytea') return `sha256(${name} || n::text::bytea)`
  return type === 'integer' || type === 'bigint' ? `${name} + 1000 * n` : name
}

/** The service seals behind a head only when it can verify it. */
async function signLastSeal(t: TestApp, organizationId: string): Promise<void> {
  const [last] = await t.sql(
    `select number::int, last_position::int as last, encode(link, 'hex') as link from audit_seals
     where organization_id = $1 order by number desc limit 1`,
    [organizationId],
  )
  const payload = { organization_id: organizationId, ...last }
  const head = await t.app.identity.signingKeys.sign('audit_head', payload, { typ: 'hitl-audit-head+jws' })
  await t.sql('update audit_seals set head = $3 where organization_id = $1 and number = $2', [
    organizationId,
    last?.number,
    head,
  ])
}
