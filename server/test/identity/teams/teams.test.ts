import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../../harness.ts'
import { addCompany, type Company, told } from '../organizations/tenancy.ts'

const path = '/api/v1/teams'
let t: TestApp
let company: Company
before(async () => {
  t = await startTestApp({ environment: { RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' } })
  company = await addCompany(t)
})
after(() => t.stop())

const create = (as: string, body: unknown, key?: string) =>
  t.call('POST', path, { as, body, ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }) })
const newTeam = async (of = company, name = randomUUID() as string) => {
  const reply = await create(of.admin.token, { name })
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const put = (as: string, team: string, user: string, body: unknown = {}) =>
  t.call('PUT', `${path}/${team}/members/${user}`, { as, body })
const takeOut = (as: string, team: string, user: string) => t.call('DELETE', `${path}/${team}/members/${user}`, { as })
const members = async (team: string, query = '') =>
  (await t.call('GET', `${path}/${team}/members${query}`, { as: company.auditor.token })).body
const tellings = async (team: string, ...kinds: string[]) =>
  (await told(t, company.organizationId, ...kinds)).filter(({ subject }) => subject.id === team)

describe('POST /teams', () => {
  test('201 with its location; name and description are where the audit can erase them', async () => {
    const reply = await create(company.admin.token, { name: 'Payments', description: 'Refunds.' })
    assert.equal(reply.status, 201, reply.text)
    assert.equal(reply.headers.location, `${path}/${reply.body.id}`)
    assert.deepEqual((await t.call('GET', `${path}/${reply.body.id}`, { as: company.auditor.token })).body, reply.body)
    const [event] = await tellings(reply.body.id, 'team.created')
    assert.deepEqual([event?.before, event?.after], [null, null])
    assert.deepEqual([event?.erasable?.name, event?.erasable?.description], ['Payments', 'Refunds.'])
  })

  test('the same Idempotency-Key and body create one team, even at once; 422 for another body', async () => {
    const replies = await Promise.all(
      Array.from({ length: 5 }, () => create(company.admin.token, { name: 'Once' }, 'key-1')),
    )
    for (const reply of replies) assert.equal(reply.status, 201, reply.text)
    assert.equal(new Set(replies.map((reply) => reply.text)).size, 1)
    assert.equal((await create(company.admin.token, { name: 'Twice' }, 'key-1')).body.code, 'idempotency.body_differs')
    assert.equal((await tellings(replies[0]?.body.id, 'team.created')).length, 1)
  })

  test('409 team.name_taken, even for two at once, but never because of another organization', async () => {
    const replies = await Promise.all([1, 2].map(() => create(company.admin.token, { name: 'Taken' })))
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [201, 409])
    assert.equal(replies.find((reply) => reply.status === 409)?.body.code, 'team.name_taken')
    assert.equal((await create((await addCompany(t)).admin.token, { name: 'Taken' })).status, 201)
  })

  for (const body of [{}, { name: '' }, { name: ' ' }, { name: 'x'.repeat(256) }, { name: 'x', description: 5 }]) {
    test(`422 for ${JSON.stringify(body).slice(0, 30)}`, async () => {
      assert.equal((await create(company.admin.token, body)).status, 422)
    })
  }

  test('403 for people who may not manage teams', async () => {
    for (const who of ['reviewer', 'auditor'] as const) {
      assert.equal((await create(company[who].token, { name: who })).body.code, 'auth.forbidden')
    }
  })
})

test('GET /teams lists all of them by cursor, each once', async () => {
  const own = await addCompany(t)
  const made: string[] = []
  for (let n = 0; n < 5; n += 1) made.push((await newTeam(own)).id)
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = cursor === '' ? '' : `&cursor=${cursor}`
    const reply = await t.call('GET', `${path}?limit=2${query}`, { as: own.reviewer.token })
    seen.push(...reply.body.items.map((team: { id: string }) => team.id))
    cursor = reply.body.next_cursor
  }
  assert.deepEqual(seen, made)
})

describe('who runs a team', () => {
  const acts = ['rename', 'put', 'take out', 'delete'] as const
  const act = (what: (typeof acts)[number], as: string, team: string) => {
    if (what === 'rename') return t.call('PATCH', `${path}/${team}`, { as, body: { description: randomUUID() } })
    if (what === 'put') return put(as, team, company.owner.id)
    if (what === 'take out') return takeOut(as, team, company.owner.id)
    return t.call('DELETE', `${path}/${team}`, { as })
  }
  for (const [who, place, code] of [
    ['owner', 'outside', null],
    ['admin', 'outside', null],
    ['reviewer', 'outside', 'team.not_lead'],
    ['reviewer', 'member', 'team.not_lead'],
    ['reviewer', 'lead', null],
    ['reviewer', 'lead of another', 'team.not_lead'],
    ['auditor', 'outside', 'auth.forbidden'],
    ['auditor', 'member', 'auth.forbidden'],
    ['auditor', 'lead', 'auth.forbidden'],
  ] as const) {
    test(`${who}, ${place}: ${code ?? 'may'}`, async () => {
      const [team, other] = [await newTeam(), await newTeam()]
      const as = company[who].token
      if (place !== 'outside') {
        const where = place === 'lead of another' ? other.id : team.id
        await put(company.admin.token, where, company[who].id, { is_lead: place !== 'member' })
      }
      for (const what of acts) {
        const reply = await act(what, as, team.id)
        assert.equal(reply.body?.code ?? null, code, `${what}: ${reply.text}`)
        assert.ok(code === null ? reply.status < 300 : reply.status === 403, `${what}: ${reply.status}`)
      }
    })
  }

  test('a lead who was removed can no longer run it', async () => {
    const team = await newTeam()
    await put(company.admin.token, team.id, company.reviewer.id, { is_lead: true })
    assert.equal((await act('rename', company.reviewer.token, team.id)).status, 200)
    await takeOut(company.admin.token, team.id, company.reviewer.id)
    assert.equal((await act('rename', company.reviewer.token, team.id)).status, 403)
  })
})

