import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../src/identity/people/passwords.ts'
import { newId } from '../../src/platform/ids.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { allowed, type Caller, callers } from './expectations.ts'
import { addTenant, type CredentialState, credential, type Tenant } from './tenant.ts'
import { openDbWithoutOwnFilter } from './without-own-filter.ts'

interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  /** The example of the body, when it takes one. */
  readonly body: unknown
}

function operationsOf(t: TestApp): readonly Operation[] {
  const { paths } = t.app.http.swagger() as unknown as {
    paths: Record<
      string,
      Record<
        string,
        { operationId: string; requestBody?: { content: Record<string, { schema: { examples?: unknown[] } }> } }
      >
    >
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, requestBody }]) => {
      const content = requestBody?.content['application/json']
      const example = (content as { example?: unknown } | undefined)?.example ?? content?.schema.examples?.[0]
      return { id: operationId, method: method.toUpperCase(), path, body: example }
    }),
  )
}

/** The call with every id of `target`, in the path and in the body. */
function callOn(target: Tenant, { method, path, body }: Operation) {
  const filled = path.replace(/\{(\w+)\}/g, (_whole, name: string) => {
    const collection =
      path
        .slice(0, path.indexOf(`/{${name}}`))
        .split('/')
        .at(-1) ?? ''
    return target.ids[name === 'id' ? (collection === 'sessions' ? 'session_id' : collection) : name] ?? newId()
  })
  const replaced =
    body === undefined || body === null || typeof body !== 'object'
      ? body
      : Object.fromEntries(Object.entries(body).map(([name, value]) => [name, target.ids[name] ?? value]))
  const namesTarget = filled !== path || JSON.stringify(replaced) !== JSON.stringify(body)
  return { method, path: filled, body: replaced, namesTarget }
}

/** Every row of an organization, in all tables that have such a column, as text. */
async function rowsOf(t: TestApp, organizationId: string): Promise<string> {
  const tables = await t.sql(
    `select table_name from information_schema.columns where column_name = 'organization_id' and table_schema = 'public'
     and table_name not like 'audit%' order by 1`,
  )
  const rows = await Promise.all(
    tables.map(async ({ table_name: table }) => {
      const found = await t.sql(`select x::text as row from ${table} x where organization_id = $1 order by 1`, [
        organizationId,
      ])
      return `${table}\n${found.map(({ row }) => row).join('\n')}`
    }),
  )
  return rows.join('\n')
}

/** What the live, allowed caller may be told about an own thing besides success: the state of things, not a lack of rights. */
const otherwiseRefused = new Set([
  'auth.step_up_required',
  'auth.step_up_method',
  'password.wrong',
  'user.own',
  'user.is_owner',
  'user.not_owner',
  'organization.not_owner',
  'team.not_lead',
  'invitation.not_valid',
  'auth.cross_site',
  'auth.sso_required',
])

