import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { isPrototypeName, refuseAmbiguousTarget } from '../../src/http/ambiguity.ts'
import { Problem } from '../../src/platform/problem.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { listening } from './listening.ts'

let t: TestApp
let port: number
before(async () => {
  t = await startTestApp()
  port = await listening(t.app.http)
})
after(() => t.stop())

const requests = '/api/v1/requests'
const login = '/api/v1/auth/login'
const json = { 'content-type': 'application/json' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const right = { username: 'admin@example.com', password: 'password123' }
const multipart = { 'content-type': 'multipart/form-data; boundary=b' }
const part = (name: string, value: string) =>
  `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const rows = async () => (await t.sql('select count(*)::int as n from consultation_requests'))[0]?.n

/** What the server answers on a socket of its own. */
async function say(head: string, body = ''): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answer += chunk
  })
  const closed = once(socket, 'close')
  socket.write(`${head}\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  await closed
  return answer
}

describe('a query names each parameter once', () => {
  for (const [status, code, query] of [
    [422, 'request.invalid', 'limit=1&limit=2'],
    [422, 'request.invalid', 'limit=1&limit=1'],
    [422, 'request.invalid', 'limit=1&%6cimit=2'],
    [422, 'request.invalid', 'limit=1&state=pending&limit'],
    [422, 'request.invalid', 'unknown=1&unknown=2'],
    [422, 'request.invalid', '__proto__=1'],
    [422, 'request.invalid', '%5F%5Fproto__=1'],
    [422, 'request.invalid', '__proto__[limit]=1'],
    [422, 'request.invalid', 'a[__proto__][limit]=1'],
    [422, 'request.invalid', 'constructor.prototype.limit=1'],
    [422, 'request.invalid', 'constructor[prototype][limit]=1'],
    [400, 'http.bad_request', 'state=%zz'],
    [400, 'http.bad_request', 'state=%'],
    [400, 'http.bad_request', 'state=%c0%af'],
    [400, 'http.bad_request', 'state=%ed%a0%80'],
    [400, 'http.bad_request', 'state=%E0%A4%A'],
    [400, 'http.bad_request', '%ff=1'],
  ] as const) {
    test(`${status} ?${query}`, async () => {
      for (const path of [requests, '/api/v1/auth/me', '/nothing', '/health']) {
        const reply = await t.call('GET', `${path}?${query}`, { as: t.apiKey })
        assert.equal(reply.status, status, reply.text)
        assert.equal(reply.body.code, code)
        if (status === 422) assert.equal(reply.body.errors.length, 1)
      }
    })
  }

  for (const query of [
    '',
    'limit=1',
    'limit=1&state=pending&',
    '&&limit=1',
    'updated_after=2026-01-31T09:00:00%2B01:00',
  ]) {
    test(`200 ?${query}`, async () => {
      const reply = await t.call('GET', `${requests}?${query}`, { as: t.apiKey })
      assert.equal(reply.status, 200, reply.text)
    })
  }

  for (const [query, name] of [
    ['constructor=1', 'constructor'],
    ['prototype=1', 'prototype'],
    ['proto=1', 'proto'],
    ['a%20b+c=x', 'a b c'],
    ['%C3%A4=x', 'ä'],
    ['%2F%2e%5c%00=x', '/.\\\u0000'],
    ['a[]=1', 'a[]'],
  ] as const) {
    test(`?${query} is read as it is written: there is no such parameter`, async () => {
      const reply = await t.call('GET', `${requests}?${query}`, { as: t.apiKey })
      assert.deepEqual([reply.status, reply.body.errors[0].path], [422, name], reply.text)
    })
  }
})

describe('a path has one spelling', () => {
  for (const path of [
    '/api%2fv1/requests',
    '/api%2Fv1%2Frequests',
    '/api/v1%5crequests',
    '/api\\v1\\requests',
    '/%61pi/v1/requests',
    '/api/v%31/requests',
    '/api/v1/%72equests',
    '/api/v1/api%2dkeys',
    '/api/v1/x/%2e%2e/requests',
    '/api/v1/x/.%2e/requests',
    '/api/v1/%2e/requests',
    '/api/v1/requests#fragment',
    '/docs/static/%2e%2e/%2e%2e/package.json',
  ]) {
    test(`400 ${path}`, async () => {
      const answer = await say(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.apiKey}`)
      assert.match(answer, /^HTTP\/1\.1 400 /, answer)
      assert.match(answer, /"code":"http\.(bad_request|malformed)"/)
    })
  }

  for (const path of [
    '//api/v1/requests',
    '/api//v1/requests',
    '/api/v1/requests//',
    '/api/v1/./requests',
    '/api/v1/x/../requests',
    '/API/v1/requests',
    '/api/v1/Requests',
    '/api/v1/requests;x=1',
    '/api/v1/requests%20',
    '/api/v1/requests%00',
    '/api/v1/requests%0d%0aX-Injected:1',
    '/api/v1/requests%25',
    '/api/v1/%252e%252e/requests',
    '/api/v1/requests.json',
    '/docs/static/../../package.json',
    '/docs/static/....//package.json',
    '/docs/..',
    '/.',
    '/docs/./',
    'http://x//api/v1/requests',
  ]) {
    test(`404 ${path}`, async () => {
      const answer = await say(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.apiKey}`)
      assert.match(answer, /^HTTP\/1\.1 404 /, answer)
    })
  }

  for (const target of [
    '/api/v1/requests',
    '/api/v1/requests/',
    '/api/v1/requests/?limit=1',
    'http://x/api/v1/requests',
    'http://other.example/api/v1/requests?limit=1',
  ]) {
    test(`200 ${target}: both slashes of the contract, and the absolute form of RFC 9112`, async () => {
      const answer = await say(`GET ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.apiKey}`)
      assert.match(answer, /^HTTP\/1\.1 200 /, answer)
    })
  }
})

