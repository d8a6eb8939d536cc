import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../harness.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly {
    readonly in: string
    readonly name: string
    readonly required?: boolean
    readonly schema: object
  }[]
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: object; readonly examples?: object }>>
  }
  readonly responses: Readonly<Record<string, Response>>
}

interface Response {
  readonly $ref?: string
  readonly description: string
  readonly content?: Readonly<
    Record<
      string,
      {
        readonly schema: object
        readonly example?: unknown
        readonly examples?: Readonly<
          Record<string, { readonly value: { readonly code: string; readonly status: number } }>
        >
      }
    >
  >
}

interface Document {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string; readonly license: object }
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: object
    readonly responses: Readonly<Record<string, Response>>
    readonly securitySchemes: Readonly<Record<string, { readonly type: string }>>
  }
}

const read = async (): Promise<Document> => (await t.call('GET', '/openapi.json')).body
const operationsOf = (document: Document) =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation, where: `${method} ${path}` })),
  )

describe('/openapi.json', () => {
  test('200 with OpenAPI 3.1, the same at each of its addresses', async () => {
    const first = await t.call('GET', '/openapi.json')
    assert.equal(first.status, 200)
    assert.match(String(first.headers['content-type']), /^application\/json/)
    assert.match(first.body.openapi, /^3\.1\.\d+$/)
    for (const path of ['/openapi.json/', '/api/v1/openapi.json', '/docs/json']) {
      assert.deepEqual((await t.call('GET', path)).body, first.body, path)
    }
  })

  test('every part of the wire contract is in it', async () => {
    const { paths } = await read()
    for (const [method, path] of [
      ['post', '/api/v1/auth/register'],
      ['post', '/api/v1/auth/login'],
      ['get', '/api/v1/auth/me'],
      ['post', '/api/v1/invitations'],
      ['post', '/api/v1/requests'],
      ['get', '/api/v1/requests'],
      ['get', '/api/v1/requests/{id}'],
      ['post', '/api/v1/requests/{id}/respond'],
      ['post', '/api/v1/api-keys'],
      ['get', '/api/v1/api-keys'],
      ['get', '/api/v1/api-keys/{id}'],
      ['patch', '/api/v1/api-keys/{id}'],
      ['get', '/api/v1/health'],
    ] as const) {
      assert.ok(paths[path]?.[method] !== undefined, `${method} ${path}`)
    }
  })

  test('every reference resolves within the document', async () => {
    const document = await read()
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map((match) => match[1] ?? '')
    assert.ok(references.length > 20)
    for (const reference of new Set(references)) {
      assert.match(reference, /^#\//)
      const target = reference
        .slice(2)
        .split('/')
        .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], document)
      assert.ok(target !== undefined, reference)
    }
  })

  test('every operation has a name of its own, a summary and a tag that is described', async () => {
    const document = await read()
    const names = new Set<string>()
    for (const { operation, where } of operationsOf(document)) {
      assert.match(operation.operationId ?? '', /^[a-z][A-Za-z]+$/, where)
      assert.ok(!names.has(operation.operationId ?? ''), `${where}: ${operation.operationId} is taken`)
      names.add(operation.operationId ?? '')
      assert.ok((operation.summary ?? '').length > 3, where)
      for (const tag of operation.tags ?? [])
        assert.ok(
          document.tags.some(({ name }) => name === tag),
          `${where}: ${tag}`,
        )
      assert.ok((operation.tags ?? []).length > 0, where)
    }
  })

  test('every parameter of a path is declared, required and has a schema', async () => {
    for (const { path, operation, where } of operationsOf(await read())) {
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1])
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
      assert.deepEqual(
        declared.map(({ name }) => name),
        inPath,
        where,
      )
      for (const parameter of declared) assert.equal(parameter.required, true, where)
      for (const parameter of operation.parameters ?? []) assert.equal(typeof parameter.schema, 'object', where)
    }
  })

  test('every body and every success has an example that fits its schema', async () => {
    for (const { operation, where } of operationsOf(await read())) {
      const bodies = Object.values(operation.requestBody?.content ?? {})
      for (const body of bodies) {
        assert.ok(Object.keys(body.schema).length > 0, where)
        assert.match(JSON.stringify(body), /"examples?":/, `${where} has no example of its body`)
      }
      // 303: for browsers, which go on to another address (single sign-on).
      const successes = Object.entries(operation.responses).filter(([status]) => /^2|^303$/.test(status))
      assert.ok(successes.length > 0, where)
      for (const [status, response] of successes) {
        if (status === '204' || status === '303') {
          assert.equal(response.content, undefined, where)
          continue
        }
        const [type = '', content] = Object.entries(response.content ?? {})[0] ?? []
        // Streams and pages are what their media type says.
        if (type !== 'application/json') {
          assert.ok(content?.schema !== undefined, `${where} ${status} has no schema`)
          continue
        }
        const json = content
        assert.ok(json?.schema !== undefined && json.example !== undefined, `${where} ${status} has no example`)
      }
    }
  })

  test('every refusal an operation can give is listed, as problem+json with an example', async () => {
    const document = await read()
    const { components } = document
    for (const { operation, where, path, method } of operationsOf(document)) {
      const expected = ['400', '422', '429', '500', '503']
      if (operation.security !== undefined) expected.push('401', '403')
      if (operation.requestBody !== undefined) expected.push('413', '415')
      if (path.includes('{')) expected.push('404')
      for (const status of expected) {
        const listed = operation.responses[status]
        const response =
          listed?.$ref === undefined ? listed : components.responses[listed.$ref.replace('#/components/responses/', '')]
        assert.ok(response !== undefined, `${where} does not list ${status}`)
        if (status === '503' && /(health|readyz)$/.test(path)) continue
        const problem = response.content?.['application/problem+json']
        assert.deepEqual(problem?.schema, { $ref: '#/components/schemas/Problem' }, `${where} ${status}`)
        const examples = Object.entries(problem?.examples ?? {})
        assert.ok(examples.length > 0, `${where} ${status} has no example`)
        for (const [code, { value }] of examples) {
          assert.equal(value.code, code, `${where} ${status}`)
          assert.equal(value.status, Number(status), `${where} ${status}`)
        }
      }
      assert.ok(['get', 'post', 'put', 'patch', 'delete'].includes(method), where)
    }
  })

  test('operations that need credentials declare both kinds, and really return 401', async () => {
    const document = await read()
    assert.deepEqual(Object.keys(document.components.securitySchemes).sort(), ['bearer', 'person'])
    for (const { operation, where, path, method } of operationsOf(document)) {
      // Signing out works with and without a credential.
      if (operation.security?.some((scheme) => Object.keys(scheme).length === 0) === true) continue
      const reply = await t.call(method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, t.admin.id))
      assert.equal(reply.status === 401, operation.security !== undefined, `${where} answered ${reply.status}`)
    }
  })
})

