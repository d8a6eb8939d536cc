import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { archived, archivedOfAccount, leftOut } from '../../src/archives/archive.ts'
import { exportOf, sealAll, verified } from '../events/chain.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addOrganization, addPerson, type TestPerson } from '../people-and-keys.ts'

let t: TestApp
let owner: TestPerson
before(async () => {
  t = await startTestApp()
  owner = await addPerson(t, t.organizationId, 'owner')
  const other = await addOrganization(t)
  const mark = { title: 'Of another organization', context: {} }
  assert.equal((await t.call('POST', '/api/v1/requests', { as: other.apiKey.raw, body: mark })).status, 201)
  for (const [as, comment] of [
    [t.reviewer.token, 'of the reviewer'],
    [owner.token, 'of the owner'],
  ] as const) {
    const { id } = await t.createRequest({ title: `Asked of ${comment}`, context: { n: 1.5 } })
    const body = { decision: 'approve', comment }
    assert.equal((await t.call('POST', `/api/v1/requests/${id}/respond`, { as, body })).status, 200)
  }
  const view = { name: 'A private view', query: 'state=pending' }
  await t.call('POST', '/api/v1/views', { as: t.reviewer.token, body: view })
})
after(() => t.stop())

interface Manifest {
  readonly user_id: string | null
  readonly files: readonly {
    readonly name: string
    readonly rows: number
    readonly bytes: number
    readonly sha256: string
  }[]
  readonly left_out: Readonly<Record<string, string>>
}

/** Reads it as any tar does, and holds every file to the manifest. */
async function taken(path: string, as: string) {
  const reply = await t.app.http.inject({ method: 'POST', url: path, headers: { authorization: `Bearer ${as}` } })
  assert.equal(reply.statusCode, 200, reply.payload)
  assert.match(String(reply.headers['content-disposition']), /^attachment; filename="[a-z]+-[0-9a-f-]{36}\.tar\.gz"$/)
  const bytes = gunzipSync(reply.rawPayload)
  const files = new Map<string, Buffer>()
  for (let at = 0; bytes[at] !== 0; ) {
    const block = bytes.subarray(at, at + 512)
    const field = (from: number, length: number) => block.toString('latin1', from, from + length).replace(/\0.*$/, '')
    const sum = block.reduce((total, byte, place) => total + (place >= 148 && place < 156 ? 32 : byte), 0)
    assert.equal(Number.parseInt(field(148, 8), 8), sum)
    assert.equal(field(257, 6), 'ustar')
    const size = Number.parseInt(field(124, 12), 8)
    files.set(field(0, 100), bytes.subarray(at + 512, at + 512 + size))
    at += 512 + Math.ceil(size / 512) * 512
  }
  const names = [...files.keys()]
  assert.equal(names.at(-1), 'manifest.json')
  const manifest = JSON.parse(String(files.get('manifest.json'))) as Manifest
  assert.deepEqual(
    manifest.files.map(({ name }) => name),
    names.slice(0, -1),
  )
  const rows: Record<string, Record<string, unknown>[]> = {}
  for (const { name, rows: count, bytes: length, sha256 } of manifest.files) {
    const content = files.get(name) ?? Buffer.alloc(0)
    assert.deepEqual([content.length, hash('sha256', content)], [length, sha256], name)
    const lines = content.toString('utf8').trimEnd().split('\n')
    assert.equal(lines.length, count, name)
    const table = name.split('/')[0] ?? ''
    rows[table] = [...(rows[table] ?? []), ...lines.map((line) => JSON.parse(line) as Record<string, unknown>)]
  }
  return { rows, manifest, text: bytes.toString('utf8') }
}

const secretNames = /hash|secret|seed|token|password_hash|proof|wrapped|private|credential_id|public_key/

