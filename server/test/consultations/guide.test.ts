import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'

const guide = readFileSync(new URL('../../../docs/guide/questions.md', import.meta.url), 'utf8')
const exchanges = [
  ...guide.matchAll(/```http\n(agent|person): (\w+) (\S+)\n([\s\S]*?)```\s+```json\n([\s\S]*?)```/g),
].map(([, who, method = '', path = '', body = '', reply = '']) => ({
  who,
  method,
  path,
  body: JSON.parse(body),
  expected: JSON.parse(reply) as { readonly status: number; readonly body: unknown },
}))

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

/** What of `value` is named in `shown`. */
function partOf(value: unknown, shown: unknown): unknown {
  if (typeof shown !== 'object' || shown === null || Array.isArray(shown)) return value
  const members = value as Readonly<Record<string, unknown>>
  return Object.fromEntries(Object.entries(shown).map(([name, part]) => [name, partOf(members?.[name], part)]))
}

test('every exchange of the guide goes as it says', async () => {
  assert.equal(exchanges.length, guide.match(/```http/g)?.length)
  assert.ok(exchanges.length >= 18)
  let id = ''
  for (const { who, method, path, body, expected } of exchanges) {
    const as = who === 'agent' ? t.apiKey : t.reviewer.token
    const reply = await t.call(method, path.replace('{id}', id), { as, body })
    if (reply.status === 201) id = reply.body.id
    assert.deepEqual({ status: reply.status, body: partOf(reply.body, expected.body) }, expected, reply.text)
  }
})
