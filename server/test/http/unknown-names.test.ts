import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { nearestName } from '../../src/platform/nearest-name.ts'
import { allowed } from '../authorization/expectations.ts'
import { type Operation, operationsOf } from '../authorization/operations.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { resolvedDocument } from './resolved-document.ts'

/** What an agent asks with is its own, and what a form or a call takes is not for the service to know. */
function opensOfRequest(at: string): readonly string[] {
  const open = ['context', 'metadata', 'action.args', 'action.args_schema', 'answer.form', 'presentation.hints']
  return open.map((name) => at + name)
}

/** What an operation leaves to its caller, by path; `?` is the query. */
const free: Readonly<Record<string, readonly string[]>> = {
  createRequest: opensOfRequest(''),
  createRequests: opensOfRequest('requests.0.'),
  respond: ['data', 'args'],
  respondMany: ['answers.0.data', 'answers.0.args'],
  // What a person has not finished is for the page that wrote it.
  saveDraft: ['answer'],
  reportOutcome: ['data'],
  reviseRequest: opensOfRequest(''),
  // What browsers put into a credential, and identity providers into the address of a browser, is theirs to extend.
  addPasskey: ['credential', 'credential.response'],
  stepUp: ['assertion', 'assertion.response'],
  secondFactor: ['assertion', 'assertion.response'],
  passkeySignIn: ['assertion', 'assertion.response'],
  finishSso: ['?'],
}

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
}

interface Found {
  readonly path: string
  readonly isOpen: boolean
  readonly isMap: boolean
}

function objectsIn(schema: Schema, path = ''): readonly Found[] {
  const inside = [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, member]) =>
      objectsIn(member, path === '' ? name : `${path}.${name}`),
    ),
    ...(schema.anyOf ?? []).flatMap((one) => objectsIn(one, path)),
    ...(schema.items === undefined ? [] : objectsIn(schema.items, `${path}.0`)),
  ]
  if (schema.type !== 'object') return inside
  const { additionalProperties: others } = schema
  return [{ path, isOpen: others === undefined || others === true, isMap: typeof others === 'object' }, ...inside]
}

/** `body` with the member, and whatever is missing on the way to it. */
function put(body: unknown, [step, ...steps]: readonly string[], value: unknown): unknown {
  if (step === undefined) return value
  if (Array.isArray(body)) return body.with(Number(step), put(body[Number(step)], steps, value))
  if (body === undefined && /^\d+$/.test(step)) return [put(undefined, steps, value)]
  const given = typeof body === 'object' && body !== null ? body : {}
  return { ...given, [step]: put((given as Record<string, unknown>)[step], steps, value) }
}