describe('the archive of a person', () => {
  test('holds what is kept about them, and nothing of others', async () => {
    const { rows, manifest, text } = await taken('/api/v1/auth/me/archive', t.reviewer.token)
    assert.equal(manifest.user_id, t.reviewer.id)
    assert.deepEqual(
      rows.users?.map(({ id }) => id),
      [t.reviewer.id],
    )
    assert.deepEqual(
      rows.consultation_answers?.map(({ comment }) => comment),
      ['of the reviewer'],
    )
    assert.deepEqual(
      rows.saved_views?.map(({ name }) => name),
      ['A private view'],
    )
    assert.equal(rows.accounts?.length, 1)
    assert.ok((rows.sessions?.length ?? 0) > 0)
    assert.ok(rows.events?.some(({ kind }) => kind === 'request.responded'))
    assert.equal(rows.consultation_requests, undefined)
    for (const hidden of ['of the owner', owner.id, 'Of another organization'])
      assert.ok(!text.includes(hidden), hidden)
  })

  test('tells of what others did to them, without what is erasable of the others', async () => {
    const path = `/api/v1/users/${t.reviewer.id}`
    assert.equal((await t.call('PATCH', path, { as: owner.token, body: { name: 'Renamed' } })).status, 200)
    const { rows } = await taken('/api/v1/auth/me/archive', t.reviewer.token)
    const changed = rows.events?.filter(({ kind }) => kind === 'user.changed') ?? []
    assert.deepEqual(
      changed.map(({ actor_id, erasable }) => [actor_id, erasable]),
      [[owner.id, null]],
    )
  })
})

describe('the archive of an organization', () => {
  test('holds its rows, all of them, and none of another one', async () => {
    const { rows, text } = await taken('/api/v1/organization/archive', owner.token)
    for (const [name, { ofOrganization }] of Object.entries(archived)) {
      const [{ count } = { count: 0 }] = await t.sql(
        `select count(*)::int as count from ${name} where organization_id = $1`,
        [t.organizationId],
      )
      assert.equal(rows[name]?.length ?? 0, ofOrganization ? count : 0, name)
    }
    for (const [table, some] of Object.entries(rows))
      for (const row of some) assert.equal(row.organization_id, t.organizationId, table)
    assert.ok(!text.includes('Of another organization') && !text.includes('A private view'))
    assert.ok(text.includes('"context":{"n":1.5}') || text.includes('"context":{"n": 1.5}'))
  })

  test('has more rows than one page, each once', async () => {
    await t.sql(
      `insert into saved_views (organization_id, id, user_id, name, query, created_at, updated_at)
       select $1, gen_random_uuid(), $2, 'v' || n, '', now(), now() from generate_series(1, 1200) n`,
      [t.organizationId, owner.id],
    )
    const { rows } = await taken('/api/v1/auth/me/archive', owner.token)
    assert.deepEqual([rows.saved_views?.length, new Set(rows.saved_views?.map(({ id }) => id)).size], [1_200, 1_200])
  })

  test("is the owner's alone", async () => {
    for (const { token: as } of [t.admin, t.reviewer])
      assert.equal((await t.call('POST', '/api/v1/organization/archive', { as })).status, 403)
  })
})

describe('archives', () => {
  test('let nobody in: no column of a secret, and no bytes but digests', async () => {
    for (const [path, as] of [
      ['/api/v1/organization/archive', owner.token],
      ['/api/v1/auth/me/archive', owner.token],
    ] as const) {
      const { rows } = await taken(path, as)
      for (const [table, some] of Object.entries(rows)) {
        const names = Object.keys(some[0] ?? {}).filter((name) => secretNames.test(name))
        assert.deepEqual(names, [], table)
      }
    }
  })

  test('know every table, or say why it is left out', async () => {
    const tables = await t.sql(`select relname as name from pg_class where relkind = 'r'
      and relnamespace = 'public'::regnamespace and relname not like 'schema\\_%' order by relname`)
    const known = [archived, archivedOfAccount, leftOut].flatMap((list) => Object.keys(list))
    assert.deepEqual(
      tables.map(({ name }) => name),
      known.sort(),
    )
  })

  test('are events that name the step-up, and the chain stays valid', async () => {
    const { items } = (await t.call('GET', '/api/v1/events?limit=100', { as: owner.token })).body
    for (const [kind, subject] of [
      ['user.archive_taken', owner.id],
      ['organization.archive_taken', t.organizationId],
    ]) {
      const event = items.find(
        (one: { kind: string; subject: { id: string } }) => one.kind === kind && one.subject.id === subject,
      )
      assert.equal(event?.after.assurance.method, 'sign_in', kind)
    }
    await sealAll(t)
    assert.deepEqual((await verified(t, await exportOf(t))).findings, [])
  })
})
