import assert from 'node:assert/strict'
import { addEvents } from '../../server/test/events/chain.ts'
import type { TestApp } from '../../server/test/harness.ts'
import { addPerson } from '../../server/test/people-and-keys.ts'
import type { Case } from './case.ts'
import type { Exports } from './exports.ts'

const nth = (place: number): string =>
  `(select id from events where organization_id = $1 order by era, xact, id offset ${place} limit 1)`
const event = (set: string, place = 5): string =>
  `update events set ${set} where organization_id = $1 and id = ${nth(place)}`
const eventWhere = (set: string, condition: string): string =>
  `update events set ${set} where organization_id = $1 and id =
     (select id from events where organization_id = $1 and ${condition} order by era, xact, id limit 1)`
const seal = (set: string, place = 2): string =>
  `update audit_seals set ${set} where organization_id = $1 and number =
     (select number from audit_seals where organization_id = $1 order by number offset ${place} limit 1)`
const lastSeal = 'number = (select max(number) from audit_seals where organization_id = $1)'
const strange = (column: string): string =>
  `(select ${column} from audit_seals where organization_id <> $1 order by organization_id, number limit 1)`

/**
 * What somebody with the rights of the database's superuser does, and the exit code where it is known. Without heads from outside
 * nobody can tell that the last seals are gone.
 */
const changes: readonly (readonly [string, 0 | 2 | 3 | undefined, ...(readonly string[])])[] = [
  ['nothing', 0],
  // Columns that lists search by.
  ['kind', 2, event(`kind = 'x.other'`)],
  ['subject_kind', 2, event(`subject_kind = 'team'`)],
  ['subject_id', 2, event('subject_id = gen_random_uuid()')],
  ['actor_kind', 2, event(`actor_kind = 'anonymous'`, 0)],
  ['actor_id', 2, event('actor_id = gen_random_uuid()')],
  ['occurred_at', 2, event(`occurred_at = occurred_at - interval '1 day'`)],
  ['id', 2, event(`id = gen_random_uuid()`)],
  ['era', 2, event('era = era + 1')],
  ['xact, earlier', 2, event(`xact = '1'::xid8`)],
  ['xact, later', 2, event(`xact = (select max(xact) from events)`)],
  [
    'organization',
    2,
    event('organization_id = (select organization_id from organizations where organization_id <> $1 limit 1)'),
  ],
  // Records.
  ['record', 2, event(`record = replace(record, '"before":null', '"before":{}')`)],
  [
    'record: kind, with its column',
    2,
    event(`kind = 'x.other', record = replace(record, '"kind":"' || kind, '"kind":"x.other')`),
  ],
  ['record: a time', 2, event(`record = regexp_replace(record, '"occurred_at":"2', '"occurred_at":"1')`)],
  ['record: a blank', 2, event(`record = record || ' '`)],
  ['record: a line end', 2, event(`record = record || chr(10)`)],
  [
    'record: another one',
    2,
    event(`record = (select record from events where organization_id = $1 and id = ${nth(7)})`),
  ],
  [
    'record: of another organization',
    2,
    event('record = (select record from events where organization_id <> $1 limit 1)'),
  ],
  ['record: empty', 2, event(`record = ''`)],
  ['record: no JSON', 2, event(`record = 'x'`)],
  // Erasable parts.
  ['a part cut out', 2, eventWhere('erasable = null', 'erasable is not null')],
  ['all parts cut out', 2, 'update events set erasable = null where organization_id = $1'],
  ['a part edited', 2, eventWhere(`erasable = replace(erasable, '"salt":"', '"salt":"0')`, 'erasable is not null')],
  [
    'a part exchanged',
    2,
    eventWhere(`erasable = '{"salt":"00112233445566778899aabbccddeeff"}'`, 'erasable is not null'),
  ],
  [
    'a part put back',
    2,
    eventWhere(
      `erasable = '{"salt":"00112233445566778899aabbccddeeff"}'`,
      `erasable is null and record like '%"erasable_sha256":"%'`,
    ),
  ],
  [
    'a part put in',
    2,
    eventWhere(`erasable = '{"salt":"00112233445566778899aabbccddeeff"}'`, `record like '%"erasable_sha256":null%'`),
  ],
  ['the erasure removed', 2, `delete from events where organization_id = $1 and kind = 'audit.erased'`],
  // Events.
  ['the first event deleted', 2, `delete from events where organization_id = $1 and id = ${nth(0)}`],
  ['an event deleted', 2, `delete from events where organization_id = $1 and id = ${nth(5)}`],
  [
    'ten events deleted',
    2,
    `delete from events where organization_id = $1 and id in (select id from events where organization_id = $1 order by era, xact, id offset 3 limit 10)`,
  ],
  ['all events deleted', 2, 'delete from events where organization_id = $1'],
  [
    'two events exchanged',
    2,
    event(`record = (select record from events where organization_id = $1 and id = ${nth(6)})`),
    event(`record = (select record from events where organization_id = $1 and id = ${nth(4)})`, 6),
  ],
  [
    'an event put in',
    2,
    `insert into events select organization_id, gen_random_uuid(), kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, era, xact, record, erasable from events where organization_id = $1 and id = ${nth(5)}`,
  ],
  [
    'an event put behind',
    0,
    `insert into events (organization_id, id, kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, record, erasable) select organization_id, gen_random_uuid(), kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, record, erasable from events where organization_id = $1 and id = ${nth(5)}`,
  ],
  [
    'an event where no transaction has been',
    2,
    `insert into events select organization_id, gen_random_uuid(), kind, subject_kind, subject_id, actor_kind, actor_id, occurred_at, era, '9223372036854775807'::xid8, record, erasable from events where organization_id = $1 and id = ${nth(5)}`,
  ],
  // Seals.
  ['head: signature', 2, seal(`head = regexp_replace(head, '[^.]{8}$', 'AAAAAAAA')`)],
  ['head: random text', 2, seal(`head = 'x'`)],
  ['head: empty', 2, seal(`head = ''`)],
  [
    'head: of the next seal',
    2,
    seal('head = (select head from audit_seals n where n.organization_id = $1 and n.number = audit_seals.number + 1)'),
  ],
  ['head: of another organization', 2, seal(`head = ${strange('head')}`)],
  ['leaves', 2, seal(`leaves = set_byte(leaves, 3, get_byte(leaves, 3) # 1)`)],
  ['root', undefined, seal(`root = set_byte(root, 3, get_byte(root, 3) # 1)`)],
  ['link', undefined, seal(`link = set_byte(link, 3, get_byte(link, 3) # 1)`)],
  ['sealed_at', undefined, seal(`sealed_at = sealed_at - interval '1 day'`)],
  ['published_at', 0, seal('published_at = null')],
  ['times of events', undefined, seal(`first_occurred_at = '2020-01-01', last_occurred_at = '2020-01-01'`)],
  ['last_id', undefined, seal('last_id = gen_random_uuid()')],
  ['last_xact', undefined, seal(`last_xact = '1'::xid8`)],
  ['number of the last', 2, `update audit_seals set number = number + 1 where organization_id = $1 and ${lastSeal}`],
  [
    'the first seal deleted',
    2,
    'delete from audit_seals where organization_id = $1 and number = (select min(number) from audit_seals s where s.organization_id = $1 and exists (select from audit_seals p where p.organization_id = $1 and p.number = s.number - 1))',
  ],
  [
    'a seal deleted',
    2,
    'delete from audit_seals where organization_id = $1 and number = (select number from audit_seals where organization_id = $1 order by number offset 3 limit 1)',
  ],
  ['the last seal deleted', 0, `delete from audit_seals where organization_id = $1 and ${lastSeal}`],
  ['all seals deleted', 0, 'delete from audit_seals where organization_id = $1'],
  [
    'two heads exchanged',
    2,
    `update audit_seals set head = (select s.head from audit_seals s where s.organization_id = $1 and s.number = case when audit_seals.number % 2 = 0 then audit_seals.number - 1 else audit_seals.number + 1 end) where organization_id = $1 and number in (select number - number % 2 + n from (select min(number) + 4 as number from audit_seals where organization_id = $1) x, generate_series(-1, 0) n)`,
  ],
  [
    'the end removed',
    0,
    `delete from events e using audit_seals s where e.organization_id = $1 and s.organization_id = $1 and s.${lastSeal} and (e.era, e.xact, e.id) > (select p.last_era, p.last_xact, p.last_id from audit_seals p where p.organization_id = $1 and p.number = s.number - 1)`,
    `delete from audit_seals where organization_id = $1 and ${lastSeal}`,
  ],
  ['a purge that never was', 2, ...purgedBehind(3)],
  ['a longer purge that never was', 2, ...purgedBehind(6)],
  // Rows of requests: the audit does not depend on them.
  [
    'rows that contradict their certificates',
    0,
    `update consultation_requests set decision = 'approve' where organization_id = $1 and decision = 'reject'`,
  ],
  [
    'rows with another question',
    0,
    `update consultation_requests set title = 'Something else', context = '{}' where organization_id = $1`,
  ],
  [
    'rows with false certificates',
    0,
    `update consultation_requests set certificate = 'x' where organization_id = $1 and certificate is not null`,
  ],
]

