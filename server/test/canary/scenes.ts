import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { CallOptions, Reply, TestApp } from '../harness.ts'
import { codeAt } from '../identity/factors/authenticator-app.ts'
import { linkIn } from '../identity/recovery/accounts.ts'
import type { OpenIdProvider } from '../identity/sso/openid-provider.ts'
import { addProvider, createBrowser, sessionCookieName, signInBy } from '../identity/sso/sso-app.ts'
import type { MailRelay } from '../platform/mail-relay.ts'
import type { Receiver } from '../receivers.ts'

/** A day in the life of an installation. A scene plants secrets and uses them rightly and wrongly; it checks nothing. */
export interface Day {
  readonly t: TestApp
  readonly receiver: Receiver
  readonly relay: MailRelay
  readonly provider: OpenIdProvider
  /** Registers a secret that must not be found anywhere from here on, and returns it. */
  plant(what: string, secret: string, options?: { readonly mailed?: true }): string
  /** Makes a call whose reply is searched. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>
  /** Makes a call whose reply may contain a secret, and so is not searched. */
  take(method: string, path: string, options?: CallOptions): Promise<Reply>
  /** The headers for a malformed body. */
  text(what: string, text: string): void
}

export type Scene = (day: Day) => Promise<void>

const auth = '/api/v1/auth'
const requests = '/api/v1/requests'
const sameOrigin = { 'sec-fetch-site': 'same-origin', origin: 'https://hitl.example.com' }
/** Different each time, so that a scene can be repeated. */
const unique = (): string => randomBytes(4).toString('hex')
const word = (what: string): string => `${what} ${randomBytes(9).toString('base64url')}`

function ok(reply: Reply, ...statuses: readonly number[]): Reply {
  assert.ok(statuses.includes(reply.status), `${reply.status} ${reply.text}`)
  return reply
}

async function register(day: Day, email: string, password: string): Promise<void> {
  const invitation = await day.take('POST', '/api/v1/invitations', { as: await freshAdmin(day), body: {} })
  const token = day.plant('an invitation', ok(invitation, 201).body.token)
  ok(await day.call('POST', `${auth}/register`, { body: { email, password, invitation: token } }), 201)
  ok(
    await day.call('POST', `${auth}/register`, { body: { email: `2${email}`, password, invitation: token } }),
    403,
    409,
    410,
    422,
  )
}

async function logIn(day: Day, username: string, password: string): Promise<string> {
  const reply = ok(await day.take('POST', `${auth}/login`, { body: { username, password }, headers: sameOrigin }), 200)
  return day.plant('an access token', reply.body.access_token)
}

/** A fresh sign-in, which sensitive acts need. */
function freshAdmin(day: Day): Promise<string> {
  return logIn(day, 'admin@example.com', 'password123')
}

