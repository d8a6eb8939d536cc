import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
}

/** Clients rely on these forms. */
const older: Readonly<Record<string, string>> = {
  listApiKeys: 'array',
  listRequests: 'items limit matches next_cursor offset total watermark',
}

describe('lists', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp()
  })
  after(() => t.stop())

  test('have one form: items and next_cursor', () => {
    const { paths, components } = t.app.http.swagger() as unknown as {
      readonly paths: Readonly<
        Record<
          string,
          Readonly<
            Record<
              string,
              {
                readonly operationId: string
                readonly responses: Readonly<
                  Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
                >
              }
            >
          >
        >
      >
      readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
    }
    const forms: Record<string, string> = {}
    for (const { get } of Object.values(paths)) {
      const given = get?.responses['200']?.content?.['application/json']?.schema
      const schema = components.schemas[given?.$ref?.split('/').at(-1) ?? ''] ?? given
      const members = Object.keys(schema?.properties ?? {}).sort()
      if (get === undefined || (schema?.type !== 'array' && !members.includes('items'))) continue
      const form = schema?.type === 'array' ? 'array' : members.join(' ')
      if (form !== 'items next_cursor') forms[get.operationId] = form
    }
    assert.deepEqual(forms, older)
  })

  test('a cursor goes on in the list that it was made for, and is refused in any other', async () => {
    for (const title of ['One', 'Two', 'Three']) await t.createRequest({ title })
    const as = t.admin.token
    const list = (path: string) => t.call('GET', `/api/v1${path}`, { as })
    const first = await list('/requests?limit=1&state=pending')
    const { next_cursor: cursor } = first.body
    const same = await list(`/requests?state=pending&limit=2&cursor=${cursor}`)
    assert.equal(same.status, 200, same.text)
    assert.notEqual(same.body.items[0].id, first.body.items[0].id)
    const [request] = first.body.items
    const events = (await list('/events?limit=1&kind=request.created')).body.next_cursor
    for (const path of [
      `/requests?cursor=${cursor}`,
      `/requests?state=responded&cursor=${cursor}`,
      `/requests?state=pending&fields=full&cursor=${cursor}`,
      `/agents?cursor=${cursor}`,
      `/users?cursor=${cursor}`,
      `/events?cursor=${events}`,
      `/events?kind=request.responded&cursor=${events}`,
      `/requests/${request.id}/events?cursor=${events}`,
    ]) {
      const { status, body } = await list(path)
      assert.deepEqual([status, body.errors?.[0].path], [422, 'cursor'], path)
      assert.match(body.detail, /other parameters/)
    }
  })
})
