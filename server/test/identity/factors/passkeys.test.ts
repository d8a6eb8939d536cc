import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { installationId } from '../../../src/platform/ids.ts'
import { startTestApp } from '../../harness.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { type Authenticator, type Bent, createAuthenticator } from './authenticator.ts'
import { auth, beginSignIn, eventsOf, newPerson, type TestPerson, travelling, withStepUp } from './people.ts'

/** The person is there, and verified; the passkey may be backed up, and is. */
const synced = 1 | 4 | 8 | 16
const site = { origin: 'https://hitl.example.com', rpId: 'hitl.example.com' }
let t: ReturnType<typeof travelling>
before(async () => {
  t = travelling(await startTestApp({ environment: { PUBLIC_URL: site.origin, TRUSTED_PROXIES: '127.0.0.1/32' } }))
})
beforeEach(() => t.move())
after(() => t.stop())

const options = async (as: string, own?: Authenticator) => {
  const path = `${auth}/factors/passkeys/options`
  const reply = await t.call('POST', path, { as })
  if (reply.status === 200 || own === undefined) return reply
  return withPasskey(as, own, 'POST', path)
}
const add = (as: string, credential: object, name?: string) =>
  t.call('POST', `${auth}/factors/passkeys`, { as, body: { credential, ...(name === undefined ? {} : { name }) } })

/** Makes a sensitive call with a passkey's step-up. */
async function withPasskey(as: string, own: Authenticator, method: string, path: string) {
  const refused = await t.call(method, path, { as })
  assert.equal(refused.body?.code, 'auth.step_up_required', refused.text)
  const { digest } = refused.body
  const asked = await t.call('POST', `${auth}/step-up/passkey-options`, { as, body: { digest } })
  assert.equal(asked.status, 200, asked.text)
  return withStepUp(t, as, { method: 'passkey', assertion: own.get(asked.body) }, method, path)
}

/** A person with a passkey. */
const withOne = async (more: { readonly counts?: boolean } = {}) => {
  const person = await newPerson(t)
  const authenticator = createAuthenticator({ ...site, ...more })
  const begun = await options(person.token)
  const added = await add(person.token, authenticator.create(begun.body), 'Work laptop')
  assert.equal(added.status, 201, added.text)
  return { ...person, authenticator, passkeyId: added.body.id as string }
}

const asked = async (challenge?: string) => {
  const reply = await t.call('POST', `${auth}/login/passkey/options`, {
    body: challenge === undefined ? {} : { challenge },
  })
  assert.equal(reply.status, 200, reply.text)
  return reply.body
}
const signInWith = (assertion: object) => t.call('POST', `${auth}/login/passkey`, { body: { assertion } })
const secondFactor = (challenge: string, assertion: object) =>
  t.call('POST', `${auth}/login/second-factor`, { body: { challenge, method: 'passkey', assertion } })
const refusals = async (person: TestPerson) =>
  (await eventsOf(t, person))
    .filter((event) => event.kind === 'second_factor.refused')
    .map((event) => event.after.reason)

const installationRefusals = async () =>
  (await recordedEvents(t.sql, { organization: installationId, kinds: ['second_factor.refused'] })).map(
    ({ after }) => after,
  )

