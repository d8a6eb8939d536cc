import { randomUUID } from 'node:crypto'
import type { Case, Code } from './case.ts'
import type { Exports } from './exports.ts'
import {
  type Claims,
  claimsOf,
  createKey,
  forger,
  type History,
  jws,
  type OwnKey,
  type Remake,
  remake,
  setOf,
  sha256,
} from './history.ts'

const hashOf = (text: string): string => sha256(text).toString('hex')

/** A well-formed history of three batches, made from nothing, with one thing odd in it and every signature valid. */
export function* signedOddly({ keys: ofService }: Exports): Generator<Case> {
  const own = createKey()
  const keys = setOf('{"keys":[]}', own.entry())
  const organization = randomUUID()
  const record = (more: Claims = {}): Claims => ({
    actor: { id: null, key_id: null, kind: 'system', session_id: null, signed_in_with: null },
    after: null,
    before: null,
    digest: null,
    erasable_sha256: null,
    http_request_id: null,
    id: randomUUID(),
    kind: 'x.tried',
    occurred_at: '2026-01-31T09:05:00.512Z',
    organization_id: organization,
    subject: { id: randomUUID(), kind: 'request' },
    v: 1,
    ...more,
  })
  const event = (more: Claims = {}) => ({ record: JSON.stringify(record(more)), erasable: null })
  const batch = (...events: History['batches'][0]['events']) => ({
    events,
    claims: { organization_id: organization, sealed_at: '2026-01-31T09:05:01.000Z' },
  })
  const header = {
    hitl_audit_export: 1,
    organization_id: organization,
    first_seal: 1,
    first_position: 1,
    previous: null,
  }
  const end = {
    organization_id: organization,
    exported_at: '2026-01-31T10:00:00.000Z',
    after: null,
    purged_up_to: null,
    unsealed_events: 0,
    unsealed_erasures: 0,
    unsealed_purges: 0,
    misplaced_events: 0,
    mismatched_columns: 0,
  }
  const ordinary: History = {
    header,
    batches: [batch(event(), event()), batch(event()), batch(event(), event(), event())],
    end,
  }
  const say = (
    name: string,
    options: Partial<Remake> = {},
    history: History = ordinary,
    more: Partial<Case> = {},
  ): Case => ({
    name: `validly signed: ${name}`,
    file: remake(history, { signer: own, ...options }),
    keys,
    ...more,
  })
  yield say('nothing odd', {}, ordinary, { expected: 0 })
  yield say('no seals', {}, { header, batches: [], end }, { expected: 0 })

  // Each claim of the head and of the end.
  const odd: Readonly<Record<string, unknown>> = {
    null: null,
    'a number': 7,
    'a negative number': -1,
    zero: 0,
    'a fraction': 1.5,
    'a number too large': 2 ** 53,
    'a numeral': '1',
    'an empty text': '',
    true: true,
    'an object': {},
    'an array': [],
    'a hash': 'ab'.repeat(32),
    'a hash in upper case': 'AB'.repeat(32),
    'a time': '2026-01-31T09:30:00.000Z',
    'a time without milliseconds': '2026-01-31T09:30:00Z',
    'a time with an offset': '2026-01-31T09:30:00.000+00:00',
    'a day that is not': '2026-02-30T09:30:00.000Z',
    'an hour that is not': '2026-01-31T25:30:00.000Z',
    'midnight at the end of a day': '2026-01-30T24:00:00.000Z',
    'a leap second': '2026-01-31T09:30:60.000Z',
    'another organization': randomUUID(),
    'the organization in upper case': organization.toUpperCase(),
  }
  for (const name of [
    'organization_id',
    'number',
    'first',
    'last',
    'root',
    'link',
    'previous_seal_sha256',
    'sealed_at',
    'more',
  ]) {
    for (const [what, value] of Object.entries(odd)) {
      yield say(`${name} of a head is ${what}`, {
        head: (claims, number) => (number === 2 ? { ...claims, [name]: value } : claims),
      })
    }
    yield say(`a head without ${name}`, {
      head: (claims, number) => (number === 2 ? { ...claims, [name]: undefined } : claims),
    })
  }
  for (const name of [...Object.keys(end), 'first_seal', 'last_seal', 'last_position', 'last_seal_sha256', 'more']) {
    for (const [what, value] of Object.entries(odd)) {
      yield say(`${name} of the end is ${what}`, { end: (claims) => ({ ...claims, [name]: value }) })
    }
    yield say(`an end without ${name}`, { end: (claims) => ({ ...claims, [name]: undefined }) })
  }
  for (const [name, edit] of Object.entries({
    'members turned round': (claims: Claims) => Object.fromEntries(Object.entries(claims).reverse()),
    'blanks inside': (claims: Claims) => JSON.stringify(claims, null, 1),
    'a claim twice': (claims: Claims) =>
      JSON.stringify(claims).replace('{', '{"number":1,"exported_at":"2026-01-31T10:00:00.000Z",'),
    'an array': (claims: Claims) => [claims],
    'no JSON': () => 'x',
    'a number with a fraction of zero': (claims: Claims) =>
      JSON.stringify(claims).replace(/"(number|last_seal)":(\d+)/, '"$1":$2.0'),
    'a number with an exponent': (claims: Claims) =>
      JSON.stringify(claims).replace(/"(number|last_seal)":(\d+)/, '"$1":$2e0'),
    'a BOM': (claims: Claims) => `\uFEFF${JSON.stringify(claims)}`,
    'escaped letters': (claims: Claims) =>
      JSON.stringify(claims).replace('"organization_id"', '"\\u006frganization_id"'),
  })) {
    yield say(`head with ${name}`, { head: (claims, number) => (number === 2 ? edit(claims) : claims) })
    yield say(`end with ${name}`, { end: edit })
  }
  for (const [name, more] of Object.entries({
    'one more member': { x: 1 },
    'an empty crit': { crit: [] },
    'a crit of null': { crit: null },
    'alg in lower case': { alg: 'eddsa' },
    'alg Ed25519': { alg: 'Ed25519' },
    'no typ': { typ: undefined },
    'typ of certificates': { typ: 'hitl-decision+jwt' },
    'no kid': { kid: undefined },
    'b64 false': { b64: false },
    'a key of its own': { jwk: own.entry() },
  })) {
    yield say(`JWS header with ${name}`, { jwsHeader: (given) => ({ ...given, ...more }) })
  }
  yield say('JWS header with members turned round', {
    jwsHeader: (given) => Object.fromEntries(Object.entries(given).reverse()),
  })
  yield say('JWS header with blanks', { jwsHeader: (given) => JSON.stringify(given, null, 1) })

  // Each member of a record, and its form.
  const with2 = (...events: History['batches'][0]['events']): History => ({
    ...ordinary,
    batches: [batch(event()), batch(...events), batch(event())],
  })
  for (const name of Object.keys(record())) {
    for (const [what, value] of Object.entries(odd))
      yield say(`${name} of a record is ${what}`, {}, with2(event({ [name]: value })))
    yield say(`a record without ${name}`, {}, with2(event({ [name]: undefined })))
  }
  const raw = (text: string) => with2({ record: text, erasable: null })
  const text = JSON.stringify(record())
  for (const [name, changedText] of Object.entries({
    'one more member': text.replace(',"v":1}', ',"u":1,"v":1}'),
    'members not sorted': text.replace(/^\{("actor":\{[^}]*\}),("after":null)/, '{$2,$1'),
    blanks: text.replace('"after":null', '"after": null'),
    'v as 1.0': text.replace(',"v":1}', ',"v":1.0}'),
    'v twice': text.replace(',"v":1}', ',"v":2,"v":1}'),
    'a member twice': text.replace('"after":null', '"after":{"x":1},"after":null'),
    'a number too large': text.replace('"after":null', '"after":{"n":1e999}'),
    'a lone surrogate': text.replace('"after":null', '"after":{"n":"\\ud800"}'),
    'an escaped letter': text.replace('"x.tried"', '"\\u0078.tried"'),
    'an array': `[${text}]`,
    'no JSON': text.replace('"after":null', '"after":'),
    'no JSON, but a name': text.replace('"actor"', 'actor'),
    'a number that is none': text.replace('"after":null', '"after":{"n":01}'),
    'a byte 0 in it': text.replace('x.tried', 'x\u0000tried'),
    'a brace too many': text.replace('"after":null', '"after":{}}'),
    'a carriage return behind it': `${text}\r`,
    'a line separator in it': text.replace('x.tried', 'x\u2028tried'),
    'a BOM in it': text.replace('x.tried', '\uFEFFx.tried'),
  })) {
    yield say(`a record with ${name}`, {}, raw(changedText))
  }
  const unreadable = text.replace('"after":null', '"after":')
  yield say('a record that is no JSON', {}, raw(unreadable), { expected: 0 })
  const lost = unreadable.replace('"erasable_sha256":null', `"erasable_sha256":"${hashOf('{}')}"`)
  yield say('a missing part of a record that is no JSON', {}, raw(lost), { expected: 2 })
  yield say('a part of a record that is no JSON', {}, with2({ record: lost, erasable: '{}' }), { expected: 0 })
  for (const [name, part] of Object.entries({
    'an erasable part of no object': '1',
    'an erasable part of null': 'null',
    'an erasable part with blanks': '{"salt": "x"}',
    'an erasable part with a member twice': '{"salt":"x","salt":"y"}',
    'an empty erasable part': '{}',
  })) {
    yield say(name, {}, with2({ record: JSON.stringify(record({ erasable_sha256: hashOf(part) })), erasable: part }))
  }

  // Erasures.
  const part = '{"comment":"no","salt":"00112233445566778899aabbccddeeff"}'
  const lacking = { record: JSON.stringify(record({ erasable_sha256: hashOf(part) })), erasable: null }
  const { id } = JSON.parse(lacking.record)
  const erasedBy = (after: unknown, kind = 'audit.erased') => event({ kind, after })
  for (const [name, expected, events] of [
    ['explained', 0, [lacking, erasedBy({ events: [id] })]],
    ['explained among others', 0, [lacking, erasedBy({ events: [randomUUID(), id], reason: 'x' })]],
    ['explained too early', 2, [erasedBy({ events: [id] }), lacking]],
    ['explained twice', 0, [lacking, erasedBy({ events: [id] }), erasedBy({ events: [id] })]],
    ['not explained', 2, [lacking]],
    ['explained for another event', 2, [lacking, erasedBy({ events: [randomUUID()] })]],
    ['explained by another kind', 2, [lacking, erasedBy({ events: [id] }, 'audit.erasure_refused')]],
    ['explained as a text', 2, [lacking, erasedBy({ events: id })]],
    ['explained as a member', 2, [lacking, erasedBy({ events: { [id]: true } })]],
    ['explained by the list itself', 2, [lacking, erasedBy([id])]],
    ['explained in upper case', 2, [lacking, erasedBy({ events: [id.toUpperCase()] })]],
    ['explained, and there', 0, [{ ...lacking, erasable: part }, erasedBy({ events: [id] })]],
  ] as const) {
    yield say(`a missing part, ${name}`, {}, with2(...events), { expected })
  }
  const count = (more: Claims): Partial<Remake> => ({ end: (claims) => ({ ...claims, ...more }) })
  yield say(
    'a missing part, and an unsealed erasure',
    count({ unsealed_events: 1, unsealed_erasures: 1 }),
    with2(lacking),
    { expected: 3 },
  )
  yield say(
    'a missing part, and an unsealed purge',
    count({ unsealed_events: 1, unsealed_purges: 1 }),
    with2(lacking),
    { expected: 2 },
  )
  yield say(
    'a missing part, an edited one, and an unsealed erasure',
    count({ unsealed_events: 1, unsealed_erasures: 1 }),
    with2(lacking, { ...lacking, erasable: '{}' }),
    { expected: 2 },
  )

  // Beginnings.
  const purgedBy = (after: unknown, kind = 'audit.purged') => event({ kind, after })
  const before = remake(ordinary, { signer: own }).split('\n')
  const anchor: string = JSON.parse(before[5] ?? '').seal
  const behind = (previous: unknown, ...events: History['batches'][0]['events']): History => ({
    header: { ...header, first_seal: 3, first_position: 4, previous },
    batches: [batch(event(), ...events)],
    end,
  })
  const begun = (name: string, expected: Code | undefined, history: History, options: Partial<Remake> = {}) =>
    say(`begins behind seal 2, ${name}`, options, history, expected === undefined ? {} : { expected })
  yield begun('as asked', 0, behind(anchor), count({ after: 2 }))
  yield begun('asked for 1', undefined, behind(anchor), count({ after: 1 }))
  yield begun('asked for 3', undefined, behind(anchor), count({ after: 3 }))
  yield begun('asked for everything', 2, behind(anchor), count({ after: 0 }))
  yield begun('unexplained', 2, behind(anchor))
  yield begun('said to be purged', 2, behind(anchor), count({ purged_up_to: 2 }))
  yield begun(
    'purged',
    0,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 2, up_to_position: 3 })),
    count({ purged_up_to: 2 }),
  )
  yield begun(
    'purged, and not said',
    undefined,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 2, up_to_position: 3 })),
  )
  yield begun(
    'purged up to 1',
    2,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 1, up_to_position: 3 })),
    count({ purged_up_to: 2 }),
  )
  yield begun(
    'purged up to 1, as said',
    2,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 1, up_to_position: 2 })),
    count({ purged_up_to: 1 }),
  )
  yield begun(
    'purged up to 9',
    2,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 9, up_to_position: 9 })),
    count({ purged_up_to: 2 }),
  )
  yield begun(
    'purged up to another position',
    2,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 2, up_to_position: 4 })),
    count({ purged_up_to: 2 }),
  )
  yield begun(
    'purged, in numerals',
    2,
    behind(anchor, purgedBy({ events: 3, up_to_seal: '2', up_to_position: '3' })),
    count({ purged_up_to: 2 }),
  )
  yield begun(
    'purged by another kind',
    2,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 2, up_to_position: 3 }, 'audit.erased')),
    count({ purged_up_to: 2 }),
  )
  yield begun(
    'purged, asked for 1',
    undefined,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 2, up_to_position: 3 })),
    count({ after: 1, purged_up_to: 2 }),
  )
  yield begun(
    'purged, asked for 9',
    undefined,
    behind(anchor, purgedBy({ events: 3, up_to_seal: 2, up_to_position: 3 })),
    count({ after: 9, purged_up_to: 2 }),
  )
  yield begun('and an unsealed purge', 3, behind(anchor), count({ unsealed_events: 1, unsealed_purges: 1 }))
  yield begun('and an unsealed erasure', 2, behind(anchor), count({ unsealed_events: 1, unsealed_erasures: 1 }))
  yield begun('holding nothing, as asked', 0, { ...behind(anchor), batches: [] }, count({ after: 2 }))
  yield begun('holding nothing, unexplained', 2, { ...behind(anchor), batches: [] })
  yield begun('without the seal before', 2, behind(null), count({ after: 2 }))
  yield begun('with another seal before', 2, behind(JSON.parse(before[3] ?? '').seal), count({ after: 2 }))
  yield begun('with a seal before that is the end', 2, behind(JSON.parse(before.at(-2) ?? '').end), count({ after: 2 }))
  const strange = forger(own.kid)
  yield begun(
    'with a forged seal before',
    2,
    behind(jws('hitl-audit-head+jws', claimsOf(anchor), strange)),
    count({ after: 2 }),
  )
  const unknown = createKey()
  yield begun(
    'with a seal before under an unknown key',
    3,
    behind(jws('hitl-audit-head+jws', claimsOf(anchor), unknown)),
    count({ after: 2 }),
  )
  yield begun(
    'with a seal before of another organization',
    2,
    behind(jws('hitl-audit-head+jws', { ...claimsOf(anchor), organization_id: randomUUID() }, own)),
    count({ after: 2 }),
  )
  yield say('begins with seal 1, asked for 1', count({ after: 1 }))
  yield say('begins with seal 1, asked for 0', count({ after: 0 }), ordinary, { expected: 0 })
  yield say('begins with seal 1, purged up to 1', count({ purged_up_to: 1 }))
  yield say('no seals, asked for 1', count({ after: 1 }), { header, batches: [], end })
  yield say('unsealed events', count({ unsealed_events: 12 }), ordinary, { expected: 0 })
  yield say('more unsealed erasures than events', count({ unsealed_events: 1, unsealed_erasures: 2 }))
  yield say('a misplaced event', count({ unsealed_events: 1, misplaced_events: 1 }), ordinary, { expected: 2 })
  yield say('a column that differs', count({ mismatched_columns: 1 }), ordinary, { expected: 2 })
  yield say('an end before its last seal', count({ exported_at: '2026-01-31T09:00:00.000Z' }))
  yield say('events after the last seal', {}, ordinary)
  yield say(
    'a batch of nothing',
    {},
    { ...ordinary, batches: [batch(event()), batch(), batch(event())] },
    { expected: 2 },
  )
  yield say(
    '4096 events in a batch',
    {},
    { ...ordinary, batches: [batch(...Array.from({ length: 4_096 }, () => event()))] },
    { expected: 0 },
  )
  yield say(
    '4097 events in a batch',
    {},
    { ...ordinary, batches: [batch(...Array.from({ length: 4_097 }, () => event()))] },
  )
  const twice = event()
  yield say('an event twice', {}, with2(twice, twice))
  yield say('sealed before it happened', {}, with2(event({ occurred_at: '2027-01-31T09:05:00.512Z' })), { expected: 0 })
  yield say('backdated', {}, with2(event({ occurred_at: '2020-01-31T09:05:00.512Z' })), { expected: 0 })
  yield say('another organization’s record', {}, with2(event({ organization_id: randomUUID() })), { expected: 2 })
  const lastSeal = before.findLast((line) => line.startsWith('{"seal"')) ?? ''
  const unsealed = remake(ordinary, { signer: own }).replace(`${lastSeal}\n`, '')
  yield { name: 'validly signed: the last seal removed', file: unsealed, keys, expected: 2 }

  // Keys and their periods.
  const at = '2026-01-31T09:05:01.000Z'
  const retired = (seconds: number) => new Date(Date.parse(at) + seconds * 1_000).toISOString()
  const plain = remake({ ...ordinary, end: { ...end, exported_at: at } }, { signer: own })
  const under = (name: string, expected: Code | undefined, entry: Claims, file = plain): Case => ({
    name: `key ${name}`,
    file,
    keys: setOf('{"keys":[]}', entry),
    ...(expected === undefined ? {} : { expected }),
  })
  yield under('that retires later', 0, own.entry({ retired_at: retired(1) }))
  yield under('that retired at that time', 0, own.entry({ retired_at: retired(0) }))
  yield under('that retired 59 s before', 0, own.entry({ retired_at: retired(-59) }))
  yield under('that retired 60 s before', 0, own.entry({ retired_at: retired(-60) }))
  yield under('that retired 60.001 s before', 2, own.entry({ retired_at: retired(-60.001) }))
  yield under('that retired a day before', 2, own.entry({ retired_at: retired(-86_400) }))
  yield under('that is not active yet', undefined, own.entry({ active_at: retired(3_600) }))
  yield under('of certificates', 1, own.entry({ purpose: 'certificate' }))
  yield under('of access tokens', 1, own.entry({ purpose: 'access_token' }))
  yield under('without a purpose', undefined, own.entry({ purpose: undefined }))
  yield under(
    'without its periods',
    undefined,
    own.entry({ active_at: undefined, retired_at: undefined, revoked_at: undefined }),
  )
  yield under('that leaked', 3, own.entry({ revoked_at: at }))
  yield under('that leaked later', 3, own.entry({ revoked_at: retired(86_400) }))
  yield under('that leaked and had retired', 2, own.entry({ revoked_at: at, retired_at: retired(-86_400) }))
  yield under('with another kid', 3, own.entry({ kid: 'another' }))
  yield under('of another curve', undefined, own.entry({ crv: 'X25519' }))
  yield under('of another kind', undefined, own.entry({ kty: 'EC' }))
  yield under('with a short x', undefined, own.entry({ x: 'AAAA' }))
  yield under('with an x that is another key', 2, own.entry({ x: createKey().entry().x }))
  yield under('with a retired_at that is no time', undefined, own.entry({ retired_at: 'soon' }))
  const second = createKey()
  const mixed = (...signers: readonly OwnKey[]) =>
    remake(ordinary, { signer: (number) => signers[number - 1] ?? second, endSigner: second })
  const leaked = (more: Claims = {}) =>
    JSON.stringify({ keys: [own.entry({ revoked_at: at, ...more }), second.entry()] })
  yield { name: 'leaked, then another', file: mixed(own, own, second), keys: leaked(), expected: 0 }
  yield { name: 'leaked, another, leaked', file: mixed(own, second, own), keys: leaked(), expected: 3 }
  yield { name: 'another, then leaked', file: mixed(second, own, own), keys: leaked(), expected: 3 }
  yield { name: 'leaked, then unknown', file: mixed(own, own, unknown), keys: leaked(), expected: 3 }
  yield {
    name: 'leaked, then another that leaked too',
    file: mixed(own, own, second),
    keys: JSON.stringify({ keys: [own.entry({ revoked_at: at }), second.entry({ revoked_at: at })] }),
    expected: 3,
  }
  yield { name: 'unknown, then known', file: mixed(unknown, second, second), keys: leaked(), expected: 3 }
  yield {
    name: 'end of a leaked key only',
    file: remake(ordinary, { signer: second, endSigner: own }),
    keys: leaked(),
    expected: 3,
  }
  yield {
    name: 'end of a leaked key only, with its last head outside',
    file: remake(ordinary, { signer: second, endSigner: own }),
    keys: leaked(),
    heads: `${JSON.parse(remake(ordinary, { signer: second, endSigner: own }).split('\n').at(-3) ?? '').seal}\n`,
    expected: 0,
  }
  yield {
    name: 'end of an unknown key only',
    file: remake(ordinary, { signer: second, endSigner: unknown }),
    keys: leaked(),
    expected: 3,
  }
  yield {
    name: 'end of an unknown key that contradicts',
    file: remake(ordinary, { signer: second, endSigner: unknown, end: (claims) => ({ ...claims, last_seal: 2 }) }),
    keys: leaked(),
  }
  yield {
    name: 'end of an unknown key with a misplaced event',
    file: remake(ordinary, {
      signer: second,
      endSigner: unknown,
      end: (claims) => ({ ...claims, misplaced_events: 1 }),
    }),
    keys: leaked(),
  }
  yield {
    name: 'end of an unknown key, a part missing',
    file: remake(with2(lacking), { signer: second, endSigner: unknown }),
    keys: leaked(),
  }
  yield {
    name: 'no seals, end of a leaked key',
    file: remake({ header, batches: [], end }, { signer: own }),
    keys: leaked(),
    expected: 3,
  }
  yield { name: 'the service’s keys only', file: plain, keys: ofService, expected: 3 }

  // Heads files.
  const texts = before.flatMap((line) => (line.startsWith('{"seal"') ? [JSON.parse(line).seal as string] : []))
  const [one = '', two = '', three = ''] = texts
  const file = remake(ordinary, { signer: own })
  const headsCase = (name: string, expected: Code | undefined, ...lines: readonly string[]): Case => ({
    name: `heads: ${name}`,
    file: before.join('\n'),
    keys,
    heads: lines.map((line) => `${line}\n`).join(''),
    ...(expected === undefined ? {} : { expected }),
  })
  const made = (more: Claims, signer = own as { kid: string; sign(text: string): Buffer }) =>
    jws('hitl-audit-head+jws', { ...claimsOf(three), ...more }, signer)
  const wrapped = (head: string, more: Claims = {}) =>
    JSON.stringify({ organization_id: organization, number: claimsOf(head).number, head, ...more })
  yield headsCase('none', 0)
  yield headsCase('all', 0, one, two, three)
  yield headsCase('in another order, twice', 0, three, one, two, one)
  yield headsCase('wrapped', 0, wrapped(one), two, wrapped(three))
  yield headsCase('wrapped, with another number', undefined, wrapped(one, { number: 7 }))
  yield headsCase('wrapped, with another organization', undefined, wrapped(one, { organization_id: randomUUID() }))
  yield headsCase('wrapped, with only the head', undefined, JSON.stringify({ head: one }))
  yield headsCase('wrapped, with more members', undefined, wrapped(one, { more: 1 }))
  yield headsCase(
    'wrapped, with blanks',
    undefined,
    JSON.stringify(JSON.parse(wrapped(one)), null, 1).replaceAll('\n', ''),
  )
  yield headsCase('wrapped, without a head', 2, '{"organization_id":"x","number":1}')
  yield headsCase('an empty line', undefined, one, '', two)
  yield headsCase('blanks around', undefined, ` ${one} `)
  yield headsCase('CRLF', undefined, `${one}\r`, `${two}\r`)
  yield headsCase('CRLF, wrapped', undefined, `${wrapped(one)}\r`, `${wrapped(two)}\r`)
  yield headsCase('BOM', undefined, `\uFEFF${one}`)
  yield headsCase('BOM, wrapped', undefined, `\uFEFF${wrapped(one)}`)
  yield headsCase('half a line', 2, one.slice(0, 100))
  yield headsCase('half a wrapped line', 3, wrapped(one).slice(0, 200))
  yield headsCase('half a line, and the whole one behind it', 2, `${wrapped(one).slice(0, 100)}${wrapped(one)}`)
  yield headsCase('no head', 2, 'x')
  yield headsCase('null', 2, 'null')
  yield headsCase('an array', 2, `["${one}"]`)
  yield headsCase('a text', 2, `"${one}"`)
  yield headsCase('an end', 2, JSON.parse(before.at(-2) ?? '').end)
  yield headsCase('another one with number 2', 2, made({ number: 2, first: 3, last: 3 }))
  yield headsCase('another one with the last number', 2, made({ root: 'ab'.repeat(32) }))
  yield headsCase('a later one, before the export', 2, made({ number: 4, first: 7, last: 7 }))
  yield headsCase(
    'a later one, at the time of the export',
    undefined,
    made({ number: 4, first: 7, last: 7, sealed_at: end.exported_at }),
  )
  yield headsCase(
    'a later one, after the export',
    0,
    made({ number: 4, first: 7, last: 7, sealed_at: '2026-01-31T10:00:00.001Z' }),
  )
  yield headsCase(
    'two later ones that differ',
    2,
    made({ number: 4, first: 7, last: 7, sealed_at: '2026-02-01T00:00:00.000Z' }),
    made({ number: 4, first: 7, last: 8, sealed_at: '2026-02-01T00:00:00.000Z' }),
  )
  yield headsCase(
    'a later one of no events',
    0,
    made({ number: 4, first: 7, last: 6, sealed_at: '2026-02-01T00:00:00.000Z' }),
  )
  yield headsCase('forged', 2, made({}, forger(own.kid)))
  yield headsCase(
    'forged, later',
    2,
    made({ number: 4, first: 7, last: 7, sealed_at: '2026-02-01T00:00:00.000Z' }, forger(own.kid)),
  )
  yield headsCase('forged, of another organization', 2, made({ organization_id: randomUUID() }, forger(own.kid)))
  yield headsCase(
    'malformed, of another organization',
    undefined,
    made({ organization_id: randomUUID(), root: 'x' }, forger(own.kid)),
  )
  yield headsCase('under an unknown key', 3, made({ root: 'ab'.repeat(32) }, unknown))
  yield headsCase('under an unknown key, missing', 3, made({ number: 4, first: 7, last: 7 }, unknown))
  yield headsCase('of other organizations only', 0, made({ organization_id: randomUUID() }))
  yield { name: 'heads: the last line without its end', file, keys, heads: texts[0] ?? '', expected: 0 }
  yield { name: 'heads: an empty file', file, keys, heads: '', expected: 0 }
  yield {
    name: 'heads: with an end that is missing',
    file: file
      .split('\n')
      .slice(0, -2)
      .map((line) => `${line}\n`)
      .join(''),
    keys,
    heads: `${made({ number: 9, first: 7, last: 7, sealed_at: '2027-01-01T00:00:00.000Z' })}\n`,
    expected: 2,
  }
  const partial = remake(behind(anchor), { signer: own, ...count({ after: 2 }) })
  yield {
    name: 'heads: before the file, another one',
    file: partial,
    keys,
    heads: `${jws('hitl-audit-head+jws', { ...claimsOf(one), root: 'ab'.repeat(32) }, own)}\n`,
    expected: 0,
  }
  yield {
    name: 'heads: the anchor, another one',
    file: partial,
    keys,
    heads: `${jws('hitl-audit-head+jws', { ...claimsOf(anchor), root: 'ab'.repeat(32) }, own)}\n`,
  }
  yield { name: 'heads: the anchor', file: partial, keys, heads: `${anchor}\n`, expected: 0 }
  const leakedOnly = JSON.stringify({ keys: [own.entry({ revoked_at: at })] })
  const lastOf = (text: string): string =>
    JSON.parse(text.split('\n').findLast((line) => line.startsWith('{"seal"')) ?? '').seal
  yield { name: 'heads: leaked, all outside', file, keys: leakedOnly, heads: `${lastOf(file)}\n`, expected: undefined }
  yield { name: 'heads: leaked, an earlier one outside', file, keys: leakedOnly, heads: `${one}\n`, expected: 3 }
  yield {
    name: 'heads: leaked, another one outside',
    file,
    keys: leakedOnly,
    heads: `${made({ root: 'ab'.repeat(32) })}\n`,
    expected: 2,
  }
  yield {
    name: 'heads: leaked, a later one outside',
    file,
    keys: leakedOnly,
    heads: `${made({ number: 4, first: 7, last: 7, sealed_at: '2026-02-01T00:00:00.000Z' })}\n`,
    expected: 3,
  }
  yield {
    name: 'heads: leaked anchor, nothing in the file',
    file: remake({ ...behind(anchor), batches: [] }, { signer: own, endSigner: second, ...count({ after: 2 }) }),
    keys: leaked(),
    expected: 3,
  }
  yield {
    name: 'heads: leaked anchor, outside too',
    file: remake({ ...behind(anchor), batches: [] }, { signer: own, endSigner: second, ...count({ after: 2 }) }),
    keys: leaked(),
    heads: `${anchor}\n`,
    expected: 0,
  }
}
