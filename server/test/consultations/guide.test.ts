import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { formWith } from '../authorization/operations.ts'
import { startTestApp, type TestApp } from '../harness.ts'

const guides = new URL('../../../docs/guide/', import.meta.url)

interface Exchange {
  readonly who: string | undefined
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly expected: { readonly status: number; readonly body?: unknown }
}

const exchange =
  /```http\n(agent|person): (\w+) (\S+)\n((?:[A-Z][\w-]+: .*\n)*)([\s\S]*?)```\s+```(json|text)\n([\s\S]*?)```/g

type Fill = (text: string) => string

/** Each as it reads by then: `fill` is told when its turn has come. */
function exchangesOf(guide: string): readonly ((fill: Fill) => Exchange)[] {
  return [...guide.matchAll(exchange)].map(([, who, method = '', ...texts]) => (fill) => {
    const [path = '', head = '', body = '', form, reply = ''] = texts.map(fill)
    return {
      who,
      method,
      path,
      headers: Object.fromEntries(
        [...head.matchAll(/(.*): (.*)\n/g)].map(([, name = '', value = '']) => [name, value]),
      ),
      body,
      expected: form === 'json' ? JSON.parse(reply) : { status: 200, body: isStream(path) ? eventsOf(reply) : reply },
    }
  })
}

const isStream = (path: string): boolean => path.endsWith('/stream')

/** Server-sent events, with what they hold as JSON. */
function eventsOf(text: string) {
  return [...text.matchAll(/^id: (.*)\nevent: (.*)\ndata: (.*)$/gm)].map(([, id, event, data = '']) => ({
    id,
    event,
    data: JSON.parse(data),
  }))
}

/** A form with one file, as curl is told it, and below that what the file says; or JSON. */
function bodyOf(body: string): unknown {
  const [, name = '', type = '', content] = /^file=@(\S+);type=(\S+)\n([\s\S]*)$/.exec(body) ?? []
  return content === undefined ? JSON.parse(body) : formWith(content, { name, type })
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

const least: Readonly<Record<string, number>> = {
  'batches-files-waiting.md': 19,
  'inbox.md': 16,
  'questions.md': 18,
  'revising.md': 17,
}

for (const name of readdirSync(guides)) {
  test(`every exchange of ${name} goes as it says`, async () => {
    const guide = readFileSync(new URL(name, guides), 'utf8')
    const exchanges = exchangesOf(guide)
    assert.equal(exchanges.length, guide.match(/```http/g)?.length ?? 0)
    assert.ok(exchanges.length >= (least[name] ?? 1))
    const tomorrow = new Date(t.clock.now().getTime() + 86_400_000).toISOString()
    let names = { id: '', earlier: '', file: '', tomorrow }
    const fill = (text: string): string =>
      Object.entries(names).reduce((all, [name, value]) => all.replaceAll(`{${name}}`, value), text)
    for (const next of exchanges) {
      const { who, method, path, headers, body, expected } = next(fill)
      const as = who === 'agent' ? t.apiKey : t.reviewer.token
      const reply = await t.call(method, path, { as, headers, ...(body === '' ? {} : { body: bodyOf(body) }) })
      const got = isStream(path) ? eventsOf(reply.text) : (reply.body ?? reply.text)
      const { status } = reply
      const seen = expected.body === undefined ? { status } : { status, body: partOf(got, expected.body) }
      assert.deepEqual(seen, expected, reply.text)
      if (status !== 201) continue
      const made = reply.body.items?.[0].id ?? reply.body.id
      names = path.endsWith('/attachments') ? { ...names, file: made } : { ...names, id: made, earlier: names.id }
    }
  })
}
