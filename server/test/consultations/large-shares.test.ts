import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { digestOf } from '../../src/consultations/digest.ts'
import { keyScopes } from '../../src/identity/principal.ts'
import type { JsonText } from '../../src/platform/json.ts'
import { largeDigest } from '../../src/platform/large-json.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization } from '../people-and-keys.ts'
import { coreQuestion } from './core-question.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const path = '/api/v1/requests'
const large = 'x'.repeat(1_000_000)
const ask = (as: string, context: object) => t.call('POST', path, { as, body: { title: 'x', context } })
const approve = (as: string, id: string) =>
  t.call('POST', `${path}/${id}/respond`, { as, body: { decision: 'approve' } })

/** More than are remembered. */
function forgetDigests(): void {
  for (let count = 0; count <= 20_000; count += 1) {
    digestOf({ title: `${count}`, description: null, context: '{}' as JsonText, ...coreQuestion })
  }
}

/** Seconds of work for the thread. */
const slow = `{"a":[${'[],'.repeat(1_000_000)}[]]}` as JsonText

test('an act that waits for its digest holds up no other act', async () => {
  const [sibling, elsewhere] = [await addApiKey(t), await addOrganization(t)]
  const ids = await Promise.all(
    [
      ask(t.apiKey, { large }),
      ask(elsewhere.apiKey.raw, { large }),
      ask(sibling.raw, {}),
      ask(elsewhere.apiKey.raw, {}),
    ].map(async (reply) => String((await reply).body.id)),
  )
  forgetDigests()
  let isOver = false
  const hog = largeDigest(slow, ['hog']).then(() => {
    isOver = true
  })
  const [first, second, third, fourth] = ids as [string, string, string, string]
  const waiting = [approve(t.reviewer.token, first), approve(elsewhere.reviewer.token, second)]
  const small = await Promise.all([approve(t.reviewer.token, third), approve(elsewhere.reviewer.token, fourth)])
  // Nothing compares the digest of what is withdrawn.
  const withdrawn = await ask(t.apiKey, {}).then(({ body }) =>
    t.call('POST', `${path}/${body.id}/cancel`, { as: t.apiKey }),
  )
  assert.deepEqual(
    [...small, withdrawn].map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal(isOver, false)
  await hog
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ status }) => status),
    [200, 200],
  )
})

test("one agent's large bodies delay its own: another agent's come after at most one of them", async () => {
  const sibling = await addApiKey(t)
  assert.equal((await ask(sibling.raw, {})).status, 201)
  const order: string[] = []
  const large = Array.from({ length: 150_000 }, () => [])
  // As many as one agent may have under way.
  const many = Array.from({ length: 5 }, async () => {
    assert.equal((await ask(t.apiKey, { large })).status, 201)
    order.push('many')
  })
  const one = ask(sibling.raw, { large }).then(({ status }) => order.push(`one ${status}`))
  await Promise.all([...many, one])
  assert.ok(order.indexOf('one 201') < 3, order.join())
})

test('more large requests than fit into a batch are all read, and all withdrawn', async () => {
  const { raw, organizationId, agentId, id: apiKeyId } = await addApiKey(t)
  const ids: string[] = []
  for (let count = 0; count < 20; count += 1) {
    const { status, body } = await ask(raw, { large })
    assert.equal(status, 201)
    ids.push(body.id)
  }
  // Not by calls, which are refused when their replies come to more than one agent may have under way.
  const principal = { kind: 'agent', organizationId, agentId, apiKeyId, scopes: keyScopes } as const
  const { consultations } = t.app
  const read = await Promise.all(ids.map((id) => consultations.read(principal, id)))
  assert.deepEqual(
    read.map(({ id, context }) => [id, context.length]),
    ids.map((id) => [id, JSON.stringify({ large }).length]),
  )
  const cancelled = await Promise.all(ids.map((id) => consultations.cancel({ principal, httpRequestId: 'x' }, id)))
  assert.deepEqual(new Set(cancelled.map(({ state }) => state)), new Set(['cancelled']))
})
