import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'

const known = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND', 'TRACE']

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { RATE_LIMIT_ADDRESS: '1000000/60' } })
})
after(() => t.stop())

/** The path of each route of the document with the methods that it has. */
function documented(): readonly (readonly [path: string, methods: readonly string[]])[] {
  const { paths } = t.app.http.swagger() as unknown as { readonly paths: Readonly<Record<string, object>> }
  return Object.entries(paths).map(([template, operations]) => {
    const methods = Object.keys(operations).map((method) => method.toUpperCase())
    const path = template.replaceAll(/\{\w+\}/g, () => randomUUID())
    return [path, methods.includes('GET') ? [...methods, 'HEAD'] : methods]
  })
}

describe('every path with every method', () => {
  test('a path refuses with 405 the methods that it does not have, and Allow names those it has', async () => {
    const wrong: string[] = []
    for (const [path, allowed] of documented()) {
      for (const method of known.filter((method) => !allowed.includes(method))) {
        // Not `call`: the document has these replies for no operation.
        const {
          statusCode: status,
          headers,
          body: text,
        } = await t.app.http.inject({ method: method as 'GET', url: path })
        const allow = String(headers.allow).split(', ').sort().join(', ')
        const isRefused = status === 405 && allow === [...allowed].sort().join(', ')
        if (!isRefused || (method !== 'HEAD' && !text.includes('"http.method_not_allowed"'))) {
          wrong.push(`${method} ${path}: ${status} ${allow} ${text}`)
        }
      }
    }
    assert.deepEqual(wrong, [])
  })

  test('HEAD has the status of GET, and no body', async () => {
    const { id } = await t.createRequest()
    const ids = [id, t.admin.id]
    const others: string[] = []
    for (const [path, methods] of documented()) {
      // These would have to begin or finish a sign-in to know how it goes.
      if (!methods.includes('GET') || /sso\/[^/]+\/(?:start|callback)/.test(path)) continue
      for (const filled of [path, ...ids.map((id) => path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, id))]) {
        const head = await t.call('HEAD', filled, { as: t.admin.token })
        const get = await t.call('GET', filled, { as: t.admin.token })
        assert.equal(head.text, '')
        if (head.status !== get.status) others.push(`${filled}: ${head.status}, not ${get.status}`)
      }
    }
    assert.deepEqual(others, [])
  })

  test('HEAD takes nothing: no export, no evidence, no report and no sign-in begins', async () => {
    const { id } = await t.createRequest()
    const events = async () => (await t.sql(`select from events where record ~ '"audit\\.(e|report)'`)).length
    const before = await events()
    for (const path of ['/api/v1/events/export', '/api/v1/events/report', `/api/v1/requests/${id}/evidence`]) {
      const { status } = await t.call('HEAD', path, { as: t.admin.token })
      assert.equal(status, 200, path)
    }
    assert.equal(await events(), before)
  })
})

test('501 for a method that nobody knows, 405 for one that only this service lacks', async () => {
  await t.app.http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = t.app.http.server.address() as { readonly port: number }
  const statusOf = (method: string) =>
    new Promise<string>((resolve, reject) => {
      let reply = ''
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`${method} /api/v1/requests HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
      )
      socket.on('data', (data) => (reply += data))
      socket.on('close', () => resolve(reply))
      socket.on('error', reject)
    })
  assert.match(await statusOf('BREW'), /^HTTP\/1\.1 501 .*"code":"http\.method_unknown"/s)
  assert.match(await statusOf('get'), /^HTTP\/1\.1 501 /)
  assert.match(await statusOf('QUERY'), /^HTTP\/1\.1 405 .*allow: /s)
})
