import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { startTestApp, type TestApp } from '../../harness.ts'

const register = '/api/v1/auth/register'
const login = '/api/v1/auth/login'

describe('registration is open', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp({ environment: { REGISTRATION: 'open' } })
  })
  after(() => t.stop())

  const people = async (): Promise<number> => (await t.sql('select from users')).length

  test('201 with the account, which is a reviewer whatever role the body has', async () => {
    const body = {
      email: 'Eve@Example.com',
      password: 'correct horse',
      name: 'Eve',
      role: 'admin',
    }
    for (const member of ['is_admin', 'is_active', 'organization_id']) {
      assert.equal((await t.call('POST', register, { body: { ...body, [member]: true } })).status, 422)
    }
    const reply = await t.call('POST', register, { body })
    assert.equal(reply.status, 201, reply.text)
    const { id, created_at, updated_at, ...rest } = reply.body
    assert.deepEqual(rest, { email: 'Eve@Example.com', name: 'Eve', role: 'reviewer', is_active: true })
    assert.equal(created_at, t.clock.now().toISOString())
    assert.equal(updated_at, created_at)
    const [row] = await t.sql('select organization_id, role from users where id = $1', [id])
    assert.equal(row?.organization_id, t.organizationId)
    assert.equal(row?.role, 'reviewer')
    assert.ok(!reply.text.includes('$2'), 'the hash stays inside')
  })

  test('the password is kept as a bcrypt hash of cost 12', async (context) => {
    const asInUse = await startTestApp({ environment: { REGISTRATION: 'open' }, passwords: createPasswords() })
    context.after(() => asInUse.stop())
    const body = { email: 'eve@example.com', password: 'correct horse' }
    assert.equal((await asInUse.call('POST', register, { body })).status, 201)
    const [row] = await asInUse.sql('select password_hash from accounts where email_key = $1', [body.email])
    assert.match(String(row?.password_hash), /^\$2[aby]\$12\$/)
  })

  test('409 "Email already registered" for the same address in another case', async () => {
    const before = await people()
    const reply = await t.call('POST', register, { body: { email: 'ADMIN@EXAMPLE.COM', password: 'correct horse' } })
    assert.equal(reply.status, 409)
    assert.equal(reply.body.code, 'auth.email_taken')
    assert.equal(reply.body.detail, 'Email already registered')
    assert.equal(await people(), before)
  })

  test('exactly one 201 when the same address is registered four times at once', async () => {
    const spellings = ['race@example.com', 'RACE@example.com', 'Race@Example.com', 'race@EXAMPLE.com']
    const replies = await Promise.all(
      spellings.map((email) => t.call('POST', register, { body: { email, password: 'correct horse' } })),
    )
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [201, 409, 409, 409])
  })

  describe('a password has 8 to 72 bytes in UTF-8, however many characters that is', () => {
    for (const [what, password, status] of [
      ['7 bytes in 4 characters', 'äääx', 422],
      ['8 bytes in 4 characters', 'ääää', 201],
      ['72 bytes in 18 characters', '😀'.repeat(18), 201],
      ['73 bytes in 19 characters', `${'😀'.repeat(18)}x`, 422],
      ['8 characters of two bytes and one more of 57 times one', `${'ä'.repeat(8)}${'x'.repeat(57)}`, 422],
      ['empty', '', 422],
    ] as const) {
      test(`${status}: ${what}`, async () => {
        const email = `bytes-${Buffer.byteLength(password)}@example.com`
        const before = await people()
        const reply = await t.call('POST', register, { body: { email, password } })
        assert.equal(reply.status, status, reply.text)
        assert.equal(await people(), before + (status === 201 ? 1 : 0))
        if (status === 422) {
          assert.deepEqual(
            reply.body.errors.map((error: { path: string }) => error.path),
            ['password'],
          )
          assert.match(reply.body.detail, /8 to 72 bytes/)
        }
      })
    }

    test('the 72-byte password signs in; with one more byte it does not, so nothing is truncated', async () => {
      const password = '😀'.repeat(18)
      const right = await t.call('POST', login, { body: { username: 'bytes-72@example.com', password } })
      assert.equal(right.status, 200, right.text)
      const longer = await t.call('POST', login, {
        body: { username: 'bytes-72@example.com', password: `${password}x` },
      })
      assert.equal(longer.status, 401)
    })
  })

  test('é typed as one character or as two is the same password, and counts as the one that is hashed (RFC 8265)', async () => {
    // 72 bytes as composed characters, 108 as they are decomposed.
    const composed = 'é'.repeat(36)
    const decomposed = composed.normalize('NFD')
    assert.equal(Buffer.byteLength(decomposed), 108)
    for (const [email, chosen, typed] of [
      ['composed@example.com', composed, decomposed],
      ['decomposed@example.com', decomposed, composed],
    ]) {
      const made = await t.call('POST', register, { body: { email, password: chosen } })
      assert.equal(made.status, 201, made.text)
      for (const password of [chosen, typed]) {
        const signedIn = await t.call('POST', login, { body: { username: email, password } })
        assert.equal(signedIn.status, 200, signedIn.text)
      }
    }
  })

  describe('422 names the field and makes no account', () => {
    const valid = { email: 'new@example.com', password: 'correct horse' }
    for (const [path, body] of [
      ['email', { password: 'correct horse' }],
      ['password', { email: 'new@example.com' }],
      ['email', { ...valid, email: 'no-address' }],
      ['email', { ...valid, email: 'a@b@c' }],
      ['email', { ...valid, email: 'two words@example.com' }],
      ['email', { ...valid, email: `${'x'.repeat(65)}@example.com` }],
      ['email', { ...valid, email: `x@${'y'.repeat(253)}` }],
      ['email', { ...valid, email: 7 }],
      ['email', { ...valid, email: null }],
      ['password', { ...valid, password: 12_345_678 }],
      ['name', { ...valid, name: '' }],
      ['name', { ...valid, name: 'x'.repeat(256) }],
      ['name', { ...valid, name: 'nul \0 in it' }],
      ['name', { ...valid, name: 'half a pair \ud800' }],
      ['invitation', { ...valid, invitation: '' }],
      ['invitation', { ...valid, invitation: 5 }],
    ] as const) {
      test(`${path}: ${JSON.stringify(body).slice(0, 90)}`, async () => {
        const before = await people()
        const reply = await t.call('POST', register, { body })
        assert.equal(reply.status, 422, reply.text)
        assert.equal(reply.body.code, 'request.invalid')
        assert.ok(
          reply.body.errors.some((error: { path: string }) => error.path === path),
          reply.text,
        )
        assert.equal(await people(), before)
      })
    }

    test('every wrong field at once', async () => {
      const reply = await t.call('POST', register, { body: { email: 1, password: 2, name: 3, invitation: 4 } })
      assert.equal(reply.status, 422)
      const paths = new Set(reply.body.errors.map((error: { path: string }) => error.path))
      assert.deepEqual([...paths].sort(), ['email', 'invitation', 'name', 'password'])
    })

    for (const body of [[], 'text', 5, null, true]) {
      test(`a body that is not an object: ${JSON.stringify(body)}`, async () => {
        const reply = await t.call('POST', register, { body })
        assert.equal(reply.status, 422, reply.text)
        assert.match(reply.body.detail, /^The body must be an object/)
      })
    }
  })

  test('a name of 255 characters beyond the basic plane fits and comes back unchanged', async () => {
    const name = '😀'.repeat(255)
    const reply = await t.call('POST', register, {
      body: { email: 'wide@example.com', password: 'correct horse', name },
    })
    assert.equal(reply.status, 201, reply.text)
    assert.equal(reply.body.name, name)
  })
})