describe('400 for a repeated header that may appear only once; nothing is created', () => {
  const authorization = () => `Authorization: Bearer ${t.apiKey}`
  const body = '{"title":"twice","context":{}}'
  for (const [name, lines] of [
    [
      'authorization',
      () => `Host: x\r\n${authorization()}\r\nAuthorization: Bearer other\r\nContent-Type: application/json`,
    ],
    [
      'authorization',
      () => `Host: x\r\n${authorization()}\r\nauthorization: bearer other\r\nContent-Type: application/json`,
    ],
    ['authorization', () => `Host: x\r\n${authorization()}\r\n${authorization()}\r\nContent-Type: application/json`],
    [
      'content-type',
      () => `Host: x\r\n${authorization()}\r\nContent-Type: application/json\r\nContent-Type: text/plain`,
    ],
    ['host', () => `Host: x\r\nHost: y\r\n${authorization()}\r\nContent-Type: application/json`],
    [
      'idempotency-key',
      () =>
        `Host: x\r\n${authorization()}\r\nContent-Type: application/json\r\nIdempotency-Key: a\r\nIdempotency-Key: b`,
    ],
    [
      'origin',
      () => `Host: x\r\n${authorization()}\r\nContent-Type: application/json\r\nOrigin: https://a\r\nOrigin: https://b`,
    ],
    [
      'sec-fetch-site',
      () =>
        `Host: x\r\n${authorization()}\r\nContent-Type: application/json\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: same-origin`,
    ],
  ] as const) {
    test(name, async () => {
      const before = await rows()
      const answer = await say(`POST ${requests} HTTP/1.1\r\n${lines()}`, body)
      assert.match(answer, /^HTTP\/1\.1 400 /, answer)
      assert.match(answer, /"code":"http\.repeated_header"/)
      assert.match(answer, new RegExp(`The header ${name} is there twice`))
      assert.equal(await rows(), before)
    })
  }

  test('201 if list headers and cookies come in several lines', async () => {
    const lines = `Host: x\r\n${authorization()}\r\nContent-Type: application/json\r\nAccept: a/b\r\nAccept: c/d\r\nCookie: a=1\r\nCookie: b=2\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2`
    assert.match(await say(`POST ${requests} HTTP/1.1\r\n${lines}`, body), /^HTTP\/1\.1 201 /)
  })

  test('400 without a Host in HTTP/1.1', async () => {
    assert.match(
      await say(`POST ${requests} HTTP/1.1\r\n${authorization()}`, body),
      /^HTTP\/1\.1 400 [\s\S]*http\.malformed/,
    )
  })
})

describe('422 naming the path for names that lead to the prototype of objects; nothing is created', () => {
  for (const [path, payload] of [
    ['__proto__', '{"title":"x","context":{},"__proto__":{"title":"y"}}'],
    ['context.__proto__', '{"title":"x","context":{"__proto__":{"admin":true}}}'],
    ['context.a[1].__proto__', '{"title":"x","context":{"a":[{},{"__proto__":1}]}}'],
    ['metadata.__proto__', '{"title":"x","context":{},"metadata":{"\\u005f_proto__":1}}'],
    ['context.constructor.prototype', '{"title":"x","context":{"constructor":{"prototype":{"admin":true}}}}'],
    ['constructor.prototype', '{"title":"x","context":{},"constructor":{"x":1,"prototype":1}}'],
  ] as const) {
    test(path, async () => {
      const before = await rows()
      const reply = await t.call('POST', requests, { as: t.apiKey, payload, headers: json })
      assert.equal(reply.status, 422, reply.text)
      assert.equal(reply.body.errors[0].path, path)
      assert.equal(await rows(), before)
      assert.equal(({} as Record<string, unknown>).admin, undefined)
    })
  }

  test('201 for names that only look similar, which come back unchanged', async () => {
    const context = { constructor: { x: 1 }, prototype: { constructor: 1 }, proto: 1, a: '__proto__', toString: 1 }
    const reply = await t.call('POST', requests, { as: t.apiKey, body: { title: 'x', context } })
    assert.equal(reply.status, 201)
    assert.deepEqual(reply.body.context, context)
  })

  for (const [what, headers, payload] of [
    ['a form', form, 'username=admin@example.com&password=password123&__proto__=x'],
    ['a form', form, 'username=admin@example.com&password=password123&constructor[prototype]=x'],
    [
      'multipart',
      multipart,
      `${part('username', right.username)}${part('password', right.password)}${part('__proto__', 'x')}--b--\r\n`,
    ],
    ['JSON', json, JSON.stringify(right).replace('}', ',"__proto__":{"username":"x"}}')],
  ] as const) {
    test(`${what} at the sign-in`, async () => {
      const reply = await t.call('POST', login, { headers, payload })
      assert.equal(reply.status, 422, reply.text)
      assert.match(reply.body.errors[0].path, /__proto__|constructor/)
    })
  }

  test('any path of names', () => {
    for (const name of [
      '__proto__',
      'a.__proto__',
      'a[__proto__]',
      '__proto__.b',
      'constructor[prototype]',
      'a.constructor.prototype.b',
    ]) {
      assert.ok(isPrototypeName(name), name)
    }
    for (const name of [
      'proto',
      '__proto',
      'constructor',
      'prototype',
      'prototype.constructor',
      'my__proto__',
      'a.b',
    ]) {
      assert.ok(!isPrototypeName(name), name)
    }
  })
})

