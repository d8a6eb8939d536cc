import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { forgetEnded } from '../../src/platform/limits/rate-limit-store.ts'
import { addTenant } from '../authorization/tenant.ts'
import type { Day } from '../canary/scenes.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { type OpenIdProvider, startOpenIdProvider } from '../identity/sso/openid-provider.ts'
import { type MailRelay, startMailRelay } from '../platform/mail-relay.ts'
import { type Receiver, startReceiver } from '../receivers.ts'
import { grow } from './growth.ts'
import { live, oneCaller, operate } from './lifecycles.ts'
import { createMeter, type PlanCacheMode, type Run } from './meter.ts'
import { statementsInSource } from './statements.ts'

// A new installation has no statistics, and the plans of its first hour were made while its tables were empty. So this test does
// everything that the service does on nearly empty tables, and again with 20,000 more rows in each. Nothing is analyzed.
const rows = 20_000

/** The rows that a statement may read besides three for each row that it returns or is given. */
const fewRows = 200

/** Statements that have to read more: how many rows at most, and why. */
const byPurpose: readonly (readonly [statements: RegExp, rows: number, reason: string])[] = [
  [/^audit_export_(jsonl|csv)$/, 1_100, 'an export is read by pages of 1,000 events, and a page is one text'],
  [/^audit_next_batches$/, 1_300, 'a seal is over up to 1,024 events'],
  [
    /^events_list_\w+_\w*[tak]/,
    10_100,
    'a page of one kind or actor looks through up to 10,000 events, and goes on from there',
  ],
  [
    /^consultations_counts$/,
    2_300,
    'it counts up to 1,000 pending requests that time out soon, and as many of high risk, and as many more as a person put aside',
  ],
  [
    /^consultations_list_newest$/,
    400,
    'the total is the sum of one row for each agent, state and slot, each in all the versions that a vacuum would take',
  ],
  [
    /^metrics_backlog$/,
    25_000,
    'it looks at 100 organizations, and counts up to 1,000 of each thing that waits in each of them',
  ],
  [
    /^with counted as .*\s+candidates as materialized/,
    12_200,
    'a search reads every match of one part, of 8,192 requests and those of these lifecycles, to find the newest 1,000',
  ],
  [
    /^with counted as .*\s+looked as materialized/,
    2_100,
    'a page looks through 1,000 requests, of which a vacuum would take as many versions',
  ],
  [
    /^rate_limit_forget$/,
    2_100,
    'it deletes up to 1,000 windows that ended, which it looks up once more; on a slow machine more end meanwhile',
  ],
  [
    /^audit_report_page$/,
    10_200,
    'a page of a report looks at 2,000 events, and looks up what was asked and who stands behind the agent for each decision among them',
  ],
  [
    /^deliveries_list_(all|failed)$/,
    4_100,
    'a page looks through 2,000 deliveries, each in all the versions that a vacuum would take, and goes on from there',
  ],
  [
    /^sso_sessions_outside$/,
    2 * rows,
    'when a provider becomes the only way in, every other session of the organization ends',
  ],
]

/** Statements that these lifecycles do not reach, and why. */
const notLived: Readonly<Record<string, string>> = {
  'sealed_page_*_*': 'a change of keys goes through whole tables, page by page',
  'sealed_replace_*_*': 'the same; it looks up the rows of a page by their ids',
  data_keys_insert: 'an organization has a handful of data keys',
  data_keys_retire: 'the same',
  data_keys_save: 'the same',
  data_keys_samples: 'reads every data key, once at each start',
  secret_key_checks_find: 'one row by its primary key, once at each start',
  secret_key_checks_save: 'the same',
  teams_join: 'one row, which it inserts, for a team found by its primary key',
  audit_policy_save: 'an organization has one policy',
  audit_report_rest: 'counts up to 100,000 events in an index, where a report reads no further',
  audit_seal: 'one row by its primary key',
  attempt_tallies_forget: 'runs once in ten minutes of the process, and reads as rate_limit_forget does',
  sso_still_opens: 'one identity and one provider, by their primary keys',
  identity_lock_setup: 'locks, and reads no table',
  deliveries_notify: 'notifies, and reads no table',
  realtime_notify: 'the same',
  attachments_discarded_objects: 'with an S3 store only; takes the first rows of an index',
  attachments_forget_object: 'with an S3 store only; one row by its primary key',
  search_newest: 'the last row of an index, once for several thousand requests',
  search_clear: 'a handful of rows, on command',
  consultations_changed_organizations: 'looks into the indexes of the times of changes, in a function',
  realtime_changed: 'looks up requests by their primary keys, in a function',
}