describe('the members of a team', () => {
  test('are added, promoted and removed, each with one event; repeating it has no event', async () => {
    const team = await newTeam()
    const { reviewer, admin } = company
    for (const body of [{}, {}, { is_lead: true }, { is_lead: true }]) {
      assert.equal((await put(admin.token, team.id.toUpperCase(), reviewer.id.toUpperCase(), body)).status, 204)
    }
    assert.deepEqual((await members(team.id)).items, [{ user_id: reviewer.id, is_lead: true }])
    assert.equal((await takeOut(admin.token, team.id, reviewer.id)).status, 204)
    const again = await takeOut(admin.token, team.id, reviewer.id)
    assert.deepEqual([again.status, again.body.code], [404, 'team.no_member'])
    const kinds = ['team.member_added', 'team.member_changed', 'team.member_removed']
    const shown = (lead: boolean) => ({ user_id: reviewer.id, is_lead: lead })
    assert.deepEqual(
      (await tellings(team.id, ...kinds)).map(({ kind, before, after }) => [kind, before, after]),
      [
        ['team.member_added', null, shown(false)],
        ['team.member_changed', shown(false), shown(true)],
        ['team.member_removed', shown(true), null],
      ],
    )
  })

  test('are listed by cursor, each once', async () => {
    const team = await newTeam()
    const all = [company.owner, company.admin, company.reviewer, company.auditor].map(({ id }) => id)
    for (const id of all) await put(company.admin.token, team.id, id)
    const first = await members(team.id, '?limit=3')
    const rest = await members(team.id, `?limit=3&cursor=${first.next_cursor}`)
    assert.deepEqual(
      [...first.items, ...rest.items].map((item: { user_id: string }) => item.user_id),
      [...all].sort(),
    )
    assert.equal(rest.next_cursor, null)
  })

  test('404 for an unknown person or one of another organization; 409 for a deactivated member', async () => {
    const team = await newTeam()
    const { admin } = company
    for (const id of [randomUUID(), t.reviewer.id]) {
      assert.equal((await put(admin.token, team.id, id)).body.code, 'user.not_found')
    }
    const own = await addCompany(t)
    const theirs = await newTeam(own)
    await t.sql('update users set is_active = false where id = $1', [own.auditor.id])
    assert.equal((await put(own.admin.token, theirs.id, own.auditor.id)).body.code, 'user.inactive')
  })
})

describe('PATCH and DELETE /teams/{id}', () => {
  test('409 for the name of another team, even for two at once; keeping its own name has no event', async () => {
    const [one, two, three] = [await newTeam(), await newTeam(), await newTeam()]
    const rename = (id: string, name: string) =>
      t.call('PATCH', `${path}/${id}`, { as: company.admin.token, body: { name } })
    assert.equal((await rename(one.id, two.name)).body.code, 'team.name_taken')
    const wanted = randomUUID()
    const replies = await Promise.all([rename(one.id, wanted), rename(three.id, wanted)])
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 409])
    assert.equal((await rename(two.id, two.name)).status, 200)
    assert.deepEqual(await tellings(two.id, 'team.changed'), [])
    for (const body of [{}, { colour: 'red' }, { name: null }]) {
      assert.equal((await t.call('PATCH', `${path}/${two.id}`, { as: company.admin.token, body })).status, 422)
    }
  })

  test('after deletion it is 404 for everyone, its people stay, and its name can be used again', async () => {
    const team = await newTeam()
    await put(company.admin.token, team.id, company.reviewer.id)
    assert.equal((await t.call('DELETE', `${path}/${team.id}`, { as: company.admin.token })).status, 204)
    for (const [method, where] of [
      ['GET', ''],
      ['GET', '/members'],
      ['DELETE', ''],
    ] as const) {
      assert.equal((await t.call(method, `${path}/${team.id}${where}`, { as: company.admin.token })).status, 404)
    }
    assert.equal((await t.call('GET', `/api/v1/users/${company.reviewer.id}`, { as: company.admin.token })).status, 200)
    assert.equal((await newTeam(company, team.name)).name, team.name)
  })

  test('404 for a team of another organization in every call, and it is unchanged', async () => {
    const other = await addCompany(t)
    const team = await newTeam(other, 'Untouched')
    const as = company.admin.token
    const replies = [
      await t.call('GET', `${path}/${team.id}`, { as }),
      await t.call('GET', `${path}/${team.id}/members`, { as }),
      await t.call('PATCH', `${path}/${team.id}`, { as, body: { name: 'x' } }),
      await put(as, team.id, company.reviewer.id),
      await takeOut(as, team.id, company.reviewer.id),
      await t.call('DELETE', `${path}/${team.id}`, { as }),
    ]
    for (const reply of replies) assert.deepEqual([reply.status, reply.body.code], [404, 'team.not_found'])
    assert.deepEqual((await t.call('GET', `${path}/${team.id}`, { as: other.admin.token })).body, team)
  })
})