/** Callback secrets through every ending, refusals and failing receivers. */
const callbackSecrets: Scene = async (day) => {
  const { t, receiver } = day
  const run = unique()
  const kinds = [
    '',
    word('sécret "quoted" \\ and <tagged> &'),
    word(`a long \\n${'x'.repeat(200)}`),
    word('50% off; drop table --'),
  ]
  const respond = (id: string, decision: string) =>
    day.call('POST', `${requests}/${id}/respond`, { as: t.reviewer.token, body: { decision, comment: 'as said' } })
  const endings: readonly ((id: string) => Promise<unknown>)[] = [
    (id) => respond(id, 'approve'),
    (id) => respond(id, 'reject'),
    (id) => day.call('POST', `${requests}/${id}/cancel`, { as: t.apiKey }),
    async () => t.clock.advance(60_000),
  ]
  for (const [index, kind] of kinds.entries()) {
    for (const [number, end] of endings.entries()) {
      const standard = `whsec_${randomBytes(24).toString('base64')}`
      const text = kind === '' ? standard : `${kind.slice(0, 230)}${index}${number}`
      const secret = day.plant('a callback secret', text)
      // A receiver that returns everything it got.
      receiver.behave((response, request) => {
        response
          .writeHead(number === 1 ? 500 : 200)
          .end(`${JSON.stringify(request.headers)} ${request.body.toString()}`)
      })
      const body = {
        title: 'May I?',
        context: { n: number },
        callback_webhook: receiver.url,
        callback_secret: secret,
        callback_retry_seconds: [],
        timeout_minutes: 1,
      }
      const headers = { 'idempotency-key': `canary-${run}-${index}-${number}` }
      const { id } = ok(await day.call('POST', requests, { as: t.apiKey, body, headers }), 201).body
      ok(await day.call('POST', requests, { as: t.apiKey, body, headers }), 201)
      const other = { ...body, callback_secret: day.plant('a callback secret of another body', word('other')) }
      ok(await day.call('POST', requests, { as: t.apiKey, body: other, headers }), 422)
      await end(id)
      await t.app.drain()
      await day.call('POST', `${requests}/${id}/redeliver`, { as: t.apiKey })
      await t.app.drain()
      ok(await day.call('GET', `${requests}/${id}`, { as: t.apiKey }), 200)
      ok(await day.call('GET', `${requests}/${id}/deliveries`, { as: t.reviewer.token }), 200)
      await day.call('GET', `${requests}/${id}/certificate`, { as: t.apiKey })
      await day.call('POST', `${requests}/${id}/redeem`, { as: t.apiKey })
    }
  }
  const refused = day.plant('a callback secret that is refused', word('refused'))
  const valid = { title: 'x', context: {}, callback_webhook: receiver.url }
  for (const body of [
    { ...valid, callback_secret: refused.padEnd(256, 'x') },
    { ...valid, callback_secret: [refused] },
    { ...valid, callback_secret: { secret: refused } },
    { ...valid, callback_secret: refused, callback_webhook: 'http://10.0.0.1/' },
    { ...valid, callback_secret: refused, timeout_minutes: 'soon' },
    { callback_secret: refused },
    { ...valid, callback_secret: `${refused}\u0000` },
  ]) {
    ok(await day.call('POST', requests, { as: t.apiKey, body }), 422)
  }
  const json = JSON.stringify({ ...valid, callback_secret: refused })
  for (const [payload, type] of [
    [json.slice(0, -1), 'application/json'],
    [`${json}x`, 'application/json'],
    [json.replace('{', `{"callback_secret":"${refused}",`), 'application/json'],
    [json, 'text/plain'],
    [json, 'application/x-www-form-urlencoded'],
  ] as const) {
    const headers = { 'content-type': type }
    ok(await day.call('POST', requests, { as: t.apiKey, payload, headers }), 400, 415, 422)
  }
  ok(
    await day.call('POST', `${requests}?callback_secret=${encodeURIComponent(refused)}`, { as: t.apiKey, body: {} }),
    400,
    422,
  )
  ok(await day.call('GET', `${requests}/${encodeURIComponent(refused)}`, { as: t.apiKey }), 400, 404, 422)
}