describe('names that are not known', () => {
  let t: TestApp
  let operations: readonly Operation[]
  before(async () => {
    t = await startTestApp()
    await t.sql(`update users set role = 'owner' where id = $1`, [t.admin.id])
    operations = operationsOf(t, {})
  })
  after(() => t.stop())

  const tokenOf = ({ id }: Operation): string | undefined => {
    const may = allowed[id]
    if (may === undefined || may === 'public') return undefined
    return may.includes('owner') ? t.admin.token : t.apiKey
  }

  async function send(operation: Operation, query: string, body?: unknown): Promise<Reply> {
    const as = tokenOf(operation)
    const path = operation.path.replaceAll(/\{\w+\}/g, () => randomUUID()) + query
    return t.call(operation.method, path, {
      ...(as === undefined ? {} : { as }),
      ...(body === undefined ? {} : { body }),
    })
  }

  function refusesName(reply: Reply, path: string, operation: Operation): string[] {
    const named = (reply.body?.errors ?? []) as readonly { readonly path: string; readonly message: string }[]
    const isNamed = named.some(
      (error) => error.path === path && /^is not (known|a possible name) here/.test(error.message),
    )
    return reply.status === 422 && isNamed
      ? []
      : [`${operation.id}: ${path}: ${reply.status} ${reply.text.slice(0, 300)}`]
  }

  const schemaOf = ({ path, method }: Operation): Schema | undefined => {
    const { paths } = resolvedDocument(t) as {
      readonly paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>
    }
    return Object.values(paths[path]?.[method.toLowerCase()]?.requestBody?.content ?? {})[0]?.schema
  }

  /** Their parts are looked at one by one, as they arrive: server/test/attachments. */
  const forms = new Set(['addAttachment'])

  test('a parameter of the query is refused by every operation', async () => {
    const taken: string[] = []
    for (const operation of operations) {
      if (free[operation.id]?.includes('?')) continue
      taken.push(...refusesName(await send(operation, '?limmit=5', operation.body), 'limmit', operation))
    }
    assert.deepEqual(taken, [])
  })

  test('a member of the body is refused by every operation, whatever it is nested in', async () => {
    const taken: string[] = []
    const open: Record<string, string[]> = {}
    for (const operation of operations.filter(({ id, method }) => method !== 'GET' && !forms.has(id))) {
      const schema = schemaOf(operation) ?? { type: 'object', additionalProperties: false }
      for (const { path, isOpen, isMap } of objectsIn(schema)) {
        if (isOpen) {
          open[operation.id] = [...(open[operation.id] ?? []), path]
          continue
        }
        const steps = [...(path === '' ? [] : path.split('.')), isMap ? '' : 'unknown_name']
        const reply = await send(operation, '', put(operation.body, steps, 1))
        taken.push(...refusesName(reply, steps.join('.'), operation))
      }
    }
    assert.deepEqual(taken, [])
    assert.deepEqual({ ...open, finishSso: ['?'] }, free)
  })

  test('an operation without a body takes none, or an empty one', async () => {
    const { id } = await t.createRequest()
    const cancel = (body: unknown) => t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey, body })
    for (const body of [[], [1], 'x', 1, { reason: 'x' }]) assert.equal((await cancel(body)).status, 422)
    assert.equal((await cancel({})).status, 200)
  })

  const slips: readonly (readonly [string, string, object, string])[] = [
    [
      'POST',
      `/requests/${randomUUID()}/redeem`,
      { diggest: '0'.repeat(64) },
      'diggest is not known here; did you mean digest?',
    ],
    [
      'POST',
      '/requests',
      { titel: 'x', context: {} },
      'titel is not known here; did you mean title? (and 1 more: see errors).',
    ],
    [
      'POST',
      '/requests',
      { title: 'x', context: {}, timeout: 5 },
      'timeout is not known here; did you mean timeout_minutes?',
    ],
    ['POST', '/requests', { title: 'x', context: {}, callback_url: 'https://x' }, 'callback_url is not known here.'],
    ['GET', '/requests?limt=5', {}, 'limt is not known here; did you mean limit?'],
    ['GET', '/requests?stat=pending', {}, 'stat is not known here; did you mean state?'],
    ['GET', '/requests?search=x', {}, 'search is not known here.'],
  ]
  for (const [method, path, body, detail] of slips) {
    test(`${method} ${path} ${JSON.stringify(body)}: ${detail}`, async () => {
      const sent = method === 'GET' ? {} : { body }
      const reply = await t.call(method, `/api/v1${path}`, { as: t.apiKey, ...sent })
      assert.deepEqual([reply.status, reply.body.code, reply.body.detail], [422, 'request.invalid', detail])
    })
  }

  test('a slip in an answer or in the terms of a key does not weaken it', async () => {
    const { id } = await t.createRequest()
    const answer = { decision: 'approve', coment: 'only vol-2', revison: 9 }
    const respond = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body: answer })
    assert.deepEqual(
      respond.body.errors.map(({ message }: { message: string }) => message),
      ['is not known here; did you mean comment?', 'is not known here; did you mean revision?'],
    )
    const terms = {
      name: 'k',
      scope: ['requests:read'],
      allowed_network: ['10.0.0.0/8'],
      expires: '2026-12-31T00:00:00Z',
    }
    const key = await t.call('POST', '/api/v1/api-keys', { as: t.admin.token, body: terms })
    assert.deepEqual(
      key.body.errors.map(({ message }: { message: string }) => message.split('mean ')[1]),
      ['scopes?', 'allowed_networks?', 'expires_at?'],
    )
    const mail = { mail: 'a@b.example' }
    const invite = await t.call('POST', '/api/v1/invitations', { as: t.admin.token, body: mail })
    assert.equal(invite.body.detail, 'mail is not known here; did you mean email?')
  })

  test('of very many, and of very long ones, the first are named, shortened', async () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`unknown_${at}`, at]))
    const reply = await t.call('POST', '/api/v1/requests', {
      as: t.apiKey,
      body: { title: 'x', context: {}, ['y'.repeat(100_000)]: 1, ...many },
    })
    assert.equal(reply.body.errors.length, 20)
    assert.ok(reply.text.length < 5_000)
  })

  test('what existing clients are known to send is ignored', async () => {
    const open = await startTestApp({ environment: { REGISTRATION: 'open' } })
    try {
      const person = { email: 'eve@example.com', password: 'correct horse' }
      const registered = await open.call('POST', '/api/v1/auth/register', { body: { ...person, role: 'admin' } })
      assert.deepEqual([registered.status, registered.body.role], [201, 'reviewer'])
      const form = new URLSearchParams({
        grant_type: 'password',
        username: person.email,
        password: person.password,
        scope: '',
        client_id: '',
        client_secret: '',
      })
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const signedIn = await open.call('POST', '/api/v1/auth/login', { payload: form.toString(), headers })
      assert.equal(signedIn.status, 200, signedIn.text)
    } finally {
      await open.stop()
    }
  })

  test('cursor goes with no offset', async () => {
    await t.createRequest()
    const list = (query: string) => t.call('GET', `/api/v1/requests?${query}`, { as: t.apiKey })
    const { next_cursor: cursor } = (await list('limit=1')).body
    const both = await list(`limit=1&cursor=${cursor}&offset=1`)
    assert.deepEqual([both.status, both.body.errors[0].path], [422, 'offset'])
    // Generated clients send the default.
    assert.equal((await list(`limit=1&cursor=${cursor}&offset=0`)).status, 200)
  })
})

test('the nearest name is named only when it is near', () => {
  const known = ['title', 'callback_webhook', 'callback_secret', 'timeout_minutes', 'metadata']
  const told = ['titel', 'Title', 'callbackSecret', 'timeout', 'timeout_minute', 'metdata', 'meta', 'sort', 'x', '']
  assert.deepEqual(
    told.map((name) => nearestName(name, known)),
    [
      'title',
      'title',
      'callback_secret',
      'timeout_minutes',
      'timeout_minutes',
      'metadata',
      'metadata',
      null,
      null,
      null,
    ],
  )
  assert.equal(nearestName('y'.repeat(1_000_000), known), null)
})