describe('adding a passkey', () => {
  test('asks the browser for one that verifies the person and can be found without an address', async () => {
    const person = await newPerson(t)
    const { body } = await options(person.token)
    assert.deepEqual(body.rp, { id: site.rpId, name: 'HITL' })
    assert.deepEqual(body.authenticatorSelection, {
      residentKey: 'required',
      requireResidentKey: true,
      userVerification: 'required',
    })
    assert.equal(body.attestation, 'none')
    assert.equal(body.user.name, person.email)
    assert.equal(Buffer.from(body.user.id, 'base64url').toString('hex'), person.accountId.replaceAll('-', ''))
    assert.ok(Buffer.from(body.challenge, 'base64url').length >= 32)
    assert.deepEqual(
      body.pubKeyCredParams.map((param: { alg: number }) => param.alg),
      [-8, -7, -257],
    )
  })

  test('201, and it is listed; the event has the step-up, and the name in its erasable part', async () => {
    const person = await withOne()
    const list = await t.call('GET', `${auth}/factors`, { as: person.token })
    assert.equal(list.body.second_factor, true)
    assert.deepEqual(list.body.passkeys, [
      {
        id: person.passkeyId,
        name: 'Work laptop',
        is_backed_up: false,
        created_at: t.clock.now().toISOString(),
        last_used_at: null,
      },
    ])
    const [begun, added] = await eventsOf(t, person)
    assert.equal(begun?.kind, 'passkey.begun')
    assert.equal(added?.kind, 'passkey.added')
    assert.deepEqual(added?.after, {
      passkey_id: person.passkeyId,
      is_backed_up: false,
      assurance: begun?.after.assurance,
    })
    const { erasable, ...record } = added ?? assert.fail('nothing was added')
    assert.ok(!JSON.stringify(record).includes('Work laptop'))
    assert.match(JSON.stringify(erasable), /Work laptop/)
  })

  test('422 passkey.refused for every invalid registration', async () => {
    const person = await newPerson(t)
    const bends: Readonly<Record<string, Bent>> = {
      'another origin': { origin: 'https://evil.example.com' },
      'the origin of a sub-domain': { origin: 'https://a.hitl.example.com' },
      'the origin without TLS': { origin: 'http://hitl.example.com' },
      'another site in the hash': { rpId: 'evil.example.com' },
      'a challenge that nobody gave': { challenge: Buffer.alloc(32, 1).toString('base64url') },
      'an assertion instead': { type: 'webauthn.get' },
      'the person not verified': { flags: 1 + 64 },
      'nobody present': { flags: 4 + 64 },
      'no credential in it': { flags: 1 + 4 },
      'a frame of another site': { crossOrigin: true },
      'backed up but not able to': { flags: 1 + 4 + 16 + 64 },
    }
    for (const [name, bent] of Object.entries(bends)) {
      const { body } = await options(person.token)
      const reply = await add(person.token, createAuthenticator(site).create(body, bent))
      assert.equal(reply.status, 422, `${name}: ${reply.text}`)
      assert.equal(reply.body.code, 'passkey.refused', name)
    }
    assert.equal((await t.sql('select from passkeys where account_id = $1', [person.accountId])).length, 0)
    const told = (await eventsOf(t, person)).filter((event) => event.kind === 'passkey.refused')
    assert.equal(told.length, Object.keys(bends).length)
  })

  test('422 for a challenge that was used, has expired or belongs to another person', async () => {
    const [person, other] = [await newPerson(t), await newPerson(t)]
    const first = await options(person.token)
    const refused = await add(person.token, createAuthenticator(site).create(first.body, { flags: 65 }))
    assert.equal(refused.status, 422)
    assert.equal((await add(person.token, createAuthenticator(site).create(first.body))).status, 422, 'answered')
    const second = await options(other.token)
    assert.equal((await add(person.token, createAuthenticator(site).create(second.body))).status, 422, "another's")
    const third = await options(person.token)
    t.clock.advance(300_000)
    assert.equal((await add(person.token, createAuthenticator(site).create(third.body))).status, 422, 'late')
    const asSignIn = await asked()
    const create = { ...asSignIn, user: first.body.user }
    assert.equal((await add(person.token, createAuthenticator(site).create(create))).status, 422, 'for signing in')
  })

  test('422 for something that is not a credential', async () => {
    const person = await newPerson(t)
    const { body } = await options(person.token)
    const good = createAuthenticator(site).create(body)
    for (const credential of [
      {},
      { ...good, type: 'password' },
      { ...good, id: 'not base64url!' },
      { ...good, rawId: 'x' },
      { ...good, response: {} },
      { ...good, response: { ...good.response, clientDataJSON: '' } },
      { ...good, response: { ...good.response, clientDataJSON: Buffer.from('null').toString('base64url') } },
      { ...good, response: { ...good.response, attestationObject: Buffer.alloc(200, 0xff).toString('base64url') } },
      { ...good, response: { ...good.response, attestationObject: '' } },
    ]) {
      assert.equal((await add(person.token, credential)).status, 422, JSON.stringify(credential))
    }
  })

  test('409 for one that is already registered, by this person or another', async () => {
    const person = await withOne()
    const again = await options(person.token, person.authenticator)
    assert.deepEqual(
      again.body.excludeCredentials.map((known: { id: string }) => known.id),
      [person.authenticator.id],
    )
    const own = await add(person.token, person.authenticator.create(again.body))
    assert.equal(own.status, 409)
    assert.equal(own.body.code, 'passkey.registered_already')
    const other = await newPerson(t)
    const begun = await options(other.token)
    assert.equal((await add(other.token, person.authenticator.create(begun.body))).status, 409)
  })

  test('adding another one needs a step-up with the first', async () => {
    const person = await withOne()
    assert.equal((await options(person.token)).status, 403)
    const begun = await options(person.token, person.authenticator)
    assert.equal(begun.status, 200, begun.text)
    assert.equal((await add(person.token, createAuthenticator(site).create(begun.body))).status, 201)
  })

  test('409 beyond twenty', async () => {
    const person = await withOne()
    await t.sql(
      `insert into passkeys select account_id, gen_random_uuid(), decode(md5(n::text || id::text), 'hex'), public_key,
         0, transports, name, false, null, created_at, updated_at
       from passkeys, generate_series(1, 19) n where id = $1`,
      [person.passkeyId],
    )
    const reply = await options(person.token, person.authenticator)
    assert.equal(reply.status, 409)
    assert.equal(reply.body.code, 'passkey.too_many')
  })
})