/** Addresses that a page or a hand-written script makes a browser load. */
const loadedBy = (source: string): readonly string[] =>
  [...source.matchAll(/(?:(?:src|href)\s*=|import[^'"]* from)\s*["']([^"']+)["']/g)].map((match) => match[1] ?? '')

describe('/docs and /redoc', () => {
  for (const page of ['/docs', '/docs/', '/redoc', '/redoc/']) {
    test(`200 ${page}, and everything it loads comes from this service`, async () => {
      const reply = await t.call('GET', page)
      assert.equal(reply.status, 200)
      assert.match(String(reply.headers['content-type']), /^text\/html; charset=utf-8$/)
      const assets = [...loadedBy(reply.text)]
      for (const asset of assets) {
        if (asset.startsWith('data:')) continue
        const url = new URL(asset, `http://service.test${page}`)
        assert.equal(url.host, 'service.test', asset)
        const loaded = await t.call('GET', url.pathname)
        assert.equal(loaded.status, 200, asset)
        const type = asset.endsWith('.css') ? /^text\/css/ : asset.endsWith('.png') ? /^image\/png/ : /javascript/
        assert.match(String(loaded.headers['content-type']), type, asset)
        assert.ok(loaded.text.length > 30, asset)
        // The start scripts import; the large bundles import nothing.
        if (asset.endsWith('.js') && loaded.text.length < 10_000) assets.push(...loadedBy(loaded.text))
      }
      assert.ok(assets.length >= 2, `${assets}`)
    })

    test(`${page} allows no other source, and works over plain HTTP`, async () => {
      const policy = String((await t.call('GET', page)).headers['content-security-policy'])
      assert.match(policy, /default-src 'none'/)
      assert.match(policy, /script-src 'self'(;|$)/)
      assert.match(policy, /connect-src 'self'/)
      assert.doesNotMatch(policy, /https?:|\*|unsafe-eval|upgrade-insecure-requests|[a-z]\.[a-z]/)
    })
  }

  test('the start scripts name the document of this service and no validator elsewhere', async () => {
    const swagger = (await t.call('GET', '/docs/static/swagger-initializer.js')).text
    assert.match(swagger, /validatorUrl: null/)
    assert.match(swagger, /'\.\/json'/)
    const redoc = (await t.call('GET', '/redoc/start.js')).text
    assert.match(redoc, /'\/openapi\.json'/)
    for (const script of [swagger, redoc]) {
      const addresses = script.match(/https?:\/\/[^\s"')]+/g) ?? []
      assert.deepEqual(
        addresses.filter((address) => !address.startsWith('https://stackoverflow.com/')),
        [],
      )
    }
  })

  test('ReDoc loads its logo and icons from nowhere else', async () => {
    const bundle = await t.app.http.inject({ url: '/redoc/redoc.js' })
    assert.doesNotMatch(bundle.body, /https:\/\/[\w.]*(?:cdn|redocly|redoc)[\w.]*\/[^`'"]*\.(?:svg|png|js|css)/)
    assert.doesNotMatch(bundle.body, /https:\/\/cdn\./)
  })

  test('Authorize signs in at an existing address, with both schemes', async () => {
    const { components } = await read()
    const person = components.securitySchemes.person as unknown as { flows: { password: { tokenUrl: string } } }
    const reply = await t.call('POST', person.flows.password.tokenUrl, {
      payload: 'grant_type=password&username=reviewer%40example.com&password=password123&scope=',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-requested-with': 'XMLHttpRequest' },
    })
    assert.equal(reply.status, 200)
    const bearer = components.securitySchemes.bearer as unknown as { type: string; scheme: string }
    assert.deepEqual([bearer.type, bearer.scheme], ['http', 'bearer'])
  })
})