const meter = createMeter()
let t: TestApp
let receiver: Receiver
let notary: Receiver
let relay: MailRelay
let provider: OpenIdProvider
const grown = new Map<PlanCacheMode, readonly Run[]>()

before(async () => {
  receiver = await startReceiver()
  notary = await startReceiver()
  relay = await startMailRelay({})
  provider = await startOpenIdProvider()
  t = await startTestApp({
    openDb: meter.open,
    environment: {
      // One connection for calls and one for the workers: each plan is made once.
      DATABASE_POOL: '2',
      PUBLIC_URL: 'https://hitl.example.com',
      // The fake clock moves by hours.
      ACCESS_TOKEN_EXPIRE_MINUTES: '1440',
      STEP_UP_FRESH_MINUTES: '1440',
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'hitl@example.com',
      SSO_ALLOW: '127.0.0.0/8',
      AUDIT_HEADS_URL: notary.url,
      RATE_LIMIT_ADDRESS: '1000000/60',
      METRICS_TOKEN: 'metrics-of-a-test-0123456789',
    },
  })
  const tables = await t.sql(
    `select oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
  )
  for (const { name } of tables) await t.sql(`alter table ${name} set (autovacuum_enabled = false)`)
  const { organizationId } = await addTenant(t)
  const text = (_: string, secret: string): string => secret
  const day: Day = { t, receiver, relay, provider, plant: text, call: t.call, take: t.call, text: () => {} }
  const lived = async () => {
    await live(day, organizationId)
    // A process does this once a minute, which the test does not wait for.
    await t.app.db.within({}).execute(forgetEnded, [])
  }
  await meter.measure('force_generic_plan', lived)
  await grow(t, [t.organizationId, organizationId], rows)
  grown.set('force_generic_plan', await meter.measure('force_generic_plan', lived))
  grown.set(
    'force_custom_plan',
    await meter.measure('force_custom_plan', () => operate(day, organizationId, oneCaller)),
  )
})
after(async () => {
  await t.stop()
  await Promise.all([receiver.close(), notary.close(), relay.close(), provider.close()])
})

const allowedRows = ({ statement, returned, given }: Run): number =>
  byPurpose.find(([statements]) => statements.test(statement))?.[1] ?? fewRows + 3 * (returned + given)

for (const [plans, when] of [
  ['force_generic_plan', 'planned while the tables were empty'],
  ['force_custom_plan', 'planned without statistics'],
] as const) {
  test(`among ${rows} rows, each statement reads what it returns and a few more, ${when}`, () => {
    const worst = new Map<string, Run>()
    for (const run of grown.get(plans) ?? []) {
      if (run.read > Math.max(allowedRows(run), worst.get(run.statement)?.read ?? 0)) worst.set(run.statement, run)
    }
    const told = [...worst.values()].map(
      ({ statement, read, returned, given }) => `${statement}: read ${read}, returned ${returned}, given ${given}`,
    )
    assert.deepEqual(told, [])
  })
}

test('each statement of the source was run on the grown tables, or is listed with a reason', async () => {
  const ran = new Set((grown.get('force_generic_plan') ?? []).map(({ statement }) => statement))
  const found = await statementsInSource()
  const missed = found.filter(({ name, pattern }) => !(name in notLived) && ![...ran].some((one) => pattern.test(one)))
  assert.deepEqual(
    missed.map(({ file, name }) => `${name} in ${file}`),
    [],
  )
  for (const name of Object.keys(notLived))
    assert.ok(
      found.some((one) => one.name === name),
      `${name} is gone`,
    )
})

test('each prepared statement that ran is found in the source, and no two have one name', async () => {
  const found = await statementsInSource()
  const names = found.map(({ name }) => name)
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  )
  // A query that has no name is named by its text.
  for (const { statement } of [...grown.values()].flat()) {
    if (statement.includes(' ')) continue
    const meeting = found.filter(({ pattern }) => pattern.test(statement)).map(({ name }) => name)
    assert.equal(meeting.length, 1, `${statement}: ${meeting}`)
  }
})
