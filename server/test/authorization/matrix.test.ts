import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../src/identity/accounts/passwords.ts'
import { newId } from '../../src/platform/ids.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { type OpenIdProvider, startOpenIdProvider } from '../identity/sso/openid-provider.ts'
import { addApiKey } from '../people-and-keys.ts'
import * as credentials from './credentials.ts'
import { allowed, callers } from './expectations.ts'
import { leaksIn, rowsOf, secretsIn } from './leaks.ts'
import { type Call, callOf, type Ids, namings, type Operation, operationsOf, type Place } from './operations.ts'
import { replyOnOwn } from './own-reply.ts'
import { ownRefusals, type Scene, site } from './own-things.ts'
import { addTenant, type Tenant } from './tenant.ts'
import { openDbWithoutOwnFilter } from './without-own-filter.ts'

const leastCells = 5_500

for (const ownFilter of [true, false]) {
  describe(`every operation, caller, target and credential, ${ownFilter ? 'as it is' : "with the service's own filter off"}`, () => {
    let t: TestApp
    let provider: OpenIdProvider
    let operations: readonly Operation[]
    let shared: Tenant
    let other: Tenant
    let otherBefore: string
    let secrets: readonly string[]
    let sharedSecrets: readonly string[]
    let cells = 0
    const changed: (() => number)[] = []
    before(async () => {
      provider = await startOpenIdProvider()
      t = await startTestApp({
        passwords: createPasswords({ cost: 4 }),
        environment: {
          RATE_LIMIT_ADDRESS: 'off',
          PUBLIC_URL: site.origin,
          SSO_ALLOW: '127.0.0.0/8',
          // Nothing listens there: mails are written and lost.
          SMTP_URL: 'smtp://127.0.0.1:9',
          MAIL_FROM: 'hitl@example.com',
        },
        ...(ownFilter ? {} : { openDb: openUnfiltered }),
      })
      operations = operationsOf(t, { createIdentityProvider: { ...providerBody, issuer: provider.issuer } }).filter(
        ({ id }) => allowed[id] !== 'public',
      )
      shared = await addTenant(t)
      other = await addTenant(t)
      otherBefore = await rowsOf(t, other.organizationId)
      const sharedBefore = await rowsOf(t, shared.organizationId)
      secrets = secretsIn(otherBefore, sharedBefore)
      sharedSecrets = secretsIn(sharedBefore, otherBefore)
    })
    after(async () => {
      await t.stop()
      await provider.close()
    })

    function openUnfiltered(options: Parameters<typeof openDbWithoutOwnFilter>[0]) {
      const db = openDbWithoutOwnFilter(options)
      changed.push(db.changed)
      return db
    }

    const send = async ({ method, path, body }: Call, as: string, stepUp?: string): Promise<Reply> => {
      cells += 1
      const headers = stepUp === undefined ? {} : { 'x-step-up': stepUp }
      return t.call(method, path, { as, headers, ...(body === undefined ? {} : { body }) })
    }

    /** Asserts that neither body nor headers contain anything of the other organization except what the call itself named. */
    const assertNoLeak = (where: string, reply: Reply, sent?: Call): void => {
      const leaks = leaksIn(reply, secrets, sent === undefined ? '' : sent.path + JSON.stringify(sent.body))
      assert.deepEqual(leaks, [], `${where} leaks: ${reply.text}`)
    }

    const assertRefused = async (
      where: string,
      operation: Operation,
      as: string,
      expected: credentials.Refusal,
    ): Promise<void> => {
      for (const target of [shared, other]) {
        const call = callOf(operation, target.ids)
        const reply = await send(call, as)
        const which = `${operation.id} by ${where} on ${target === other ? 'other' : 'own'}`
        assert.deepEqual([reply.status, reply.body?.code], expected, `${which}: ${reply.text}`)
        assertNoLeak(which, reply)
        // A stranger learns nothing of either organization.
        if (reply.status === 401) assert.deepEqual(leaksIn(reply, sharedSecrets), [], `${which}: ${reply.text}`)
      }
    }

    /** A key has no session to end, which is said so. */
    const withoutRight = ({ id }: Operation, caller: string): credentials.Refusal =>
      id === 'logout' && caller === 'agent' ? [403, 'session.not_of_key'] : [403, 'auth.forbidden']

    const mayCall = (operation: Operation): readonly (typeof callers)[number][] => {
      const may = allowed[operation.id]
      return may === undefined || may === 'public' ? [] : may
    }

    test('every operation of openapi.json has an expectation, and every expectation an operation', () => {
      const ids = operationsOf(t, {}).map(({ id }) => id)
      assert.deepEqual(ids.toSorted(), Object.keys(allowed).toSorted())
    })

    test('without rights: 403, no matter whose the target is', async () => {
      for (const operation of operations) {
        for (const caller of callers.filter((one) => !mayCall(operation).includes(one))) {
          await assertRefused(caller, operation, credentials.live(shared, caller), withoutRight(operation, caller))
        }
      }
    })

    test('expired, revoked, deactivated and stopped: 401, or 403 that names the stop', async () => {
      const tokens: { who: string; token: string; expected: credentials.Refusal }[] = []
      for (const [state, expected] of Object.entries(credentials.dead.person)) {
        for (const role of callers.filter((one) => one !== 'agent')) {
          const token = await credentials.personIn(t, shared, role, state as credentials.PersonState)
          tokens.push({ who: `${role} ${state}`, token, expected })
        }
      }
      for (const [state, expected] of Object.entries(credentials.dead.agent)) {
        const token = await credentials.agentIn(t, shared, state as credentials.AgentState)
        tokens.push({ who: `agent ${state}`, token, expected })
      }
      for (const operation of operations) {
        for (const { who, token, expected } of tokens) await assertRefused(who, operation, token, expected)
      }
    })

    test('a paused agent cannot create requests, but can do everything else that agents can', async () => {
      for (const [state, expected] of Object.entries(credentials.pauses)) {
        const idle = await credentials.agentIn(t, shared, state as credentials.AgentState)
        for (const operation of operations) {
          if (['createRequest', 'createRequests', 'reviseRequest'].includes(operation.id)) {
            await assertRefused(`agent ${state}`, operation, idle, expected)
          } else if (mayCall(operation).includes('agent')) {
            const tenant = await addTenant(t)
            const hold = () => credentials.hold(t, tenant.key, state)
            const reply = await replyOnOwn(operation, sceneOf(tenant, 'agent'), send, { hold })
            assert.ok(reply.status < 300, `${operation.id} by agent ${state} on own: ${reply.status} ${reply.text}`)
            const call = callOf(operation, other.ids)
            assertNoLeak(`${operation.id} by agent ${state} on other`, await send(call, tenant.key.raw), call)
          } else {
            await assertRefused(`agent ${state}`, operation, idle, withoutRight(operation, 'agent'))
          }
        }
      }
    })

    test('without an organization: 401, as for a stranger', async () => {
      const tokens = await credentials.withoutOrganization(t, shared, other)
      for (const operation of operations) {
        for (const [who, token] of tokens) await assertRefused(who, operation, token, [401, 'auth.invalid'])
      }
    })

    test('in an organization that is being deleted: 401, except for its owner', async () => {
      const gone = await addTenant(t)
      await t.sql(`update organizations set delete_after = '2900-01-01' where organization_id = $1`, [
        gone.organizationId,
      ])
      // Forget what was cached about the key while it was used.
      t.app.identity.authenticator.forget(gone.key.id)
      for (const operation of operations) {
        for (const caller of callers.filter((one) => one !== 'owner')) {
          await assertRefused(caller, operation, credentials.live(gone, caller), [401, 'auth.invalid'])
        }
      }
    })

    test("with rights, on another organization's things: the same reply as for an id that does not exist", async () => {
      const own = await addTenant(t)
      const { raw } = await addApiKey(t, own.organizationId)
      const asked = await t.call('POST', '/api/v1/requests', { as: raw, body: { title: 'May I?', context: {} } })
      const colleagues = { ...own.ids, requests: asked.body.id as string }
      for (const operation of operations) {
        for (const caller of mayCall(operation)) {
          const as = credentials.live(own, caller)
          for (const named of namings(operation)) {
            await assertAbsent(operation, `${caller} on other`, { own: own.ids, strange: other.ids, named, as })
          }
          // The same for things of another person in the same organization that this caller may not see.
          if (personal.has(operation.id) || (caller === 'agent' && operation.path.includes('/requests/{id}'))) {
            const [named = []] = namings(operation)
            await assertAbsent(operation, `${caller} on a colleague's`, {
              own: own.ids,
              strange: colleagues,
              named,
              as,
            })
          }
        }
      }
      assert.equal(await rowsOf(t, other.organizationId), otherBefore, 'nothing of the other organization has changed')
    })

    async function assertAbsent(
      operation: Operation,
      where: string,
      { own, strange, named, as }: { own: Ids; strange: Ids; named: readonly Place[]; as: string },
    ): Promise<void> {
      const random = Object.fromEntries(Object.keys(strange).map((key) => [key, newId()]))
      const replies: unknown[] = []
      const which = `${operation.id} by ${where} (${named.map(({ name }) => name).join(', ')})`
      for (const ids of [random, strange]) {
        const call = callOf(operation, own, { named, strange: ids })
        const reply = await send(call, as)
        assertNoLeak(which, reply, call)
        if (named.some((place) => place.in === 'path')) assert.equal(reply.status, 404, `${which}: ${reply.text}`)
        assert.ok(reply.status < 500 && reply.status !== 401, `${which}: ${reply.text}`)
        replies.push(
          withoutNames(
            reply,
            named.map(({ key }) => ids[key] ?? ''),
          ),
        )
      }
      assert.deepEqual(replies[1], replies[0], which)
    }

    const sceneOf = (tenant: Tenant, caller: Scene['caller']): Scene => ({
      t,
      tenant,
      caller,
      token: credentials.live(tenant, caller),
      host: shared,
      issuer: provider.issuer,
    })

    test("with rights, on the caller's own things: succeeds and reveals nothing of another organization", async () => {
      const readOnly = await addTenant(t)
      for (const operation of operations) {
        for (const caller of mayCall(operation)) {
          // Ids that the call names outside the path are left out, and get a call of their own.
          for (const named of [[], ...namings(operation).filter(([place]) => place?.in !== 'path')]) {
            const tenant =
              operation.method === 'GET' && operation.id !== 'getCertificate' ? readOnly : await addTenant(t)
            const reply = await replyOnOwn(operation, sceneOf(tenant, caller), send, { named })
            const where = `${operation.id} by ${caller}`
            assertNoLeak(where, reply)
            const told = `${where} on own ${named.map(({ name }) => name)}: ${reply.status} ${reply.text}`
            const refusal = ownRefusals[where]
            if (refusal === undefined) assert.ok(reply.status >= 200 && reply.status < 400, told)
            else assert.deepEqual([reply.status, reply.body?.code], refusal, told)
          }
        }
      }
    })

    test("the values searched for in every reply do appear in replies to the other organization's people", async () => {
      const told = new Set<string>()
      for (const path of ['users', 'teams', 'agents', 'api-keys', 'requests', 'identity-providers', 'invitations']) {
        const reply = await t.call('GET', `/api/v1/${path}`, { as: other.people.owner.token })
        for (const secret of leaksIn(reply, secrets)) told.add(secret)
      }
      const { ids, people, colleague, mark } = other
      const expected = [mark, colleague.id, `${people.admin.id}@example.com`, `${mark}@example.com`]
      for (const key of ['requests', 'teams', 'agents', 'api-keys', 'identity-providers', 'invitations']) {
        expected.push(ids[key] ?? key)
      }
      assert.deepEqual(
        expected.filter((one) => !told.has(one)),
        [],
      )
    })

    test(`those were at least ${leastCells} cells${ownFilter ? '' : ', and the filter was off'}`, () => {
      process.stdout.write(`# ${cells} cells${ownFilter ? '' : ', own filter off'}\n`)
      assert.ok(cells >= leastCells, `${cells} cells`)
      const statements = changed.reduce((sum, one) => sum + one(), 0)
      assert.ok(ownFilter || statements >= 30, `${statements} statements were changed`)
    })
  })
}

const providerBody = { name: 'Example accounts', client_id: 'hitl', scopes: ['email'], role_map: {} }

/** Operations on things that belong to one person and that nobody else in the organization can see. */
const personal = new Set([
  'revokeSession',
  'confirmAuthenticatorApp',
  'removeAuthenticatorApp',
  'renamePasskey',
  'removePasskey',
  'unlinkSso',
  'changeView',
  'deleteView',
  'countView',
])

/** The reply without the ids that the call named and without what differs in every reply. */
function withoutNames({ status, headers, text }: Reply, named: readonly string[]): unknown {
  const { date: _date, 'x-request-id': _id, ...rest } = headers
  const kept = Object.entries(rest).filter(([name]) => !name.startsWith('ratelimit'))
  const body = named.reduce((left, id) => left.replaceAll(id, '<named>'), text)
  return { status, headers: Object.fromEntries(kept), body: body.replace(/"request_id":"[^"]*"(?=\}$)/, '') }
}
