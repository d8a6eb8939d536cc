import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { newId } from '../../src/platform/ids.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { resolvedDocument } from './resolved-document.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' } })
  // The owner may do everything that a person may.
  await t.sql(`update users set role = 'owner' where id = $1`, [t.admin.id])
})
after(() => t.stop())

interface Schema {
  readonly $ref?: string
  readonly format?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly anyOf?: readonly Schema[]
}

/** Members that lists and headings show in one line, by how such members are called. */
const isName = /^(name|title|label|display_?name)$|_(name|title|label)$/
/** Quoted within a sentence. */
const isQuoted = (path: string, member: string) => /\/(pause|stop|resume)$/.test(path) && member === 'reason'

/** Each operation's members of that kind, with whether they are made by the rule. */
function names(): readonly {
  readonly method: string
  readonly path: string
  readonly member: string
  fits: boolean
}[] {
  const { paths } = resolvedDocument(t) as {
    readonly paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) => {
      const body = Object.values(requestBody?.content ?? {})[0]?.schema ?? {}
      return Object.entries(body.properties ?? {})
        .filter(([member]) => isName.test(member) || isQuoted(path, member))
        .map(([member, schema]) => {
          return {
            method,
            path,
            member,
            fits: (schema.anyOf ?? [schema]).some(({ format }) => format === 'single-line'),
          }
        })
    }),
  )
}

test('every member that is a name in one line has the one rule for them', () => {
  const found = names()
  assert.ok(found.length >= 21, JSON.stringify(found))
  assert.deepEqual(
    found.filter(({ fits }) => !fits),
    [],
  )
})

test('422 in plain words, whatever the operation, for blanks, line ends, control characters and direction marks', async () => {
  for (const { method, path, member } of names()) {
    const asks = ['/api/v1/requests', '/api/v1/requests/{id}/revisions']
    const as = asks.includes(path) ? t.apiKey : t.admin.token
    const url = path.replaceAll(/\{[^}]+\}/g, () => newId())
    for (const name of [' ', ' x', 'x\t', 'one\ntwo', '\u001b[31m', 'exe.\u202egpj', '\u3164', 'a\u2028b']) {
      const reply = await t.call(method.toUpperCase(), url, { as, body: { [member]: name } })
      const told = reply.body.errors?.find((error: { path: string }) => error.path === member)
      const what = `${method} ${path} ${JSON.stringify(name)}: ${reply.text}`
      assert.equal(reply.status, 422, what)
      assert.match(told?.message ?? '', /^must be one line with something to see/, what)
    }
  }
})
