import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import type { App } from '../../src/app.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { listening } from '../http/listening.ts'
import { addApiKey, addPerson } from '../people-and-keys.ts'
import { startOther } from './two-processes.ts'

const requests = '/api/v1/requests'
let t: TestApp
let other: App
let port: number
before(async () => {
  t = await startTestApp()
  // What happens in another process reaches this one only when it looks the credential up again.
  other = await startOther(t)
  port = await listening(t.app.http)
})
after(async () => {
  await other.stop()
  await t.stop()
})

/** Begins a call with a credential that this process has never seen; the function sends the rest and returns the status. */
async function begin(path: string, token: string, body: object): Promise<() => Promise<string>> {
  const text = JSON.stringify(body)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n` +
      `Expect: 100-continue\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n`,
  )
  await once(socket, 'readable')
  // Shares the look-up of the call, which has its right when this has its reply.
  assert.equal((await t.call('GET', requests, { as: token })).status, 200)
  return async () => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.write(text)
    if (!socket.closed) await once(socket, 'close')
    return /HTTP\/1\.1 ([2-5]\d\d)/.exec(Buffer.concat(chunks).toString())?.[1] ?? 'none'
  }
}

async function elsewhere(method: 'POST' | 'PATCH', path: string, body: object): Promise<void> {
  const headers = { authorization: `Bearer ${t.admin.token}` }
  const reply = await other.http.inject({ method, url: `/api/v1${path}`, headers, payload: body })
  assert.ok(reply.statusCode < 300, reply.body)
}

async function approvedBy(key: string): Promise<string> {
  const headers = { authorization: `Bearer ${key}` }
  const asked = await other.http.inject({
    method: 'POST',
    url: requests,
    headers,
    payload: { title: 'x', context: {} },
  })
  const { id } = asked.json() as { id: string }
  await elsewhere('POST', `/requests/${id}/respond`, { decision: 'approve' })
  return id
}

for (const [how, revoke, status] of [
  ['key is revoked', ({ id }) => elsewhere('PATCH', `/api-keys/${id}`, { is_active: false }), 401],
  ['work is stopped', ({ agentId }) => elsewhere('POST', `/agents/${agentId}/stop`, { reason: 'Stolen.' }), 403],
] as const satisfies readonly (readonly [
  string,
  (key: Awaited<ReturnType<typeof addApiKey>>) => Promise<void>,
  number,
])[]) {
  test(`when its ${how} while it sends a body, an agent can neither ask nor use an approval with it`, async () => {
    const key = await addApiKey(t)
    const id = await approvedBy(key.raw)
    const finish = await Promise.all([
      begin(`${requests}/${id}/redeem`, key.raw, {}),
      begin(requests, key.raw, { title: 'x', context: {} }),
    ])
    await revoke(key)
    await eventually(
      `the ${how} here too`,
      async () => (await t.call('GET', requests, { as: key.raw })).status === status,
    )
    assert.deepEqual(await Promise.all(finish.map((send) => send())), [`${status}`, `${status}`])
    const [row] = await t.sql('select redeemed_at from consultation_requests where id = $1', [id])
    assert.deepEqual(row, { redeemed_at: null })
  })
}

for (const [how, revoke, status] of [
  ['session ends', (id) => t.sql('update sessions set revoked_at = now() where user_id = $1', [id]), 401],
  ['role is lowered', (id) => t.sql(`update users set role = 'auditor' where id = $1`, [id]), 403],
] as const satisfies readonly (readonly [string, (userId: string) => Promise<unknown>, number])[]) {
  test(`when their ${how} while they send a body, a person cannot decide with it`, async () => {
    const person = await addPerson(t)
    const { id } = await t.createRequest()
    const finish = await begin(`${requests}/${id}/respond`, person.token, { decision: 'approve' })
    await revoke(person.id)
    const answer = { as: person.token, body: { decision: 'approve' } }
    const unknown = `${requests}/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a58/respond`
    await eventually(`the ${how} here too`, async () => (await t.call('POST', unknown, answer)).status === status)
    assert.equal(await finish(), `${status}`)
    assert.equal((await t.call('GET', `${requests}/${id}`, { as: t.reviewer.token })).body.state, 'pending')
  })
}