describe('signing in with a passkey', () => {
  test('200 without an address and a password', async () => {
    const person = await withOne()
    const request = await asked()
    assert.equal(request.rpId, site.rpId)
    assert.equal(request.userVerification, 'required')
    assert.equal(request.allowCredentials, undefined)
    const reply = await signInWith(person.authenticator.get(request))
    assert.equal(reply.status, 200, reply.text)
    assert.equal(reply.body.user.id, person.id)
    assert.equal((await t.call('GET', `${auth}/me`, { as: reply.body.access_token })).status, 200)
    const list = await t.call('GET', `${auth}/factors`, { as: person.token })
    assert.equal(list.body.passkeys[0].last_used_at, t.clock.now().toISOString())
  })

  const bends: Readonly<Record<string, Bent>> = {
    'another origin': { origin: 'https://evil.example.com' },
    'the origin with a port': { origin: 'https://hitl.example.com:8443' },
    'another site in the hash': { rpId: 'evil.example.com' },
    'a challenge that nobody gave': { challenge: Buffer.alloc(32, 1).toString('base64url') },
    'a registration instead': { type: 'webauthn.create' },
    'the person not verified': { flags: 1 },
    'nobody present': { flags: 4 },
    'a frame of another site': { crossOrigin: true },
    'a signature over something else': { badSignature: true },
    'no account named': { userHandle: null },
    'another account named': { userHandle: Buffer.alloc(16, 7).toString('base64url') },
  }
  for (const [name, bent] of Object.entries(bends)) {
    test(`401 for ${name}`, async () => {
      const person = await withOne()
      const good = person.authenticator.get(await asked(), bent)
      const answer = 'userHandle' in bent && bent.userHandle === null ? withoutHandle(good) : good
      const reply = await signInWith(answer)
      assert.equal(reply.status, 401, reply.text)
      assert.equal(reply.body.code, 'auth.passkey_refused')
      const [row] = await t.sql('select last_used_at, sign_count from passkeys where id = $1', [person.passkeyId])
      assert.deepEqual(row, { last_used_at: null, sign_count: '1' })
      // With a challenge that the service never issued, the passkey is not even looked up, so the event is the installation's.
      if (bent.challenge === undefined) assert.deepEqual(await refusals(person), ['wrong'])
      else assert.deepEqual((await installationRefusals()).at(-1), { method: 'passkey', reason: 'challenge' })
    })
  }

  test('401 for a repeated reply, a late reply and an unknown passkey', async () => {
    const person = await withOne()
    const answer = person.authenticator.get(await asked())
    assert.equal((await signInWith(answer)).status, 200)
    assert.equal((await signInWith(answer)).status, 401, 'the same again')
    const late = person.authenticator.get(await asked())
    t.clock.advance(300_000)
    assert.equal((await signInWith(late)).status, 401, 'late')
    const stranger = createAuthenticator(site)
    assert.equal((await signInWith(stranger.get(await asked(), { userHandle: null }))).status, 401, 'unknown')
  })

  test('the same reply sent twice at once signs in once: 20 times', async () => {
    const person = await withOne()
    for (let round = 0; round < 20; round += 1) {
      const answer = person.authenticator.get(await asked())
      const replies = await Promise.all([1, 2, 3].map(() => signInWith(answer)))
      assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 401, 401])
      t.move()
    }
  })

  test('403 with the reason for a copy, whose counter is behind; the audit has it, and the original still works', async () => {
    const person = await withOne()
    const { authenticator } = person
    assert.equal((await signInWith(authenticator.get(await asked()))).status, 200)
    const { signCount } = authenticator
    // The same count, a lower one, none at all, and one that claims to be synced.
    for (const bent of [{ signCount }, { signCount: 1 }, { signCount: 0 }, { signCount: 1, flags: synced }]) {
      const reply = await signInWith(authenticator.get(await asked(), bent))
      assert.deepEqual([reply.status, reply.body.code], [403, 'passkey.copied'])
    }
    assert.deepEqual(await refusals(person), ['copied', 'copied', 'copied', 'copied'])
    assert.equal((await signInWith(authenticator.get(await asked()))).status, 200)
  })

  test('a synced one whose counter falls back is let in, with an event', async () => {
    const person = await newPerson(t)
    const authenticator = createAuthenticator(site)
    const credential = authenticator.create((await options(person.token)).body, { flags: synced | 64 })
    assert.equal((await add(person.token, credential)).status, 201)
    const fallen = async () => (await eventsOf(t, person)).filter(({ kind }) => kind === 'passkey.counter_fell').length
    const count = (signCount: number) => ({ signCount, flags: synced })
    assert.equal((await signInWith(authenticator.get(await asked(), count(9)))).status, 200)
    assert.equal(await fallen(), 0)
    assert.equal((await signInWith(authenticator.get(await asked(), count(4)))).status, 200)
    const challenge = await beginSignIn(t, person)
    assert.equal((await secondFactor(challenge, authenticator.get(await asked(challenge), count(3)))).status, 200)
    const path = `${auth}/factors/recovery-codes`
    const { digest } = (await t.call('POST', path, { as: person.token })).body
    const forAct = await t.call('POST', `${auth}/step-up/passkey-options`, { as: person.token, body: { digest } })
    const proof = { method: 'passkey', assertion: authenticator.get(forAct.body, count(2)) }
    const body = { digest, ...proof }
    assert.equal((await t.call('POST', `${auth}/step-up`, { as: person.token, body })).status, 200)
    assert.equal(await fallen(), 3)
  })

  test('a synced one, which does not count, can sign in repeatedly', async () => {
    const person = await withOne({ counts: false })
    for (let times = 0; times < 3; times += 1) {
      assert.equal((await signInWith(person.authenticator.get(await asked()))).status, 200)
    }
  })

  test('401 after it was removed, which needs a step-up', async () => {
    const person = await withOne()
    const path = `${auth}/factors/passkeys/${person.passkeyId}`
    assert.equal((await t.call('DELETE', path, { as: person.token })).status, 403)
    const removed = await withPasskey(person.token, person.authenticator, 'DELETE', path)
    assert.equal(removed.status, 204, removed.text)
    assert.equal((await signInWith(person.authenticator.get(await asked()))).status, 401)
    const event = (await eventsOf(t, person)).find(({ kind }) => kind === 'passkey.removed')
    assert.equal(event?.after.assurance.method, 'passkey')
    assert.match(String(event?.digest), /^[0-9a-f]{64}$/)
  })
})

