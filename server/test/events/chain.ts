import { verifyExport } from '../../../cli/src/audit-verify.ts'
import { eventually } from '../eventually.ts'
import type { TestApp } from '../harness.ts'

/** The export of the sample organization, as its admin gets it. */
export async function exportOf(t: TestApp, query = ''): Promise<string> {
  const reply = await t.call('GET', `/api/v1/events/export${query}`, { as: t.admin.token })
  if (reply.status !== 200) throw new Error(reply.text)
  return reply.text
}

/** Verifies it offline with the keys that the service publishes. */
export async function verified(t: TestApp, text: string, expectHead: readonly string[] = []) {
  const { body: publicKeys } = await t.call('GET', '/.well-known/jwks.json')
  return verifyExport([text], { publicKeys, expectHead })
}

/** Seals until nothing is left. An open transaction anywhere on the server, such as one of another test file, delays seals. */
export const sealAll = (t: TestApp): Promise<boolean> =>
  eventually('everything is sealed', async () => {
    await t.app.audit.drain()
    const [row] = await t.sql(`select (select count(*) from events) as events, (select sum(last_position) from (
      select max(last_position) as last_position from audit_seals group by organization_id) s) as sealed`)
    return Number(row?.events) <= Number(row?.sealed)
  })

/** A record as the service writes it, as an SQL expression over the columns of an event with this alias; `after` is SQL too. */
export const recordSql = (alias: string, after = `'null'`): string => {
  const e = (name: string): string => `${alias}.${name}`
  const at = `to_char(${e('occurred_at')} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
  return `'{"actor":{"id":' || coalesce('"' || ${e('actor_id')} || '"', 'null') || ',"key_id":null,"kind":"' || ${e('actor_kind')}
    || '","session_id":null,"signed_in_with":null},"after":' || ${after} || ',"before":null,"digest":null,'
    || '"erasable_sha256":null,"http_request_id":null,"id":"' || ${e('id')} || '","kind":"' || ${e('kind')}
    || '","occurred_at":"' || ${at} || '","organization_id":"' || ${e('organization_id')} || '","subject":{"id":"'
    || ${e('subject_id')} || '","kind":"' || ${e('subject_kind')} || '"},"v":1}'`
}

export interface AddedEvents {
  readonly count?: number
  readonly organizationId?: string
  readonly kind?: string
  readonly subjectId?: string
  /** An SQL expression, over `n` from 1 on. */
  readonly at?: string
  /** The record's `after`, an SQL expression over `n`. */
  readonly after?: string
  /** Sorts behind the ids of that time. */
  readonly id?: string
  /** A place in the chain, which only the database's superuser can choose. */
  readonly place?: { readonly era: number; readonly xact: string }
}

/** Puts events into the table past the service, each in the form that the service gives its own. */
export async function addEvents(
  { sql, organizationId: own }: Pick<TestApp, 'sql' | 'organizationId'>,
  added: AddedEvents = {},
): Promise<void> {
  const { count = 1, organizationId = own, kind = 'x.tried', subjectId = null, id = null, place } = added
  const { at = 'now()', after = `'{"n":' || n || '}'` } = added
  const placed = place === undefined ? ['', ''] : [', era, xact', `, ${place.era}, '${place.xact}'::xid8`]
  await sql(
    `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, occurred_at, record${placed[0]})
     select organization_id, id, kind, subject_kind, subject_id, actor_kind, occurred_at, ${recordSql('made', 'made.more')}${placed[1]}
     from (select $1::uuid as organization_id, coalesce($3::uuid, gen_random_uuid()) as id, $4::text as kind,
         'request' as subject_kind, coalesce($5::uuid, gen_random_uuid()) as subject_id, 'system' as actor_kind,
         null::uuid as actor_id, (${at})::timestamptz(3) as occurred_at, ${after} as more
       from generate_series(1, $2::int) n offset 0) made`,
    [organizationId, count, id, kind, subjectId],
  )
}