describe('bodies are UTF-8 in a known content type', () => {
  const utf16 = (text: string) => Buffer.from(text, 'utf16le')
  const signIn = JSON.stringify(right)
  const encoded = 'username=admin%40example.com&password=password123'
  for (const [status, code, what, headers, payload] of [
    [415, 'http.charset', 'JSON in UTF-16', { 'content-type': 'application/json; charset=utf-16' }, utf16(signIn)],
    [415, 'http.charset', 'JSON in Latin-1', { 'content-type': 'application/json; charset=iso-8859-1' }, signIn],
    [415, 'http.charset', 'JSON in UTF-7', { 'content-type': 'application/json;charset="UTF-7"' }, signIn],
    [
      415,
      'http.charset',
      'two charsets',
      { 'content-type': 'application/json; charset=utf-8; charset=utf-16' },
      signIn,
    ],
    [415, 'http.charset', 'a form in UTF-16', { 'content-type': `${form['content-type']}; charset=utf-16le` }, encoded],
    [
      415,
      'http.charset',
      'multipart in Latin-1',
      { 'content-type': `${multipart['content-type']}; charset=latin1` },
      'x',
    ],
    [415, 'http.media_type', 'parameters that are none', { 'content-type': 'application/json; charset' }, signIn],
    [415, 'http.media_type', 'two types', { 'content-type': 'application/json, text/plain' }, signIn],
    [415, 'http.media_type', 'another type', { 'content-type': 'application/jsonp' }, signIn],
    [415, 'http.media_type', 'XML', { 'content-type': 'application/xml' }, '<x/>'],
    [415, 'http.media_type', 'a type of no form', { 'content-type': 'json' }, signIn],
    [400, 'json.malformed', 'UTF-16 that says nothing', json, utf16(signIn)],
    [400, 'json.malformed', 'UTF-16 with a mark', json, Buffer.concat([Buffer.of(0xff, 0xfe), utf16(signIn)])],
    [400, 'json.malformed', 'an overlong slash', json, Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    [400, 'form.malformed', 'a form with an overlong slash', form, `${encoded}&x=%c0%af`],
    [400, 'form.malformed', 'a form with half an escape', form, `${encoded}&x=%e`],
    [400, 'form.malformed', 'a form in Latin-1', form, Buffer.from(`${encoded}&x=\xe4`, 'latin1')],
    [
      400,
      'form.malformed',
      'multipart in Latin-1 that says nothing',
      multipart,
      Buffer.from(`${part('username', 'ä')}--b--\r\n`, 'latin1'),
    ],
    [422, 'request.invalid', 'a field twice', form, `${encoded}&username=b`],
    [422, 'request.invalid', 'a field twice, disguised', form, `${encoded}&%75sername=b`],
  ] as const) {
    test(`${status} ${code}: ${what}`, async () => {
      const reply = await t.call('POST', login, { headers, payload })
      assert.equal(reply.status, status, reply.text)
      assert.equal(reply.body.code, code)
    })
  }

  for (const [what, headers, payload] of [
    ['JSON that says UTF-8', { 'content-type': 'application/json; charset="UTF-8"' }, signIn],
    ['JSON with other parameters', { 'content-type': 'application/json; odata=verbose; v="a;b"' }, signIn],
    ['a form that says utf8', { 'content-type': `${form['content-type']};charset=utf8` }, encoded],
    ['a form with more fields', form, `${encoded}&scope=&grant_type=password`],
  ] as const) {
    test(`200: ${what}`, async () => {
      const reply = await t.call('POST', login, { headers, payload })
      assert.equal(reply.status, 200, reply.text)
    })
  }
})

test('the checks on every call are cheap, even for the longest URL', () => {
  const hostile = `/x?${Array.from({ length: 2_000 }, (_, index) => `a${index}=%20`).join('&')}`
  const startedAt = performance.now()
  for (let round = 0; round < 20; round += 1) refuseAmbiguousTarget(hostile)
  assert.ok(performance.now() - startedAt < 1_000)
  assert.throws(() => refuseAmbiguousTarget(`${hostile}&a1`), Problem)
})
