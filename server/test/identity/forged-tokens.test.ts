import assert from 'node:assert/strict'
import {
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomUUID,
  sign as signBytes,
} from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createAccessTokens } from '../../src/identity/access-token.ts'
import type { Jwk } from '../../src/identity/signing-keys/signing-key.ts'
import { openDb } from '../../src/platform/database/db.ts'
import { installationId } from '../../src/platform/ids.ts'
import { createEnvelope } from '../../src/platform/secrets/envelope.ts'
import { createKeyRing } from '../../src/platform/secrets/key-encryption.ts'
import { secretKey, startTestApp, type TestApp } from '../harness.ts'
import { addOrganization, addPerson } from '../people-and-keys.ts'
import { type Receiver, startReceiver } from '../receivers.ts'

const me = '/api/v1/auth/me'
type Json = Readonly<Record<string, unknown>>

const raw = (text: string): string => Buffer.from(text, 'utf8').toString('base64url')
const encode = (value: unknown): string => raw(typeof value === 'string' ? value : JSON.stringify(value))
const claimsOf = (token: string): Json =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
const derived = (info: string): Buffer => Buffer.from(hkdfSync('sha256', secretKey, '', info, 32))
const hmac =
  (key: Buffer | string, algorithm = 'sha256') =>
  (signed: string): Buffer =>
    createHmac(algorithm, key).update(signed).digest()

/** What a forger has: everything that is public and, harder than in real life, often the signing key itself. */
interface Workshop {
  readonly t: TestApp
  readonly good: string
  readonly claims: Json
  /** The header that the service itself would write. */
  readonly header: Json
  /** Signs as the service does. */
  readonly ours: (signed: string) => Buffer
  readonly jwks: readonly Jwk[]
  readonly elsewhere: { readonly organizationId: string; readonly personId: string; readonly token: string }
  readonly colleague: { readonly id: string; readonly token: string }
  readonly certificate: string
  readonly receiver: Receiver
  readonly foreign: {
    readonly ed: KeyObject
    readonly rsa: KeyObject
    readonly p256: KeyObject
    readonly jwk: Json
  }
}

type Forgery = (w: Workshop) => string | Promise<string>

/** A token with this header and these claims, with a valid signature by default. */
const token = (w: Workshop, header: unknown, claims: unknown, by = w.ours): string => {
  const signed = `${encode(header)}.${encode(claims)}`
  return `${signed}.${by(signed).toString('base64url')}`
}
const withHeader =
  (change: Json): Forgery =>
  (w) =>
    token(w, { ...w.header, ...change }, w.claims)
const withClaims =
  (change: Json | ((w: Workshop) => Json)): Forgery =>
  (w) =>
    token(w, w.header, { ...w.claims, ...(typeof change === 'function' ? change(w) : change) })
const segments = (w: Workshop) => w.good.split('.') as [string, string, string]
const now = (w: Workshop): number => Math.floor(w.t.clock.now().getTime() / 1_000)
const swapped = (part: string, at: number): string =>
  part.slice(0, at) + (part[at] === 'A' ? 'B' : 'A') + part.slice(at + 1)
const signWith =
  (key: KeyObject, algorithm: string | null) =>
  (signed: string): Buffer =>
    signBytes(algorithm, Buffer.from(signed), key)

