import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { startTestApp, type TestApp } from '../../harness.ts'

const login = '/api/v1/auth/login'
const form = 'application/x-www-form-urlencoded'
const password = 'password123'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const send = (payload: string | Buffer, contentType?: string) =>
  t.call('POST', login, { payload, headers: contentType === undefined ? {} : { 'content-type': contentType } })

const field = (name: string, value: string, more = ''): string =>
  `--frontier\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
const multipart = (...parts: string[]) =>
  send(`${parts.join('')}--frontier--\r\n`, 'multipart/form-data; boundary=frontier')

describe('200 with an access token, in each of the three encodings', () => {
  for (const [what, sign] of [
    ['a form', () => send(`username=admin%40example.com&password=${password}`, form)],
    ['a form with a charset', () => send(`username=admin@example.com&password=${password}`, `${form}; charset=UTF-8`)],
    [
      'a form with grant_type and scope, as OAuth libraries send it',
      () => send(`grant_type=password&username=admin@example.com&password=${password}&scope=&client_id=`, form),
    ],
    ['multipart', () => multipart(field('username', 'admin@example.com'), field('password', password))],
    [
      'multipart with more fields',
      () =>
        multipart(field('grant_type', 'password'), field('username', 'admin@example.com'), field('password', password)),
    ],
    ['JSON', () => t.call('POST', login, { body: { username: 'admin@example.com', password } })],
    [
      'JSON of another name',
      () =>
        send(JSON.stringify({ username: 'admin@example.com', password }), 'application/vnd.api+json; charset=utf-8'),
    ],
    ['an address in another case', () => send(`username=ADMIN%40Example.COM&password=${password}`, form)],
    [
      'a path with a slash at its end',
      () => t.call('POST', `${login}/`, { body: { username: 'admin@example.com', password } }),
    ],
  ] as const) {
    test(what, async () => {
      const reply = await sign()
      assert.equal(reply.status, 200, reply.text)
      assert.equal(reply.body.token_type, 'bearer')
      assert.equal(reply.body.expires_in, 1_800)
      assert.equal(reply.body.user.email, 'admin@example.com')
      assert.equal(reply.headers['cache-control'], 'no-store')
      const me = await t.call('GET', '/api/v1/auth/me', { as: reply.body.access_token })
      assert.equal(me.status, 200)
      assert.deepEqual(me.body, reply.body.user)
    })
  }
})

test('expires_in is ACCESS_TOKEN_EXPIRE_MINUTES', async (context) => {
  const short = await startTestApp({ environment: { ACCESS_TOKEN_EXPIRE_MINUTES: '5' } })
  context.after(() => short.stop())
  const reply = await short.call('POST', login, { body: { username: 'admin@example.com', password } })
  assert.equal(reply.body.expires_in, 300)
})

describe('401 "Incorrect email or password", in the same words for every cause', () => {
  const wrong = async (username: string, given: string, at = t) => {
    const reply = await at.call('POST', login, { body: { username, password: given } })
    assert.equal(reply.status, 401, reply.text)
    assert.match(String(reply.headers['www-authenticate']), /^Bearer /)
    const { request_id, ...rest } = reply.body
    assert.equal(typeof request_id, 'string')
    return rest
  }

  test('wrong password, unknown address, no address at all, inactive account', async () => {
    await t.sql(`update users set is_active = false where email_key = 'reviewer@example.com'`)
    const [first, ...others] = [
      await wrong('admin@example.com', 'wrong password'),
      await wrong('nobody@example.com', password),
      await wrong('', ''),
      await wrong('reviewer@example.com', password),
    ]
    assert.equal(first?.detail, 'Incorrect email or password')
    for (const other of others) assert.deepEqual(other, first)
    await t.sql(`update users set is_active = true where email_key = 'reviewer@example.com'`)
  })

  test('an unknown address costs the work of a known one', async (context) => {
    const asInUse = await startTestApp({ passwords: createPasswords() })
    context.after(() => asInUse.stop())
    const fastest = async (username: string): Promise<number> => {
      const times: number[] = []
      for (let round = 0; round < 3; round += 1) {
        const start = performance.now()
        await wrong(username, 'wrong password', asInUse)
        times.push(performance.now() - start)
      }
      return Math.min(...times)
    }
    const known = await fastest('admin@example.com')
    const unknown = await fastest('nobody@example.com')
    // Without hashing it would take a hundredth. bcrypt at cost 12 takes far longer than what a busy machine adds to the fastest of 3.
    assert.ok(unknown > known * 0.4, `unknown ${unknown} ms, known ${known} ms`)
    assert.ok(unknown < known * 2.5, `unknown ${unknown} ms, known ${known} ms`)
  })
})

test('a person in several organizations gets the oldest active membership, and 401 if all are inactive', async () => {
  const account = '01890f3e-5c2a-7bbb-8a3b-000000000000'
  await t.sql(
    `insert into accounts (id, email, email_key, password_hash, created_at, updated_at)
     select $1, 'shared@example.com', 'shared@example.com', password_hash, now(), now() from accounts
     where email_key = 'admin@example.com'`,
    [account],
  )
  for (const [id, days, isActive] of [
    ['01890f3e-5c2a-7bbb-8a3b-000000000001', 3, false],
    ['01890f3e-5c2a-7bbb-8a3b-000000000002', 2, true],
    ['01890f3e-5c2a-7bbb-8a3b-000000000003', 1, true],
  ] as const) {
    await t.sql(`insert into organizations values ($1, 'Other')`, [id])
    await t.sql(
      `insert into users (organization_id, id, account_id, email, email_key, role, is_active, created_at, updated_at)
       values ($1, $1, $2, 'shared@example.com', 'shared@example.com', 'reviewer', $3, now() - $4 * interval '1 day', now())`,
      [id, account, isActive, days],
    )
  }
  const signIn = () => t.call('POST', login, { body: { username: 'shared@example.com', password } })
  assert.equal((await signIn()).body.user?.id, '01890f3e-5c2a-7bbb-8a3b-000000000002')
  await t.sql('update users set is_active = false where account_id = $1', [account])
  assert.equal((await signIn()).status, 401)
})

describe('4xx for a body that is not a login, naming the fields as the caller wrote them', () => {
  for (const [status, what, sign] of [
    [422, 'no fields', () => send('', form)],
    [422, 'a field twice', () => send('username=a&username=b&password=x', form)],
    [422, 'no password', () => send('username=admin@example.com', form)],
    [422, 'a NUL character', () => send('username=a%00&password=x', form)],
    [422, 'a password of 1001 characters', () => send(`username=a&password=${'x'.repeat(1_001)}`, form)],
    [413, 'a form of 20 kB', () => send(`username=a&password=${'x'.repeat(20_000)}`, form)],
    [422, 'multipart without fields', () => multipart()],
    [
      422,
      'multipart with a field twice',
      () => multipart(field('username', 'a'), field('username', 'b'), field('password', 'x')),
    ],
    [
      422,
      'multipart with a file',
      () => multipart(field('username', 'a'), field('password', 'x', '; filename="x.txt"')),
    ],
    [422, 'multipart with __proto__', () => multipart(field('__proto__', 'a'), field('password', 'x'))],
    [413, 'multipart of 20 kB', () => multipart(field('username', 'a'), field('password', 'x'.repeat(20_000)))],
    [400, 'multipart without a boundary', () => send('hello', 'multipart/form-data')],
    [400, 'multipart that is none', () => send('hello', 'multipart/form-data; boundary=frontier')],
    [
      400,
      'multipart cut off',
      () => send(field('username', 'admin@example.com'), 'multipart/form-data; boundary=frontier'),
    ],
    [400, 'multipart without bytes', () => send('', 'multipart/form-data; boundary=frontier')],
    [400, 'JSON cut off', () => send('{"username":"a"', 'application/json')],
    [400, 'JSON without bytes', () => send('', 'application/json')],
    [400, 'JSON that is not UTF-8', () => send(Buffer.from('{"username":"\xff"}', 'latin1'), 'application/json')],
    [422, 'JSON of the wrong types', () => send('{"username":1,"password":true}', 'application/json')],
    [422, 'JSON that is a list', () => send('[]', 'application/json')],
    [415, 'text', () => send('username=a', 'text/plain')],
    [415, 'XML', () => send('<login/>', 'application/xml')],
    [415, 'almost JSON', () => send('{}', 'application/json5')],
    [415, 'a content type that is none', () => send('{}', 'garbage')],
    [422, 'no body', () => t.call('POST', login)],
  ] as const) {
    test(`${status}: ${what}`, async () => {
      const reply = await sign()
      assert.equal(reply.status, status, reply.text)
      assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
      assert.equal(typeof reply.body.detail, 'string')
      assert.ok(!reply.text.includes(password))
    })
  }
})

test('other routes accept no forms', async () => {
  for (const contentType of [form, 'multipart/form-data; boundary=frontier']) {
    const reply = await t.call('POST', '/api/v1/auth/register', {
      payload: 'email=a',
      headers: { 'content-type': contentType },
    })
    assert.equal(reply.status, 415)
  }
})