/** Passwords typed rightly, wrongly, and into the wrong field. */
const passwords: Scene = async (day) => {
  const { t, relay } = day
  const email = `canary-${unique()}@example.com`
  const first = day.plant('a password', word('first'))
  await register(day, email, first)
  const token = await logIn(day, email, first)
  for (const wrong of [word('wrong'), first.slice(0, -1), `${first}!`]) {
    const secret = day.plant('a wrong password', wrong)
    t.clock.advance(600_000)
    ok(await day.call('POST', `${auth}/login`, { body: { username: email, password: secret } }), 401, 429)
    ok(await day.call('POST', `${auth}/login`, { body: { username: `nobody-${email}`, password: secret } }), 401, 429)
  }
  const misplaced = day.plant('a password typed into the field for the address', word('misplaced'))
  t.clock.advance(600_000)
  ok(await day.call('POST', `${auth}/login`, { body: { username: misplaced, password: 'x'.repeat(8) } }), 401, 422, 429)
  const payload = new URLSearchParams({ username: email, password: first }).toString()
  ok(await day.call('POST', `${auth}/login?${payload}`, { body: {} }), 400, 422)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  ok(await day.take('POST', `${auth}/login`, { payload, headers }), 200, 429)
  const basic = Buffer.from(`${email}:${first}`).toString('base64')
  ok(await day.call('GET', `${auth}/me`, { headers: { authorization: `Basic ${basic}` } }), 401)
  for (const password of [`${first}${'x'.repeat(72)}`, [first], { first }]) {
    ok(await day.call('POST', `${auth}/register`, { body: { email: 'x@example.com', password } }), 403, 422)
  }
  const second = day.plant('a new password', word('second'))
  const change = { current_password: first, new_password: second }
  ok(
    await day.call('POST', `${auth}/password/change`, { as: token, body: { ...change, current_password: second } }),
    403,
    422,
    429,
  )
  ok(await day.call('POST', `${auth}/password/change`, { as: token, body: change }), 204)
  t.clock.advance(600_000)
  ok(await day.call('POST', `${auth}/password/forgot`, { body: { email } }), 202)
  const [letter] = await relay.lettersTo(email, 'Choose a new password', 1).catch(async () => relay.waitFor(1))
  const link = day.plant('the link of a letter', linkIn(letter), { mailed: true })
  const third = day.plant('a password after a reset', word('third'))
  ok(await day.call('POST', `${auth}/password/reset`, { body: { token: link, password: 'short' } }), 422)
  ok(await day.call('POST', `${auth}/password/reset`, { body: { token: link, password: third } }), 204)
  ok(
    await day.call('POST', `${auth}/password/reset`, { body: { token: link, password: third } }),
    400,
    401,
    403,
    404,
    409,
    410,
    422,
  )
}

/** API keys made, used, mistyped, sent to wrong places, revoked. */
const apiKeys: Scene = async (day) => {
  const as = await freshAdmin(day)
  const run = unique()
  for (let n = 0; n < 4; n += 1) {
    const headers = { 'idempotency-key': `canary-key-${run}-${n}` }
    const made = ok(await day.take('POST', '/api/v1/api-keys', { as, body: { name: `bot ${n}` }, headers }), 201)
    const key = day.plant('an API key', made.body.key)
    ok(await day.call('GET', requests, { as: key }), 200)
    ok(await day.call('POST', `${requests}?api_key=${key}`, { body: {} }), 400, 401, 422)
    ok(await day.call('GET', requests, { as: `${key.slice(0, -1)}!` }), 401)
    ok(await day.call('GET', requests, { headers: { authorization: `Token ${key}` } }), 401)
    ok(await day.call('GET', `/api/v1/api-keys/${key}`, { as }), 404, 422)
    ok(
      await day.call('POST', `${auth}/login`, { body: { username: 'canary@example.com', password: key } }),
      401,
      422,
      429,
    )
    ok(await day.call('PATCH', `/api/v1/api-keys/${made.body.id}`, { as, body: { name: 5, description: [key] } }), 422)
    ok(await day.call('GET', `/api/v1/api-keys/${made.body.id}`, { as }), 200)
    if (n > 1) ok(await day.call('PATCH', `/api/v1/api-keys/${made.body.id}`, { as, body: { is_active: false } }), 200)
  }
  ok(await day.call('GET', '/api/v1/api-keys', { as }), 200)
}

/** A browser's session, renewed, used twice, ended. */
const sessions: Scene = async (day) => {
  const browser = createBrowser({ ...day.t, call: day.take })
  const password = 'password123'
  const body = { username: 'reviewer@example.com', password, session_cookie: true }
  ok(await browser.call('POST', `${auth}/login`, { body, headers: sameOrigin }), 200)
  const cookies: string[] = []
  for (let n = 0; n < 3; n += 1) {
    cookies.push(day.plant('a refresh token', browser.cookies.get(sessionCookieName) ?? assert.fail('no cookie')))
    day.t.clock.advance(120_000)
    const renewed = ok(await browser.call('POST', `${auth}/refresh`, { headers: sameOrigin }), 200)
    day.plant('a renewed access token', renewed.body.access_token)
  }
  const stolen = { cookie: `${sessionCookieName}=${cookies[0]}`, ...sameOrigin }
  ok(await day.call('POST', `${auth}/refresh`, { headers: stolen }), 401)
  ok(await day.call('POST', `${auth}/refresh`, { headers: { ...stolen, origin: 'https://evil.example' } }), 401, 403)
  ok(await day.call('GET', `${auth}/me`, { as: String(cookies[1]) }), 401)
  ok(await day.call('GET', `${auth}/sessions`, { as: day.t.reviewer.token }), 200)
}