for (const [mode, words] of [
  ['invite', /needs an invitation/],
  ['closed', /is closed/],
] as const) {
  describe(`registration is ${mode}`, () => {
    let t: TestApp
    before(async () => {
      t = await startTestApp({ environment: { REGISTRATION: mode } })
    })
    after(() => t.stop())

    test('403 without an invitation, for both free and taken addresses', async () => {
      const before = await t.sql('select count(*)::int from users')
      const replies = await Promise.all(
        ['new@example.com', 'admin@example.com'].map((email) =>
          t.call('POST', register, { body: { email, password: 'correct horse', role: 'admin' } }),
        ),
      )
      const texts = replies.map((reply) => {
        assert.equal(reply.status, 403)
        assert.equal(reply.body.code, 'auth.registration_closed')
        assert.match(reply.body.detail, words)
        return reply.body.detail
      })
      assert.equal(texts[0], texts[1])
      assert.deepEqual(await t.sql('select count(*)::int from users'), before)
    })
  })
}

test('when registration is closed, earlier invitations do not work and no new ones can be created', async () => {
  const t = await startTestApp({ environment: { REGISTRATION: 'closed' } })
  try {
    const token = 'made-while-invitations-still-worked'
    await t.sql(
      `insert into invitations (organization_id, id, token_hash, role, created_by, expires_at, created_at, updated_at)
       values ($1, gen_random_uuid(), sha256($2), 'admin', $3, now() + interval '1 day', now(), now())`,
      [t.organizationId, Buffer.from(token), t.admin.id],
    )
    const used = await t.call('POST', '/api/v1/auth/register', {
      body: { email: 'late@example.com', password: 'correct horse', invitation: token },
    })
    assert.equal(used.status, 403)
    assert.match(used.body.detail, /is closed/)
    const made = await t.call('POST', '/api/v1/invitations', { as: t.admin.token, body: { role: 'reviewer' } })
    assert.equal(made.status, 403)
    assert.equal(made.body.code, 'auth.registration_closed')
  } finally {
    await t.stop()
  }
})