describe('a passkey as the second factor', () => {
  test('200 for a passkey of the account, requested by its id', async () => {
    const person = await withOne()
    const challenge = await beginSignIn(t, person)
    const request = await asked(challenge)
    assert.deepEqual(
      request.allowCredentials.map((known: { id: string }) => known.id),
      [person.authenticator.id],
    )
    // An authenticator that was given the passkey to use may leave out the account.
    const reply = await secondFactor(challenge, withoutHandle(person.authenticator.get(request)))
    assert.equal(reply.status, 200, reply.text)
  })

  test("401 for another person's passkey, and for a reply to another challenge", async () => {
    const [person, other] = [await withOne(), await withOne()]
    const challenge = await beginSignIn(t, person)
    const foreign = await secondFactor(challenge, other.authenticator.get(await asked(challenge)))
    assert.equal(foreign.body.code, 'auth.second_factor_wrong', "another's")
    const alone = await secondFactor(challenge, person.authenticator.get(await asked()))
    assert.equal(alone.body.code, 'auth.second_factor_wrong', 'for signing in alone')
    const elsewhere = await asked(await beginSignIn(t, person))
    const mixed = await secondFactor(challenge, person.authenticator.get(elsewhere))
    assert.equal(mixed.body.code, 'auth.second_factor_wrong', 'for another sign-in')
    const back = await signInWith(person.authenticator.get(await asked(challenge)))
    assert.equal(back.status, 401, 'and the other way round')
    assert.deepEqual(await refusals(person), ['unknown', 'challenge', 'challenge'])
    // A step-up "for" the sign-in: its digest is the hash under which the sign-in's challenge is stored.
    const digest = createHash('sha256').update(challenge).digest('hex')
    const path = `${auth}/step-up/passkey-options`
    const stepUp = await t.call('POST', path, { as: person.token, body: { digest } })
    const lent = await secondFactor(challenge, person.authenticator.get(stepUp.body))
    assert.equal(lent.body.code, 'auth.second_factor_wrong', 'for a step-up')
    const right = await secondFactor(challenge, person.authenticator.get(await asked(challenge)))
    assert.equal(right.status, 200, right.text)
  })

  test('401 for options of an expired challenge', async () => {
    const reply = await t.call('POST', `${auth}/login/passkey/options`, { body: { challenge: 'A'.repeat(43) } })
    assert.equal(reply.status, 401)
    assert.equal(reply.body.code, 'auth.challenge_over')
  })
})

