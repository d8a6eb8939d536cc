import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import retention from '../../../migrations/retention.json' with { type: 'json' }
import { forget } from '../../../src/identity/throttle/store.ts'
import { forgetEnded } from '../../../src/platform/limits/rate-limit-store.ts'
import { startTestApp, type TestApp } from '../../harness.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({
    workers: false,
    environment: { SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'hitl@example.com' },
  })
})
after(() => t.stop())

test('each table of the schema is swept or has a reason to be kept', async () => {
  const tables = await t.sql(
    `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname`,
  )
  assert.deepEqual(
    [...Object.keys(retention.swept), ...Object.keys(retention.kept)].sort(),
    tables.map(({ relname }) => relname).sort(),
  )
})

const id = 'gen_random_uuid()'
const bytes = `sha256(convert_to(${id}::text, 'UTF8'))`

/** A row of each swept table that is over at $1. */
const rows: Readonly<Record<keyof typeof retention.swept, { readonly over: string; readonly values: object }>> = {
  sessions: {
    over: 'expires_at',
    values: {
      id,
      account_id: id,
      organization_id: id,
      user_id: id,
      kind: `'bearer'`,
      signed_in_with: `'{password}'`,
      signed_in_at: '$1',
      last_used_at: '$1',
      idle_until: '$1',
    },
  },
  invitations: {
    over: 'expires_at',
    values: { organization_id: id, id, token_hash: bytes, role: `'reviewer'`, created_at: '$1', updated_at: '$1' },
  },
  account_links: {
    over: 'expires_at',
    values: {
      id,
      account_id: id,
      purpose: `'password_reset'`,
      token_hash: bytes,
      created_at: '$1',
      from_known_network: 'true',
    },
  },
  sso_flows: {
    over: 'expires_at',
    values: {
      organization_id: id,
      id,
      provider_id: id,
      state_hash: bytes,
      browser_hash: bytes,
      secrets: bytes,
      return_to: `'/'`,
      created_at: '$1',
    },
  },
  request_snoozes: { over: 'until', values: { organization_id: id, user_id: id, request_id: id } },
  kept_replies: {
    over: 'expires_at',
    values: {
      organization_id: id,
      id,
      caller_id: id,
      path: `'/'`,
      key: `'key'`,
      body_hash: bytes,
      claimed_until: '$1',
    },
  },
  totp_factors: {
    over: 'expires_at',
    values: {
      account_id: id,
      id,
      seed: bytes,
      step_up_id: id,
      step_up_method: `'password'`,
      created_at: '$1',
      updated_at: '$1',
    },
  },
  passkey_challenges: {
    over: 'expires_at',
    values: { challenge_hash: bytes, purpose: `'sign_in'`, created_at: '$1' },
  },
  sign_in_challenges: {
    over: 'expires_at',
    values: {
      token_hash: bytes,
      account_id: id,
      organization_id: id,
      user_id: id,
      methods: `'{password}'`,
      created_at: '$1',
    },
  },
  step_ups: {
    over: 'expires_at',
    values: {
      organization_id: id,
      id,
      user_id: id,
      digest: bytes,
      method: `'password'`,
      token_hash: bytes,
      created_at: '$1',
    },
  },
  letters: {
    over: 'updated_at',
    values: {
      organization_id: id,
      id,
      kind: `'notice'`,
      subject_kind: `'user'`,
      subject_id: id,
      recipient: bytes,
      status: `'sent'`,
      useful_until: '$1',
      created_at: '$1',
    },
  },
  attachments: {
    over: 'discard_at',
    values: {
      organization_id: id,
      id,
      request_id: id,
      added_by_kind: `'agent'`,
      added_by_id: id,
      name: `'x'`,
      media_type: `'a/b'`,
      storage: `'database'`,
      created_at: '$1',
    },
  },
  rate_limits: { over: 'ends_at', values: { key: bytes, taken: '1', granted: '1' } },
  attempt_tallies: { over: 'forget_at', values: { key: bytes, failures: '1', failed_at: '$1' } },
}

test('of each swept table, a row that is long over goes, and one that is not stays', async () => {
  const now = t.clock.now().getTime()
  const old = new Date(now - 40 * 86_400_000)
  const young = new Date(now + 600_000)
  // Without their owners: only the rows themselves matter here.
  await t.sql(`set session_replication_role = 'replica'`)
  for (const [table, { over, values }] of Object.entries(rows)) {
    const columns = [over, ...Object.keys(values)]
    const row = ['$1', ...Object.values(values)].map((value) => (value === '$1' ? '$1::timestamptz' : value))
    for (const at of [old, young]) await t.sql(`insert into ${table} (${columns}) values (${row})`, [at])
  }
  await t.sql(`set session_replication_role = 'origin'`)
  await t.app.drain()
  // Processes do these while they serve calls.
  await t.app.db.within({}).execute(forgetEnded, [])
  await forget(t.app.db.within({}), t.clock.now())
  for (const [table, { over }] of Object.entries(rows)) {
    const left = await t.sql(`select ${over} as over from ${table} where ${over} in ($1, $2)`, [old, young])
    assert.deepEqual(
      left.map((row) => row.over),
      [young],
      table,
    )
  }
})