for (const ownFilter of [true, false]) {
  describe(`every operation, caller, target and credential, ${ownFilter ? 'as it is' : "with the service's own filter off"}`, () => {
    let t: TestApp
    let shared: Tenant
    let other: Tenant
    let before_: string
    let cells = 0
    const changed: (() => number)[] = []
    before(async () => {
      t = await startTestApp({
        passwords: createPasswords({ cost: 4 }),
        environment: { RATE_LIMIT_ADDRESS: 'off' },
        ...(ownFilter
          ? {}
          : {
              openDb: (options) => {
                const db = openDbWithoutOwnFilter(options)
                changed.push(db.changed)
                return db
              },
            }),
      })
      shared = await addTenant(t)
      other = await addTenant(t)
      before_ = await rowsOf(t, other.organizationId)
    })
    after(() => t.stop())

    const send = async (operation: Operation, target: Tenant, as: string): Promise<Reply> => {
      cells += 1
      const { method, path, body } = callOn(target, operation)
      return t.call(method, path, { as, ...(body === undefined ? {} : { body }) })
    }

    /** Nothing of the other organization, in the body or in a header. */
    const assertNoLeak = (where: string, reply: Reply): void => {
      const told = reply.text + JSON.stringify(reply.headers)
      assert.ok(!told.includes(other.mark), `${where} leaks: ${told}`)
    }

    test('each operation of openapi.json has an expectation, and each expectation an operation', () => {
      const ids = operationsOf(t).map(({ id }) => id)
      assert.deepEqual(ids.filter((id) => !(id in allowed)).sort(), [], 'without expectation')
      assert.deepEqual(
        Object.keys(allowed)
          .filter((id) => !ids.includes(id))
          .sort(),
        [],
        'without operation',
      )
    })

    test('without rights: 403, whoever the target belongs to', async () => {
      for (const operation of operationsOf(t)) {
        const may = allowed[operation.id]
        if (may === undefined || may === 'public') continue
        for (const caller of callers.filter((one) => !may.includes(one))) {
          for (const target of [shared, other]) {
            const reply = await send(operation, target, await credential(t, shared, caller, 'live'))
            const where = `${operation.id} by ${caller} on ${target === other ? 'other' : 'own'}`
            assert.deepEqual([reply.status, reply.body?.code], [403, 'auth.forbidden'], `${where}: ${reply.text}`)
            assertNoLeak(where, reply)
          }
        }
      }
    })

    test('expired, revoked and deactivated or stopped: 401, or 403 that names the stop', async () => {
      const tokens = new Map<string, string>()
      for (const state of ['expired', 'revoked', 'paused'] as const satisfies readonly CredentialState[]) {
        for (const caller of callers) tokens.set(`${caller} ${state}`, await credential(t, shared, caller, state))
      }
      for (const operation of operationsOf(t)) {
        if (allowed[operation.id] === 'public') continue
        for (const [who, token] of tokens) {
          for (const target of [shared, other]) {
            const reply = await send(operation, target, token)
            const where = `${operation.id} by ${who} on ${target === other ? 'other' : 'own'}`
            const expected = who === 'agent paused' ? 403 : 401
            assert.equal(reply.status, expected, `${where}: ${reply.text}`)
            assertNoLeak(where, reply)
          }
        }
      }
    })

    test('in an organization that is being deleted, and with none: nobody but its owner gets in', async () => {
      const gone = await addTenant(t)
      const tokens = new Map<Caller, string>()
      for (const caller of callers) tokens.set(caller, await credential(t, gone, caller, 'live'))
      await t.sql(`update organizations set delete_after = '2900-01-01' where organization_id = $1`, [
        gone.organizationId,
      ])
      // Whatever was remembered of these credentials while they were made is forgotten.
      for (const { id } of [...Object.values(gone.people), gone.key]) t.app.identity.authenticator.forget(id)
      for (const operation of operationsOf(t)) {
        if (allowed[operation.id] === 'public') continue
        for (const [caller, token] of tokens) {
          if (caller === 'owner') continue
          const reply = await send(operation, other, token)
          assert.ok([401, 403].includes(reply.status), `${operation.id} by ${caller}: ${reply.status} ${reply.text}`)
          assertNoLeak(`${operation.id} by ${caller}`, reply)
        }
      }
    })

    test("with rights, on another organization's things: as if they were not there, and nothing of them is told", async () => {
      for (const operation of operationsOf(t)) {
        const may = allowed[operation.id]
        if (may === undefined || may === 'public') continue
        for (const caller of may) {
          const own = await addTenant(t)
          const { namesTarget } = callOn(other, operation)
          const reply = await send(operation, other, await credential(t, own, caller, 'live'))
          const where = `${operation.id} by ${caller} on other`
          assertNoLeak(where, reply)
          assert.notEqual(reply.status, 401, `${where}: ${reply.text}`)
          assert.ok(reply.status < 500, `${where}: ${reply.status} ${reply.text}`)
          if (namesTarget && !harmlessNames.has(operation.id)) {
            assert.ok(reply.status >= 400, `${where}: ${reply.status} ${reply.text}`)
          }
        }
      }
      assert.equal(await rowsOf(t, other.organizationId), before_, 'nothing of the other organization has changed')
    })

    test('with rights, on own things: not refused for want of them', async () => {
      for (const operation of operationsOf(t)) {
        const may = allowed[operation.id]
        if (may === undefined || may === 'public') continue
        for (const caller of may) {
          const own = await addTenant(t)
          const reply = await send(operation, own, await credential(t, own, caller, 'live'))
          const where = `${operation.id} by ${caller} on own`
          assertNoLeak(where, reply)
          // Nobody listens where the fixture's identity provider is said to be.
          const away = reply.body?.code === 'sso.provider_unavailable'
          assert.ok((reply.status < 500 || away) && reply.status !== 401, `${where}: ${reply.status} ${reply.text}`)
          if (reply.status === 403) assert.ok(otherwiseRefused.has(reply.body.code), `${where}: ${reply.text}`)
        }
      }
    })

    test(`those were at least ${1_500} cells${ownFilter ? '' : ', and the filter was off'}`, () => {
      assert.ok(cells >= 1_500, `${cells} cells`)
      process.stdout.write(`# ${cells} cells${ownFilter ? '' : ', own filter off'}\n`)
      const statements = changed.reduce((sum, one) => sum + one(), 0)
      assert.ok(ownFilter || statements >= 30, `${statements} statements were changed`)
    })
  })
}

/** Operations whose body or path names something by an id that is not looked up, so that success tells nothing. */
const harmlessNames = new Set<string>(['eraseFromAudit'])