describe('a step-up with a passkey', () => {
  test('is signed over the digest of the act and valid for no other', async () => {
    const person = await withOne()
    const [one, other] = ['1', '2'].map((digit) => digit.repeat(64)) as [string, string]
    const ask = async (digest: string) =>
      (await t.call('POST', `${auth}/step-up/passkey-options`, { as: person.token, body: { digest } })).body
    const prove = (digest: string, assertion: object) =>
      t.call('POST', `${auth}/step-up`, { as: person.token, body: { digest, method: 'passkey', assertion } })
    const request = await ask(one)
    assert.ok(Buffer.from(request.challenge, 'base64url').toString('hex').endsWith(one))
    const refused = await prove(other, person.authenticator.get(request))
    assert.equal(refused.body.code, 'auth.step_up_refused')
    assert.equal((await prove(one, person.authenticator.get(await ask(one)))).status, 200)
    const answer = person.authenticator.get(await ask(one))
    assert.equal((await prove(one, answer)).status, 200)
    assert.equal((await prove(one, answer)).status, 403, 'the same again')
    const signedIn = await prove(one, person.authenticator.get(await asked()))
    assert.equal(signedIn.status, 403, 'given for signing in')
    const unverified = await prove(one, person.authenticator.get(await ask(one), { flags: 1 }))
    assert.equal(unverified.status, 403, 'the person not verified')
  })
})

describe('PATCH /auth/factors/passkeys/{id}', () => {
  test('200 with the new name; 404 for another person', async () => {
    const [person, other] = [await withOne(), await newPerson(t)]
    const path = `${auth}/factors/passkeys/${person.passkeyId}`
    const renamed = await t.call('PATCH', path, { as: person.token, body: { name: 'Old laptop' } })
    assert.equal(renamed.status, 200, renamed.text)
    assert.equal(renamed.body.name, 'Old laptop')
    const foreign = await t.call('PATCH', path, { as: other.token, body: { name: 'mine' } })
    assert.equal(foreign.status, 404)
    assert.equal(foreign.body.code, 'passkey.not_found')
    for (const name of ['', 'x'.repeat(101), 5]) {
      assert.equal((await t.call('PATCH', path, { as: person.token, body: { name } })).status, 422)
    }
    const list = await t.call('GET', `${auth}/factors`, { as: person.token })
    assert.equal(list.body.passkeys[0].name, 'Old laptop')
  })
})

test('409 passkey.unavailable if PUBLIC_URL has an IP address', async () => {
  const other = await startTestApp({ environment: { PUBLIC_URL: 'http://192.0.2.1:8000' } })
  try {
    const person = await newPerson(other)
    for (const [path, as, body] of [
      ['/factors/passkeys/options', person.token, undefined],
      ['/login/passkey/options', undefined, {}],
      ['/step-up/passkey-options', person.token, { digest: '0'.repeat(64) }],
    ] as const) {
      const caller = as === undefined ? {} : { as }
      const reply = await other.call('POST', `${auth}${path}`, { ...caller, ...(body === undefined ? {} : { body }) })
      assert.equal(reply.status, 409, `${path} ${reply.text}`)
      assert.equal(reply.body.code, 'passkey.unavailable')
    }
  } finally {
    await other.stop()
  }
})

function withoutHandle(assertion: ReturnType<Authenticator['get']>) {
  const { clientDataJSON, authenticatorData, signature } = assertion.response
  return { ...assertion, response: { clientDataJSON, authenticatorData, signature } }
}