/** Deletes the first seals and their events but for the last one of these seals, which a purge leaves. */
function purgedBehind(seals: number): readonly string[] {
  const anchor = `(select number from audit_seals where organization_id = $1 order by number offset ${seals} limit 1)`
  return [
    `delete from events e using audit_seals s where e.organization_id = $1 and s.organization_id = $1 and s.number = ${anchor}
       and (e.era, e.xact, e.id) <= (s.last_era, s.last_xact, s.last_id)`,
    `delete from audit_seals where organization_id = $1 and number < ${anchor}`,
  ]
}

/** Exports of the changed database, each from the same state. */
export async function casesOfDatabases(t: TestApp, { keys, heads }: Exports): Promise<readonly Case[]> {
  const { token } = await addPerson(t, t.organizationId, 'admin')
  for (const table of ['events', 'audit_seals', 'consultation_requests']) {
    await t.sql(`alter table ${table} disable trigger user`)
  }
  const kept = ['events', 'audit_seals']
  for (const table of kept) await t.sql(`create table kept_${table} as table ${table}`)
  const cases: Case[] = []
  const exported = async (name: string, expected: Case['expected']) => {
    const reply = await t.call('GET', '/api/v1/events/export', { as: token })
    assert.equal(reply.status, 200, `${name}: ${reply.text}`)
    cases.push({ name: `database: ${name}`, file: reply.text, keys, expected })
    cases.push({ name: `database: ${name}, with all heads`, file: reply.text, keys, heads, expected: undefined })
    for (const table of kept) {
      await t.sql(`delete from ${table}`)
      await t.sql(`insert into ${table} select * from kept_${table}`)
    }
  }
  for (const [name, expected, ...statements] of changes) {
    for (const statement of statements) await t.sql(statement, [t.organizationId])
    await exported(name, expected)
  }
  await addEvents(t, { kind: 'audit.erased', after: `'{"events":[]}'` })
  await exported('an erasure that nobody asked for', 0)
  return cases
}