/** An authenticator app and recovery codes, and sign-ins with them. */
const factors: Scene = async (day) => {
  const { t } = day
  const email = `two-factors-${unique()}@example.com`
  const password = day.plant('a password', word('with a second factor'))
  await register(day, email, password)
  const token = await logIn(day, email, password)
  const begun = ok(await day.take('POST', `${auth}/factors/totp`, { as: token }), 201)
  const seed = day.plant('the seed of an authenticator app', begun.body.secret)
  const confirm = `${auth}/factors/totp/${begun.body.id}/confirm`
  ok(await day.call('POST', confirm, { as: token, body: { code: '000000' } }), 401, 403, 422)
  ok(await day.call('POST', confirm, { as: token, body: { code: seed } }), 403, 422)
  ok(await day.call('POST', confirm, { as: token, body: { code: codeAt(seed, t.clock.now()) } }), 200)
  ok(await day.call('GET', `${auth}/factors`, { as: token }), 200)
  for (let n = 0; n < 3; n += 1) {
    t.clock.advance(60_000)
    const challenged = ok(await day.take('POST', `${auth}/login`, { body: { username: email, password } }), 401)
    const challenge = day.plant('the challenge of a sign-in', challenged.body.challenge)
    const second = (code: string) => ({ challenge, method: 'totp', code })
    ok(await day.call('POST', `${auth}/login/second-factor`, { body: second('123456') }), 401, 429)
    t.clock.advance(600_000)
    const again = await day.take('POST', `${auth}/login/second-factor`, { body: second(codeAt(seed, t.clock.now())) })
    if (again.status === 200) day.plant('an access token after two factors', again.body.access_token)
  }
}

/** An identity provider that is trusted, that fails, and whose secret changes. */
const singleSignOn: Scene = async (day) => {
  const { t, provider: op } = day
  const as = await freshAdmin(day)
  const trusted = await addProvider(
    { ...t, call: day.call },
    { name: 'Canary', creates_members: true, default_role: 'reviewer' },
    { op, as },
  )
  const run = unique()
  const person = { sub: `canary-${run}`, email: `sso-${run}@example.com`, email_verified: true, name: 'Cana Ry' }
  const { browser } = await signInBy({ ...t, call: day.take }, trusted, person)
  day.plant('the cookie of a sign-in through a provider', browser.cookies.get(sessionCookieName) ?? word('none'))
  const wrong = day.plant('another client secret', word('not the one'))
  ok(await trusted.change({ client_secret: wrong }), 200)
  const failed = await signInBy({ ...t, call: day.call }, trusted, person).catch((error: Error) => error.message)
  day.text('the end of a failed sign-in', typeof failed === 'string' ? failed : failed.reply.text)
  op.replace('/token', (response) => response.writeHead(500, { 'content-type': 'text/plain' }).end(`no: ${wrong}`))
  const broken = await signInBy({ ...t, call: day.call }, trusted, person).catch((error: Error) => error.message)
  day.text('the end of a broken sign-in', typeof broken === 'string' ? broken : broken.reply.text)
  op.replace('/token', null)
  const refused = { name: 'x', issuer: 'http://127.0.0.1:1', client_id: 'x', client_secret: [wrong] }
  ok(await day.call('POST', '/api/v1/identity-providers', { as, body: refused }), 422)
  ok(await day.call('GET', '/api/v1/identity-providers', { as: t.admin.token }), 200)
  ok(await day.call('DELETE', `/api/v1/identity-providers/${trusted.id}`, { as: await freshAdmin(day) }), 204)
}

