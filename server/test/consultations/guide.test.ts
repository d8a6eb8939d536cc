import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'

const guides = new URL('../../../docs/guide/', import.meta.url)

interface Exchange {
  readonly who: string | undefined
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly expected: { readonly status: number; readonly body: unknown }
}

function exchangesOf(guide: string): readonly Exchange[] {
  const found = guide.matchAll(/```http\n(agent|person): (\w+) (\S+)\n([\s\S]*?)```\s+```json\n([\s\S]*?)```/g)
  return [...found].map(([, who, method = '', path = '', body = '', reply = '']) => ({
    who,
    method,
    path,
    body: body === '' ? undefined : JSON.parse(body),
    expected: JSON.parse(reply),
  }))
}

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

/** What of `value` is named in `shown`; of a list of objects, in each of them. */
function partOf(value: unknown, shown: unknown): unknown {
  if (Array.isArray(shown) && Array.isArray(value) && shown.length === value.length) {
    return shown.map((one, place) => partOf(value[place], one))
  }
  if (typeof shown !== 'object' || shown === null || Array.isArray(shown)) return value
  const members = value as Readonly<Record<string, unknown>>
  return Object.fromEntries(Object.entries(shown).map(([name, part]) => [name, partOf(members?.[name], part)]))
}

const least: Readonly<Record<string, number>> = { 'questions.md': 18, 'revising.md': 17 }

for (const name of readdirSync(guides)) {
  test(`every exchange of ${name} goes as it says`, async () => {
    const guide = readFileSync(new URL(name, guides), 'utf8')
    const exchanges = exchangesOf(guide)
    assert.equal(exchanges.length, guide.match(/```http/g)?.length ?? 0)
    assert.ok(exchanges.length >= (least[name] ?? 1))
    let id = ''
    for (const { who, method, path, body, expected } of exchanges) {
      const as = who === 'agent' ? t.apiKey : t.reviewer.token
      const reply = await t.call(method, path.replace('{id}', id), { as, ...(body === undefined ? {} : { body }) })
      if (reply.status === 201) id = reply.body.id
      assert.deepEqual({ status: reply.status, body: partOf(reply.body, expected.body) }, expected, reply.text)
    }
  })
}
