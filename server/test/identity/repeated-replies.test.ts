import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { TestApp } from '../harness.ts'
import { resolvedDocument } from '../http/resolved-document.ts'
import { addCompany, alsoIn, type Company, signedIn } from './organizations/tenancy.ts'
import { type OpenIdProvider, startOpenIdProvider } from './sso/openid-provider.ts'
import { startSsoApp } from './sso/sso-app.ts'

const api = '/api/v1'
let t: TestApp
let op: OpenIdProvider
before(async () => {
  op = await startOpenIdProvider()
  t = await startSsoApp()
})
after(async () => {
  await t.stop()
  await op.close()
})

interface Creation {
  readonly path: string
  readonly body: () => Readonly<Record<string, unknown>>
  /** What is changed of it before the call is repeated, and where; left out where nothing of it can be changed. */
  readonly change?: (id: string, company: Company) => readonly [path: string, body: Readonly<Record<string, unknown>>]
}

/** Requests, and the acts on them, are in consultations/idempotency.test.ts, files in attachments/attachments.test.ts, rotated keys in api-keys/api-keys.test.ts. */
const creations: Readonly<Record<string, Creation>> = {
  createOrganization: { path: '/organizations', body: () => ({ name: 'First' }) },
  createTeam: {
    path: '/teams',
    body: () => ({ name: 'First', description: 'One' }),
    change: (id) => [`/teams/${id}`, { name: 'Second', description: 'Two' }],
  },
  registerAgent: {
    path: '/agents',
    body: () => ({ name: 'First' }),
    change: (id, { auditor }) => [`/agents/${id}`, { name: 'Second', description: 'Two', owner_id: auditor.id }],
  },
  createApiKey: {
    path: '/api-keys',
    body: () => ({ name: 'First' }),
    change: (id) => [
      `/api-keys/${id}`,
      {
        name: 'Second',
        description: 'Two',
        scopes: ['requests:read'],
        allowed_networks: ['192.0.2.0/24'],
        expires_at: new Date(t.clock.now().getTime() + 86_400_000).toISOString(),
        is_active: false,
      },
    ],
  },

  createIdentityProvider: {
    path: '/identity-providers',
    body: () => ({ name: 'First', issuer: op.issuer, client_id: 'hitl', email_domains: ['Example.com'] }),
    change: (id) => [
      `/identity-providers/${id}`,
      { name: 'Second', creates_members: true, default_role: 'auditor', email_domains: [], is_active: false },
    ],
  },
  invite: { path: '/invitations', body: () => ({ email: 'one@example.com' }) },
}

describe('a repeated Idempotency-Key gets the first reply, whatever was changed since', () => {
  test('every creation is here', () => {
    interface Documented {
      readonly operationId: string
      readonly parameters?: readonly { readonly name: string }[]
      readonly responses: Readonly<
        Record<string, { readonly content?: Readonly<Record<string, { examples?: object }>> }>
      >
    }
    const { paths } = resolvedDocument(t) as { paths: Record<string, Record<string, Documented>> }
    // Of the others the replies themselves are kept (replies/repetitions.test.ts).
    const isKept = ({ responses }: Documented) =>
      'idempotency.under_way' in (responses['409']?.content?.['application/problem+json']?.examples ?? {})
    const reading = Object.values(paths)
      .flatMap((path) => Object.values(path))
      .filter(({ parameters = [] }) => parameters.some(({ name }) => name.toLowerCase() === 'idempotency-key'))
      .filter((operation) => !isKept(operation))
    assert.deepEqual(
      reading.map(({ operationId }) => operationId).sort(),
      [
        ...Object.keys(creations),
        'addAttachment',
        'createRequest',
        'createRequests',
        'rotateApiKey',
        'respond',
        'cancelRequest',
        'redeem',
      ].sort(),
    )
  })

  for (const [name, { path, body, change }] of Object.entries(creations)) {
    test(name, async () => {
      const company = await addCompany(t)
      const as = await signedIn(t, company.admin)
      const headers = { 'idempotency-key': randomUUID() }
      const create = () => t.call('POST', `${api}${path}`, { as, body: body(), headers })
      const first = await create()
      assert.equal(first.status, 201, first.text)
      t.clock.advance(1_000)
      if (change !== undefined) {
        const [where, changes] = change(first.body.id, company)
        const changed = await t.call('PATCH', `${api}${where}`, { as, body: changes })
        assert.equal(changed.status, 200, changed.text)
      }
      const again = await create()
      assert.equal(again.headers['idempotency-replayed'], 'true', again.text)
      assert.equal(again.text, first.text)
    })
  }

  test('so a former owner does not learn from it what the organization is called now', async () => {
    const { admin } = await addCompany(t)
    const as = await signedIn(t, admin)
    const create = () =>
      t.call('POST', `${api}/organizations`, {
        as,
        body: { name: 'Ours' },
        headers: { 'idempotency-key': 'first' },
      })
    const first = await create()
    const organizationId = first.body.id
    const { reviewer } = await addCompany(t)
    const successor = await alsoIn(t, reviewer, organizationId, 'admin')
    const [me] = await t.sql('select id from users where organization_id = $1 and account_id = $2', [
      organizationId,
      admin.id,
    ])
    const owner = await signedIn(t, { organizationId, id: String(me?.id) })
    const handed = await t.call('POST', `${api}/organization/transfer`, { as: owner, body: { user_id: successor.id } })
    assert.equal(handed.status, 204, handed.text)
    for (const [where, body] of [
      ['/organization', { name: 'Theirs now' }],
      [`/users/${me?.id}`, { is_active: false }],
    ] as const) {
      const reply = await t.call('PATCH', `${api}${where}`, { as: await signedIn(t, successor), body })
      assert.equal(reply.status, 200, reply.text)
    }
    assert.equal((await create()).text, first.text)
  })
})