/** A mail relay that refuses, then takes. */
const mail: Scene = async (day) => {
  day.relay.refuseNext(451, 550)
  for (const email of ['admin@example.com', 'reviewer@example.com', 'admin@example.com']) {
    day.t.clock.advance(900_000)
    ok(await day.call('POST', `${auth}/password/forgot`, { body: { email } }), 202, 429)
  }
}

/** A database that refuses rows which hold secrets: the cause stays in the log, without them. */
const brokenDatabase: Scene = async (day) => {
  const { t } = day
  const secret = day.plant('a callback secret in a row that the database refuses', word('unlucky'))
  const password = day.plant('a password in a row that the database refuses', word('unlucky'))
  await t.sql(`create function unlucky() returns trigger language plpgsql as $$ begin
    raise exception 'refused: %', new using errcode = 'XX000'; end $$`)
  for (const table of ['consultation_requests', 'accounts', 'api_keys', 'invitations']) {
    await t.sql(`create trigger unlucky before insert on ${table} for each row execute function unlucky()`)
  }
  const body = { title: 'x', context: {}, callback_webhook: day.receiver.url, callback_secret: secret }
  ok(await day.call('POST', requests, { as: t.apiKey, body }), 500)
  ok(await day.call('POST', '/api/v1/api-keys', { as: await freshAdmin(day), body: { name: 'x' } }), 500)
  ok(await day.call('POST', '/api/v1/invitations', { as: await freshAdmin(day), body: {} }), 500)
  await t.sql('drop function unlucky cascade')
  const as = await freshAdmin(day)
  await t.sql('alter table accounts add constraint unlucky check (false) not valid')
  const invitation = ok(await day.take('POST', '/api/v1/invitations', { as, body: {} }), 201)
  const token = day.plant('an invitation', invitation.body.token)
  ok(await day.call('POST', `${auth}/register`, { body: { email: 'u@example.com', password, invitation: token } }), 500)
  await t.sql('alter table accounts drop constraint unlucky')
}

/** Keys change, and everything is encrypted again. */
const keyRotation: Scene = async ({ t }) => {
  await t.app.identity.signingKeys.rotate('certificate')
  const report = await t.app.rewrap({ rotateDataKeys: true, settleMs: 0 })
  assert.ok(report.values.resealed > 10 && report.values.unreadable === 0, JSON.stringify(report))
}

/** Reads everything there is to read. */
const auditor: Scene = async (day) => {
  const { t } = day
  const as = t.admin.token
  await t.app.drain()
  for (const path of [
    '/api/v1/events?limit=100',
    '/api/v1/events/export',
    '/api/v1/events/export?format=csv',
    '/api/v1/events/report',
    '/api/v1/events/report?format=html',
    '/api/v1/requests?limit=100',
    '/api/v1/users',
    '/api/v1/invitations',
    '/api/v1/api-keys',
    '/api/v1/organization',
    '/api/v1/identity-providers',
    '/.well-known/jwks.json',
    '/openapi.json',
    '/health',
  ]) {
    ok(await day.call('GET', path, { as }), 200)
  }
  for (let cursor = ''; ; ) {
    const page = ok(await day.call('GET', `/api/v1/events?limit=100${cursor}`, { as }), 200).body
    if (page.next_cursor === null) break
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`
  }
  const { items } = (await day.call('GET', '/api/v1/requests?limit=20', { as })).body
  for (const { id } of items) {
    ok(await day.call('GET', `${requests}/${id}/events`, { as }), 200)
    ok(await day.call('GET', `${requests}/${id}/evidence`, { as }), 200)
    ok(await day.call('GET', `${requests}/${id}/evidence?format=html`, { as }), 200)
  }
}

/** In this order. A new kind of secret gets a scene before the key rotation. */
export const scenes: Readonly<Record<string, Scene>> = {
  callbackSecrets,
  passwords,
  apiKeys,
  sessions,
  factors,
  singleSignOn,
  mail,
  brokenDatabase,
  keyRotation,
  auditor,
}