const algorithms: Readonly<Record<string, Forgery>> = {
  ...Object.fromEntries(
    ['none', 'None', 'NONE', 'nOnE', 'none ', '', null, 0, ['HS256'], ['EdDSA'], { alg: 'HS256' }, undefined].map(
      (alg) => [
        `alg ${JSON.stringify(alg)} without a signature`,
        (w: Workshop) => `${encode({ ...w.header, alg })}.${encode(w.claims)}.`,
      ],
    ),
  ),
  'alg none with a right signature': withHeader({ alg: 'none' }),
  'alg HS384, rightly hashed': (w) =>
    token(w, { ...w.header, alg: 'HS384' }, w.claims, hmac(derived('hitl access token v1'), 'sha384')),
  'alg HS512, rightly hashed': (w) =>
    token(w, { ...w.header, alg: 'HS512' }, w.claims, hmac(derived('hitl access token v1'), 'sha512')),
  'alg HS256 in small letters': withHeader({ alg: 'hs256' }),
  'alg Ed25519, its newer name': withHeader({ alg: 'Ed25519' }),
  'alg RS256, rightly signed by us': withHeader({ alg: 'RS256' }),
  'alg RS256 with a key of the forger': (w) =>
    token(w, { ...w.header, alg: 'RS256' }, w.claims, signWith(w.foreign.rsa, 'sha256')),
  'alg ES256 with a key of the forger': (w) =>
    token(w, { ...w.header, alg: 'ES256' }, w.claims, signWith(w.foreign.p256, 'sha256')),
  'alg ES256 with an all-zero signature': (w) =>
    token(w, { ...w.header, alg: 'ES256' }, w.claims, () => Buffer.alloc(64)),
  'alg EdDSA with a key of the forger': (w) =>
    token(w, { ...w.header, alg: 'EdDSA' }, w.claims, signWith(w.foreign.ed, null)),
  'alg EdDSA with an all-zero signature': (w) =>
    token(w, { ...w.header, alg: 'EdDSA' }, w.claims, () => Buffer.alloc(64)),
  'our header, signed by the forger': (w) => token(w, w.header, w.claims, signWith(w.foreign.ed, null)),
  ...Object.fromEntries(
    Object.entries({
      'as a JWK': (jwk: Jwk) => JSON.stringify(jwk),
      'as raw bytes': (jwk: Jwk) => Buffer.from(jwk.x, 'base64url'),
      'as text': (jwk: Jwk) => jwk.x,
      'as its key id': (jwk: Jwk) => jwk.kid,
    }).map(([how, keyOf]) => [
      `alg HS256 with a published key ${how} for a secret`,
      (w: Workshop) => token(w, { alg: 'HS256', typ: 'at+jwt' }, w.claims, hmac(keyOf(w.jwks.at(-1) as Jwk))),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries({
      'SECRET_KEY itself': Buffer.from(secretKey),
      'an empty key': Buffer.alloc(0),
      zeros: Buffer.alloc(32),
      'the word secret': Buffer.from('secret'),
      'the key of the first sealed texts': derived('hitl sealed text v1'),
      'the key-encryption key': derived('hitl key encryption key v1'),
      'another SECRET_KEY': Buffer.from(hkdfSync('sha256', `${secretKey} `, '', 'hitl access token v1', 32)),
    }).map(([what, key]) => [
      `alg HS256 signed with ${what}`,
      (w: Workshop) => token(w, { alg: 'HS256', typ: 'at+jwt' }, w.claims, hmac(key)),
    ]),
  ),
}

const headers: Readonly<Record<string, Forgery>> = {
  ...Object.fromEntries(
    [
      '../../../../../../dev/null',
      '/dev/null',
      "' union select 'x' -- ",
      "'; drop table signing_keys; --",
      'https://example.com/key',
      'key\u0000id',
      'ключ',
      '',
      'x'.repeat(43),
      'x'.repeat(5_000),
      5,
      null,
      ['x'],
      { x: 1 },
    ].map((kid) => [`kid ${JSON.stringify(kid).slice(0, 40)}`, withHeader({ kid })]),
  ),
  'kid of nothing, signed with an empty secret': (w) =>
    token(w, { alg: 'HS256', typ: 'at+jwt', kid: '/dev/null' }, w.claims, hmac('')),
  'kid of the certificates key': (w) =>
    withHeader({ kid: w.jwks.find((jwk) => jwk.purpose === 'certificate')?.kid })(w),
  'kid of the audit key': (w) => withHeader({ kid: w.jwks.find((jwk) => jwk.purpose === 'audit_head')?.kid })(w),
  'jwk of the forger, signed by the forger': (w) =>
    token(w, { ...w.header, alg: 'EdDSA', jwk: w.foreign.jwk }, w.claims, signWith(w.foreign.ed, null)),
  'jwk beside a right signature': (w) => withHeader({ jwk: w.foreign.jwk })(w),
  'jku of the forger': (w) =>
    token(w, { ...w.header, alg: 'EdDSA', jku: w.receiver.url }, w.claims, signWith(w.foreign.ed, null)),
  'jku beside a right signature': (w) => withHeader({ jku: w.receiver.url })(w),
  'x5u of the forger': (w) => withHeader({ x5u: w.receiver.url })(w),
  'x5c of the forger': withHeader({ x5c: ['MIIB'] }),
  x5t: withHeader({ x5t: 'x', 'x5t#S256': 'x' }),
  'crit of something unknown': withHeader({ crit: ['x'], x: 1 }),
  'crit of a known claim': withHeader({ crit: ['exp'], exp: 1 }),
  'an empty crit': withHeader({ crit: [] }),
  'an unencoded payload': withHeader({ crit: ['b64'], b64: false }),
  'a compressed payload': withHeader({ zip: 'DEF' }),
  'cty JWT': withHeader({ cty: 'JWT' }),
  ...Object.fromEntries(
    ['JWT', 'AT+JWT', 'application/at+jwt', 'hitl-decision+jwt', 'at+jwt ', null, undefined].map((typ) => [
      `typ ${JSON.stringify(typ)}`,
      withHeader({ typ }),
    ]),
  ),
  'a member of its own': withHeader({ x: 1 }),
  'its members in another order': (w) => token(w, Object.fromEntries(Object.entries(w.header).reverse()), w.claims),
  'white space in it': (w) => token(w, JSON.stringify(w.header, null, 1), w.claims),
  'alg twice, none first': (w) => token(w, `{"alg":"none",${JSON.stringify(w.header).slice(1)}`, w.claims),
  'alg twice, none last': (w) => token(w, `${JSON.stringify(w.header).slice(0, -1)},"alg":"none"}`, w.claims),
  'a spelled-out letter': (w) => token(w, JSON.stringify(w.header).replace('"alg"', '"\\u0061lg"'), w.claims),
  'a byte order mark': (w) => token(w, `\ufeff${JSON.stringify(w.header)}`, w.claims),
  ...Object.fromEntries(
    ['[]', 'null', '"HS256"', '{}', '{', ''].map((text) => [
      `${text || 'nothing'} for it`,
      (w: Workshop) => token(w, text, w.claims),
    ]),
  ),
}

const claims: Readonly<Record<string, Forgery>> = {
  ...Object.fromEntries(
    ['elsewhere', 'HITL', 'hitl ', '', null, ['hitl'], undefined].map((iss) => [
      `iss ${JSON.stringify(iss)}`,
      withClaims({ iss }),
    ]),
  ),
  ...Object.fromEntries(
    ['elsewhere', 'hitl', ['hitl-api'], ['hitl-api', 'x'], [], null, undefined].map((aud) => [
      `aud ${JSON.stringify(aud)}`,
      withClaims({ aud }),
    ]),
  ),
  'sub of a colleague, with another session': withClaims((w) => ({ sub: w.colleague.id })),
  'sub of nobody': withClaims(() => ({ sub: randomUUID() })),
  'sub in capitals': withClaims((w) => ({ sub: String(w.claims.sub).toUpperCase() })),
  ...Object.fromEntries(
    [undefined, null, 5, '', "' or '1'='1", '*', ['x'], { x: 1 }, '00000000-0000-0000-0000-000000000000'].map((sub) => [
      `sub ${JSON.stringify(sub)}`,
      withClaims({ sub }),
    ]),
  ),
  'org of another organization': withClaims((w) => ({ org: w.elsewhere.organizationId })),
  'org and sub of another organization': withClaims((w) => ({
    org: w.elsewhere.organizationId,
    sub: w.elsewhere.personId,
  })),
  'the session of another organization': withClaims((w) => ({ sid: claimsOf(w.elsewhere.token).sid })),
  'the session of a colleague': withClaims((w) => ({ sid: claimsOf(w.colleague.token).sid })),
  'the whole of another organization but its own session': withClaims((w) => ({
    ...claimsOf(w.elsewhere.token),
    sid: w.claims.sid,
  })),
  ...Object.fromEntries(
    [undefined, null, 5, '', '%', ['x'], '00000000-0000-0000-0000-000000000000'].flatMap((value) => [
      [`org ${JSON.stringify(value)}`, withClaims({ org: value })],
      [`sid ${JSON.stringify(value)}`, withClaims({ sid: value })],
    ]),
  ),
  expired: withClaims((w) => ({ iat: now(w) - 700, exp: now(w) - 1 })),
  'expired in this second': withClaims((w) => ({ exp: now(w) })),
  'living longer than any token of ours': withClaims((w) => ({ exp: now(w) + 86_400 })),
  'living for ever': withClaims({ exp: 9_007_199_254_740_991 }),
  'issued in the future': withClaims((w) => ({ iat: now(w) + 60, exp: now(w) + 120 })),
  'issued long ago for a long time': withClaims({ iat: 0 }),
  'not valid yet': withClaims((w) => ({ nbf: now(w) + 60 })),
  'nbf, which we do not write': withClaims((w) => ({ nbf: now(w) - 60 })),
  ...Object.fromEntries(
    [undefined, null, '2099-01-01', '9999999999', 1e99, -1, [1], true].flatMap((value) => [
      [`exp ${JSON.stringify(value)}`, withClaims({ exp: value })],
      [`iat ${JSON.stringify(value)}`, withClaims({ iat: value })],
    ]),
  ),
  'exp with a fraction': withClaims((w) => ({ exp: now(w) + 60.5 })),
  ...Object.fromEntries(
    ['sub', 'org', 'exp', 'iss', 'aud', 'sid'].flatMap((name) => [
      [
        `${name} twice, ours last`,
        (w: Workshop) => token(w, w.header, `{"${name}":"x",${JSON.stringify(w.claims).slice(1)}`),
      ],
      [
        `${name} twice, ours first`,
        (w: Workshop) => token(w, w.header, `${JSON.stringify(w.claims).slice(0, -1)},"${name}":"x"}`),
      ],
    ]),
  ),
  'a spelled-out letter in a name': (w) => token(w, w.header, JSON.stringify(w.claims).replace('"sub"', '"\\u0073ub"')),
  'white space in it': (w) => token(w, w.header, JSON.stringify(w.claims, null, 1)),
  'something behind it': (w) => token(w, w.header, `${JSON.stringify(w.claims)} `),
  'a prototype': (w) => token(w, w.header, `{"__proto__":${JSON.stringify(w.claims)}}`),
  'a token in the token': (w) => token(w, w.header, w.good),
  ...Object.fromEntries(
    ['[]', 'null', '{}', '{', '', '"x"', '5'].map((text) => [
      `${text || 'nothing'} for it`,
      (w: Workshop) => token(w, w.header, text),
    ]),
  ),
}

const spellings: Readonly<Record<string, Forgery>> = {
  'no signature': (w) => `${segments(w)[0]}.${segments(w)[1]}.`,
  'no signature and no dot': (w) => `${segments(w)[0]}.${segments(w)[1]}`,
  'the payload alone': (w) => segments(w)[1],
  'four parts': (w) => `${w.good}.${segments(w)[2]}`,
  'five parts': (w) => `${w.good}.a.b`,
  'a dot behind it': (w) => `${w.good}.`,
  'a dot before it': (w) => `.${w.good}`,
  'a signature cut by one character': (w) => w.good.slice(0, -1),
  'a signature cut by half': (w) => w.good.slice(0, -22),
  'a longer signature': (w) => `${w.good}A`,
  'a much longer signature': (w) => w.good + segments(w)[2],
  'padding behind the signature': (w) => `${w.good}=`,
  'padding behind the header': (w) => w.good.replace('.', '=.'),
  'loose bits in the last character': (w) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    return w.good.slice(0, -1) + alphabet[alphabet.indexOf(w.good.at(-1) ?? '') + 1]
  },
  'a signature in hex': (w) => {
    const [header, payload, signature] = segments(w)
    return `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('hex')}`
  },
  ...Object.fromEntries(
    [0, 1, 7, 20, 30].map((at) => [
      `character ${at} of the signature changed`,
      (w: Workshop) => {
        const [header, payload, signature] = segments(w)
        return `${header}.${payload}.${swapped(signature, at)}`
      },
    ]),
  ),
  'a character of the payload changed': (w) => {
    const [header, payload, signature] = segments(w)
    return `${header}.${swapped(payload, 30)}.${signature}`
  },
  'a character of the header changed': (w) => {
    const [header, payload, signature] = segments(w)
    return `${swapped(header, 8)}.${payload}.${signature}`
  },
  "a colleague's claims under this signature": (w) =>
    `${segments(w)[0]}.${w.colleague.token.split('.')[1]}.${segments(w)[2]}`,
  'this signature under altered claims': (w) =>
    `${segments(w)[0]}.${encode({ ...w.claims, sub: w.colleague.id })}.${segments(w)[2]}`,
  'the token twice, with a comma': (w) => `${w.good},${w.good}`,
  'the token in base64': (w) => raw(w.good),
  'the token in quotes': (w) => `"${w.good}"`,
  'the token percent-encoded': (w) => w.good.replaceAll('.', '%2E'),
  'other dots': (w) => w.good.replaceAll('.', '\u2024'),
  'a letter that looks like another': (w) => w.good.replace('e', '\u0435'),
  'a NUL behind it': (w) => `${w.good}\u0000`,
  'an invisible character in it': (w) => w.good.replace('.', '\u200b.'),
  'all in small letters': (w) => w.good.toLowerCase(),
}

const otherThingsWeSign: Readonly<Record<string, Forgery>> = {
  'a decision certificate': (w) => w.certificate,
  'our claims under the key of certificates': (w) =>
    w.t.app.identity.signingKeys.sign('certificate', w.claims, { typ: 'at+jwt' }),
  'our claims under the key of the audit': (w) =>
    w.t.app.identity.signingKeys.sign('audit_head', w.claims, { typ: 'at+jwt' }),
  'our claims under the access token key, as another type': (w) =>
    w.t.app.identity.signingKeys.sign('access_token', w.claims, { typ: 'JWT' }),
  'a head of the audit': (w) =>
    w.t.app.identity.signingKeys.sign(
      'audit_head',
      { organization_id: w.t.organizationId },
      { typ: 'hitl-audit-head+jwt' },
    ),
  'an API key with its checksum changed': (w) => swapped(w.t.apiKey, w.t.apiKey.length - 1),
  'an API key with its secret changed': (w) => swapped(w.t.apiKey, 40),
  'an API key without its prefix': (w) => w.t.apiKey.slice(5),
}

const groups = { algorithms, headers, claims, spellings, otherThingsWeSign }

test('there are at least 100 of them', () => {
  const names = Object.values(groups).flatMap((group) => Object.keys(group))
  assert.ok(names.length >= 100, `${names.length}`)
})

for (const algorithm of ['HS256', 'EdDSA'] as const) {
  describe(`with ACCESS_TOKEN_ALGORITHM=${algorithm}, 401 for`, () => {
    let w: Workshop
    before(async () => {
      w = await workshop(algorithm)
      const reply = await w.t.call('GET', me, { as: w.good })
      assert.equal(reply.status, 200, 'the good token is good, so what is changed in it is what is refused')
      // The forger's signature is right: a token that it signs unchanged is accepted.
      assert.equal((await w.t.call('GET', me, { as: token(w, w.header, w.claims) })).status, 200)
    })
    after(async () => {
      assert.equal(w.receiver.requests.length, 0, 'nothing was fetched from an address in a token')
      assert.equal((await w.t.call('GET', me, { as: w.good })).status, 200, 'the good one is good to the end')
      await w.receiver.close()
      await w.t.stop()
    })
    for (const [group, forgeries] of Object.entries(groups)) {
      for (const [what, forge] of Object.entries(forgeries)) {
        test(`${group}: ${what}`, async () => {
          const forged = await forge(w)
          assert.notEqual(forged, w.good)
          const reply = await w.t.call('GET', me, { headers: { authorization: `Bearer ${forged}` } })
          assert.equal(reply.status, 401, `${forged}\n${reply.text}`)
          assert.ok(['auth.invalid', 'auth.missing'].includes(reply.body.code))
        })
      }
    }
    test('a perfect token of the other algorithm', async () => {
      const other = algorithm === 'HS256' ? { signingKeys: w.t.app.identity.signingKeys } : {}
      const { organizationId, userId, sessionId } = subjectOf(w.good)
      const { token: perfect } = await createAccessTokens(secretKey, 30, other).sign(
        { organizationId, userId, sessionId },
        w.t.clock.now(),
      )
      assert.equal((await w.t.call('GET', me, { as: perfect })).status, 401)
    })
  })
}

const subjectOf = (access: string) => {
  const { org, sub, sid } = claimsOf(access)
  return { organizationId: String(org), userId: String(sub), sessionId: String(sid) }
}

async function workshop(algorithm: 'HS256' | 'EdDSA'): Promise<Workshop> {
  const t = await startTestApp({ environment: { ACCESS_TOKEN_ALGORITHM: algorithm } })
  const tokens = createAccessTokens(
    secretKey,
    30,
    algorithm === 'EdDSA' ? { signingKeys: t.app.identity.signingKeys } : {},
  )
  const signIn = async (as: string) => (await tokens.sign(subjectOf(as), t.clock.now())).token
  const good = await signIn(t.admin.token)
  await t.app.identity.signingKeys.signer('access_token')
  const [colleague, other] = [await addPerson(t), await addOrganization(t)]
  const { id } = await t.createRequest()
  const body = { decision: 'approve' }
  const answered = await t.call('POST', `/api/v1/requests/${id}/respond`, { as: await signIn(t.reviewer.token), body })
  assert.equal(answered.status, 200, answered.text)
  const ed = generateKeyPairSync('ed25519').privateKey
  const { d: _private, ...jwk } = ed.export({ format: 'jwk' })
  return {
    t,
    good,
    claims: claimsOf(good),
    header: JSON.parse(Buffer.from(good.split('.')[0] ?? '', 'base64url').toString('utf8')),
    ours: algorithm === 'HS256' ? hmac(derived('hitl access token v1')) : signWith(await ourPrivateKey(t), null),
    jwks: await t.app.identity.signingKeys.keySet(),
    elsewhere: {
      organizationId: other.organizationId,
      personId: other.admin.id,
      token: await signIn(other.admin.token),
    },
    colleague: { id: colleague.id, token: await signIn(colleague.token) },
    certificate: answered.body.certificate,
    receiver: await startReceiver(),
    foreign: {
      ed,
      rsa: generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey,
      p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
      jwk: jwk as Json,
    },
  }
}

/** Read from the database with SECRET_KEY: the best forger there can be. */
async function ourPrivateKey(t: TestApp): Promise<KeyObject> {
  const [row] = await t.sql(`select id, public_key, private_key from signing_keys where purpose = 'access_token'`)
  const { id, public_key: x, private_key: sealed } = row as { id: string; public_key: Buffer; private_key: Buffer }
  const db = openDb({ connection: t.connection, poolSize: 1, role: 'hitl_app', onError: () => {} })
  const keyRing = createKeyRing({ configured: [], secretKey, previousSecretKey: null })
  const place = { organizationId: installationId, table: 'signing_keys', column: 'private_key', row: id }
  const d = await createEnvelope({ db, keyRing }).open(sealed, place)
  await db.close()
  return createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url'), d }, format: 'jwk' })
}
