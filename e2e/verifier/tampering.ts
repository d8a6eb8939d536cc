import type { Case, Code } from './case.ts'
import type { Exports } from './exports.ts'
import { type Claims, claimsOf, createKey, forger, type History, parse, type Remake, remake, setOf } from './history.ts'
import { signedOddly } from './signed-oddly.ts'

const lineOf = (value: unknown): string => JSON.stringify(value)

/** The cases about files; those about databases need a database. */
export const groups: Readonly<Record<string, (exports: Exports) => Generator<Case>>> = {
  'exports as they are': untouched,
  'each member of each kind of record edited': editedRecords,
  'each line edited in each way': editedLines,
  'each claim of heads and ends edited, and what is around them': editedTokens,
  'lines removed, doubled, moved and put in': movedLines,
  'files cut off, encoded otherwise, or put together': brokenFiles,
  'beginnings removed': cutBeginnings,
  'histories made anew': rewritten,
  'well-formed histories with one odd thing, validly signed': signedOddly,
  'key sets': keySets,
  'heads files': headsOutside,
}

function* untouched(exports: Exports): Generator<Case> {
  const { keys, keysBefore, heads } = exports
  for (const name of ['rotated', 'purged', 'later', 'nothingSince', 'other', 'installation'] as const) {
    yield { name: `${name}, untouched`, file: exports[name], keys, expected: 0 }
    yield { name: `${name}, with all heads`, file: exports[name], keys, heads, expected: 0 }
  }
  for (const name of ['before', 'erased'] as const) {
    yield { name: `${name}, with the keys of then`, file: exports[name], keys: keysBefore, expected: 0 }
    yield { name: `${name}, after the key leaked`, file: exports[name], keys, expected: 3 }
    yield { name: `${name}, after the key leaked, with all heads`, file: exports[name], keys, heads, expected: 0 }
  }
  for (const name of ['rotated', 'purged', 'later', 'nothingSince'] as const) {
    yield { name: `${name}, with the keys before the rotation`, file: exports[name], keys: keysBefore, expected: 3 }
  }
}

// --- Single edits

const others: readonly ((value: unknown) => unknown)[] = [
  (value) =>
    typeof value === 'string' ? changed(value) : typeof value === 'number' ? value + 1 : changedObject(value),
  (value) => (value === null ? 'x' : null),
]

const changed = (text: string): string => (text === '' ? 'x' : `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`)

function changedObject(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return { x: 1 }
  if (Array.isArray(value)) return [...value, 'x']
  const [name = 'x', inner] = Object.entries(value)[0] ?? []
  return { ...value, [name]: inner === 1 ? 2 : 1 }
}

/** Each member of the first record of each kind, each in two ways; its erasable part too. */
function* editedRecords({ before, installation, keysBefore, keys }: Exports): Generator<Case> {
  for (const [text, set] of [
    [before, keysBefore],
    [installation, keys],
  ] as const) {
    const seen = new Set<string>()
    const lines = text.split('\n')
    for (const [at, line] of lines.entries()) {
      if (!line.startsWith('{"position"')) continue
      const event = JSON.parse(line)
      const { kind } = event.record
      if (seen.has(kind)) continue
      seen.add(kind)
      const edited = (name: string, value: unknown): Case => ({
        name: `${kind}: ${name}`,
        file: lines.with(at, lineOf(value)).join('\n'),
        keys: set,
        expected: 2,
      })
      for (const name of Object.keys(event.record)) {
        for (const [way, other] of others.entries()) {
          const record = { ...event.record, [name]: other(event.record[name]) }
          yield edited(`${name} edited (${way})`, { ...event, record })
        }
      }
      yield edited('position', { ...event, position: event.position + 1 })
      if (event.erasable === undefined) {
        yield edited('erasable part added', { ...event, erasable: { salt: '0'.repeat(32) } })
        continue
      }
      for (const name of Object.keys(event.erasable)) {
        const erasable = { ...event.erasable, [name]: others[0]?.(event.erasable[name]) }
        yield edited(`erasable ${name}`, { ...event, erasable })
      }
      yield edited('erasable part removed', { position: event.position, record: event.record })
      yield edited('erasable part null', { ...event, erasable: null })
    }
  }
}

/** Some edits leave a line as it was, such as a blank after a comma in a line without one. */
function* editedLines(exports: Exports): Generator<Case> {
  for (const one of everyEditOfLines(exports)) if (one.file !== exports.before) yield one
}

/** The members of the lines themselves. */
function* everyEditOfLines({ before: text, keysBefore: keys }: Exports): Generator<Case> {
  const lines = text.split('\n')
  for (const start of ['{"hitl_audit_export"', '{"position"', '{"seal"', '{"end"']) {
    const at = lines.findLastIndex((line) => line.startsWith(start))
    const value = JSON.parse(lines[at] ?? '')
    const edited = (name: string, line: string): Case => ({
      name: `${start}: ${name}`,
      file: lines.with(at, line).join('\n'),
      keys,
      expected: 2,
    })
    for (const name of Object.keys(value)) {
      yield edited(`without ${name}`, lineOf({ ...value, [name]: undefined }))
      yield edited(`${name} null`, lineOf({ ...value, [name]: value[name] === null ? 'x' : null }))
      yield edited(`${name} edited`, lineOf({ ...value, [name]: others[0]?.(value[name]) }))
    }
    yield edited('one more member', lineOf({ ...value, more: 1 }))
    yield edited('members turned round', lineOf(Object.fromEntries(Object.entries(value).reverse())))
    const line = lines[at] ?? ''
    yield edited('blank at the end', `${line} `)
    yield edited('blank at the start', ` ${line}`)
    yield edited('blank inside', line.replace(':', ': '))
    yield edited('tab inside', line.replace(',', ',\t'))
    yield edited(
      'escaped letter',
      line.replace(/"([a-z])/, (_, letter) => `"\\u00${letter.charCodeAt(0).toString(16)}`),
    )
    yield edited('number with a zero before', line.replace(/:(\d)/, ':0$1'))
    yield edited('number with a fraction', line.replace(/:(\d+)/, ':$1.0'))
    yield edited('number with an exponent', line.replace(/:(\d+)/, ':$1e0'))
    yield edited('a member twice', line.replace(/^\{("\w+":)/, '{$11,$1'))
    yield edited('an array', `[${line}]`)
    yield edited('empty', '')
    yield edited('null', 'null')
    yield edited('not closed', line.slice(0, -1))
  }
}

/** Each part and each claim of a head and of the end, with the signature left as it was. */
function* editedTokens({ erased: text, keysBefore: keys, other }: Exports): Generator<Case> {
  const lines = text.split('\n')
  const strangers = other.split('\n')
  for (const kind of ['seal', 'end']) {
    const at = lines.findLastIndex((line) => line.startsWith(`{"${kind}"`))
    const value = JSON.parse(lines[at] ?? '')
    const token: string = value[kind]
    const [header = '', payload = '', signature = ''] = token.split('.')
    const edited = (name: string, changedToken: string): Case => ({
      name: `${kind}: ${name}`,
      file: lines.with(at, lineOf({ ...value, [kind]: changedToken })).join('\n'),
      keys,
      expected: 2,
    })
    const encoded = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')
    const decoded = (part: string): Claims => JSON.parse(Buffer.from(part, 'base64url').toString())
    const claims = decoded(payload)
    for (const name of Object.keys(claims)) {
      for (const [way, other] of others.entries()) {
        yield edited(
          `${name} (${way})`,
          `${header}.${encoded({ ...claims, [name]: other(claims[name]) })}.${signature}`,
        )
      }
    }
    const head = decoded(header)
    for (const [name, more] of [
      ['alg none', { alg: 'none' }],
      ['alg HS256', { alg: 'HS256' }],
      ['typ of the other kind', { typ: kind === 'seal' ? 'hitl-audit-export+jws' : 'hitl-audit-head+jws' }],
      ['crit', { crit: ['exp'] }],
      ['one more header', { x: 1 }],
      ['kid null', { kid: null }],
    ] as const) {
      yield edited(name, `${encoded({ ...head, ...more })}.${payload}.${signature}`)
    }
    yield { ...edited('kid unknown', `${encoded({ ...head, kid: 'x' })}.${payload}.${signature}`), expected: undefined }
    const bytes = Buffer.from(signature, 'base64url')
    for (const index of [0, 31, 32, 63]) {
      const flipped = Buffer.from(bytes)
      flipped[index] = (flipped[index] ?? 0) ^ 1
      yield edited(`bit of the signature's byte ${index}`, `${header}.${payload}.${flipped.toString('base64url')}`)
    }
    yield edited('signature cut', `${header}.${payload}.${bytes.subarray(0, 63).toString('base64url')}`)
    yield edited('signature longer', `${header}.${payload}.${Buffer.concat([bytes, bytes]).toString('base64url')}`)
    yield edited('no signature', `${header}.${payload}.`)
    yield edited('padding', `${token}==`)
    yield edited('another spelling', `${header}.${payload}.${respelled(signature)}`)
    yield edited('two parts', `${header}.${payload}`)
    yield edited('four parts', `${token}.`)
    yield edited('another one of the file', JSON.parse(lines.find((line) => line.startsWith('{"seal"')) ?? '').seal)
    const strange = JSON.parse(strangers.findLast((line) => line.startsWith(`{"${kind}"`)) ?? '')
    yield edited('that of another organization', strange[kind])
  }
  const at = lines.findLastIndex((line) => line.startsWith('{"seal"'))
  const { seal, leaves } = JSON.parse(lines[at] ?? '')
  const bytes = Buffer.from(leaves, 'base64')
  for (const [name, text64] of [
    ['a bit', bytes.with(5, (bytes[5] ?? 0) ^ 1) && Buffer.from(bytes.with(5, (bytes[5] ?? 0) ^ 1)).toString('base64')],
    ['one less', bytes.subarray(32).toString('base64')],
    ['one more', Buffer.concat([bytes, Buffer.alloc(32)]).toString('base64')],
    ['part of one', bytes.subarray(1).toString('base64')],
    ['none', ''],
    ['base64url', `${bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`],
    ['line end inside', `${leaves.slice(0, 4)}\\n${leaves.slice(4)}`],
  ] as const) {
    // Where it has no sign that differs, base64url is the same text.
    if (text64 === leaves) continue
    yield {
      name: `leaves: ${name}`,
      file: lines.with(at, `{"seal":"${seal}","leaves":"${text64}"}`).join('\n'),
      keys,
      expected: 2,
    }
  }
}

/** The last sign of 64 bytes in base64url has four bits that do not count. */
function respelled(signature: string): string {
  const signs = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return `${signature.slice(0, -1)}${signs[signs.indexOf(signature.slice(-1)) ^ 1]}`
}

// --- Whole lines

function* movedLines({ before: text, other, keysBefore: keys }: Exports): Generator<Case> {
  const lines = text.trimEnd().split('\n')
  const strangers = other.split('\n')
  const file = (changedLines: readonly string[]): string => `${changedLines.join('\n')}\n`
  for (const [at, line] of lines.entries()) {
    const say = (what: string, changedLines: readonly string[]): Case => ({
      name: `line ${at + 1} of ${lines.length} ${what}`,
      file: file(changedLines),
      keys,
      expected: 2,
    })
    yield say('removed', lines.toSpliced(at, 1))
    yield say('doubled', lines.toSpliced(at, 0, line))
    if (at + 1 < lines.length) yield say('swapped with the next', lines.toSpliced(at, 2, lines[at + 1] ?? '', line))
    yield say('and all before removed', lines.slice(at + 1))
    if (at + 1 < lines.length) yield say('is the last', lines.slice(0, at + 1))
    if (at % 5 === 0) {
      if (at > 0) yield say('put first', [line, ...lines.toSpliced(at, 1)])
      // The last one is there already.
      if (at < lines.length - 1) yield say('put last', [...lines.toSpliced(at, 1), line])
      yield say('replaced by that of another organization', lines.with(at, strangers[at % strangers.length] ?? ''))
      yield say('follows an empty line', lines.toSpliced(at, 0, ''))
      yield say('follows another organization’s event', lines.toSpliced(at, 0, strangers[1] ?? ''))
    }
  }
}

function* brokenFiles({ before: text, rotated, keysBefore: keys, other }: Exports): Generator<Case> {
  const bytes = Buffer.from(text)
  for (const [name, file] of [
    ['CRLF', text.replaceAll('\n', '\r\n')],
    ['BOM', `\uFEFF${text}`],
    ['BOM and CRLF', `\uFEFF${text.replaceAll('\n', '\r\n')}`],
    ['CR', text.replaceAll('\n', '\r')],
    ['UTF-16', Buffer.from(`\uFEFF${text}`, 'utf16le')],
    ['Latin-1', Buffer.from(text, 'latin1')],
    ['a line end less', text.trimEnd()],
    ['a line end more', `${text}\n`],
    ['a blank more', `${text} `],
    ['a NUL more', `${text}\0`],
    ['nothing', ''],
    ['one line end', '\n'],
    ['twice', text + text],
    ['another export behind it', text + other],
    ['the later export behind it', text + rotated],
    ['no JSON', 'position,record\n1,x\n'],
    ['one JSON object', `${JSON.stringify({ lines: text.split('\n') })}\n`],
    ['deep JSON', text.replace('"before":', `"before":${'['.repeat(100_000)}`)],
    ['a byte that is no UTF-8', Buffer.concat([bytes.subarray(0, 600), Buffer.of(0xff), bytes.subarray(600)])],
  ] as const) {
    yield { name: `file: ${name}`, file, keys, expected: 2 }
  }
  for (let part = 1; part < 16; part += 1) {
    const end = Math.floor((bytes.length * part) / 16)
    yield { name: `cut at byte ${end} of ${bytes.length}`, file: bytes.subarray(0, end), keys, expected: 2 }
  }
}

/** The first seals removed, and the header made to fit, as it would be after a purge or with `after`. */
function* cutBeginnings({ rotated, purged, later, keys, heads }: Exports): Generator<Case> {
  for (const [name, text] of Object.entries({ rotated, purged, later })) {
    const lines = text.trimEnd().split('\n')
    const seals = lines.flatMap((line, at) => (line.startsWith('{"seal"') ? [at] : []))
    const header = JSON.parse(lines[0] ?? '')
    for (const at of seals) {
      const { seal: previous } = JSON.parse(lines[at] ?? '')
      const { number, last } = claimsOf(previous)
      const fitting = { ...header, first_seal: Number(number) + 1, first_position: Number(last) + 1, previous }
      const file = [lineOf(fitting), ...lines.slice(at + 1)].map((line) => `${line}\n`).join('')
      yield { name: `${name} from after seal ${number}`, file, keys, heads, expected: 2 }
    }
  }
}

// --- Histories made anew

function* rewritten({ rotated, purged, later, erased, keys, heads, other }: Exports): Generator<Case> {
  const own = createKey()
  const serviceKid = JSON.parse(keys).keys.findLast(
    (key: Claims) => key.purpose === 'audit_head' && key.revoked_at === null,
  ).kid
  const leakedKid = JSON.parse(keys).keys.find((key: Claims) => key.revoked_at !== null).kid
  const both = setOf(keys, own.entry())
  const edits: Readonly<Record<string, (history: History) => History>> = {
    'as it was': (history) => history,
    'an event edited': (history) => editEvents(history, (event, at) => (at === 5 ? reworded(event) : [event])),
    'an event removed': (history) => editEvents(history, (event, at) => (at === 5 ? [] : [event])),
    'an event doubled': (history) => editEvents(history, (event, at) => (at === 5 ? [event, event] : [event])),
    'all erasable parts cut out': (history) => editEvents(history, (event) => [{ ...event, erasable: null }]),
    'the last batch removed': (history) => ({ ...history, batches: history.batches.slice(0, -1) }),
    'all batches removed': (history) => ({ ...history, batches: [] }),
    'two batches in one': ({ batches, ...rest }) => {
      const [first, second, ...more] = batches
      if (first === undefined || second === undefined) return { ...rest, batches }
      return { ...rest, batches: [{ ...first, events: [...first.events, ...second.events] }, ...more] }
    },
  }
  for (const [name, text] of Object.entries({ rotated, purged, later, erased, other })) {
    for (const [what, edit] of Object.entries(edits)) {
      const history = edit(parse(text))
      const say = (how: string, options: Remake, more: Partial<Case>): Case => ({
        name: `${name} made anew, ${what}, ${how}`,
        file: remake(history, options),
        keys,
        ...more,
      })
      yield say('random signatures under the service’s key', { signer: forger(serviceKid) }, { expected: 2 })
      yield say('random signatures under a leaked key', { signer: forger(leakedKid) }, { expected: 2 })
      yield say('under a key that nobody knows', { signer: own }, {})
      yield say('under a key that was added', { signer: own }, { keys: both })
      yield say('under a key that was added, against the heads', { signer: own }, { keys: both, heads })
      const last = Number(history.header.first_seal) + history.batches.length - 1
      const signer = (number: number) => (number === last ? own : forger(own.kid))
      if (history.batches.length > 1)
        yield say('only the last head signed', { signer, endSigner: own }, { keys: both, expected: 2 })
    }
  }
}

function editEvents(
  history: History,
  edit: (event: History['batches'][0]['events'][0], at: number) => History['batches'][0]['events'],
): History {
  let at = 0
  const batches = history.batches.map((batch) => ({
    ...batch,
    events: batch.events.flatMap((event) => edit(event, at++)),
  }))
  return { ...history, batches: batches.filter(({ events }) => events.length > 0) }
}

const reworded = (event: History['batches'][0]['events'][0]) => [
  { ...event, record: event.record.replace('"before":null', '"before":{}').replace(/Z","org/, 'Z","org') },
]

// --- Key sets and heads of the service

function* keySets({ before, rotated, keysBefore, keys, heads }: Exports): Generator<Case> {
  const entries: readonly Claims[] = JSON.parse(keys).keys
  const of = (edit: (entry: Claims) => Claims): string => JSON.stringify({ keys: entries.map(edit) })
  yield { name: 'keys: none', file: before, keys: '{"keys":[]}', expected: 1 }
  yield {
    name: 'keys: of certificates only',
    file: before,
    keys: JSON.stringify({ keys: entries.filter(({ purpose }) => purpose !== 'audit_head') }),
    expected: 1,
  }
  yield { name: 'keys: turned round', file: rotated, keys: JSON.stringify({ keys: entries.toReversed() }), expected: 0 }
  yield {
    name: 'keys: x exchanged',
    file: rotated,
    keys: of((entry) => ({ ...entry, x: createKey().entry().x })),
    expected: 2,
  }
  yield {
    name: 'keys: all leaked',
    file: rotated,
    keys: of((entry) => ({ ...entry, revoked_at: '2026-01-01T00:00:00.000Z' })),
    expected: 3,
  }
  yield {
    name: 'keys: all leaked, with all heads',
    file: rotated,
    keys: of((entry) => ({ ...entry, revoked_at: '2026-01-01T00:00:00.000Z' })),
    heads,
    expected: 0,
  }
  yield {
    name: 'keys: leak hushed up',
    file: before,
    keys: of((entry) => ({ ...entry, revoked_at: null })),
    expected: 0,
  }
  yield {
    name: 'keys: retired long before',
    file: before,
    keys: of((entry) => ({ ...entry, retired_at: '2020-01-01T00:00:00.000Z' })),
    expected: 2,
  }
  yield { name: 'keys: an unknown member', file: rotated, keys: of((entry) => ({ ...entry, more: 1 })), expected: 0 }
  yield {
    name: 'keys: of another kind beside',
    file: rotated,
    keys: setOf(keys, { kty: 'RSA', n: 'AQ', e: 'AQAB', kid: 'x' }),
    expected: 0,
  }
  yield { name: 'keys: doubled', file: rotated, keys: setOf(keys, ...entries), expected: 0 }
  yield {
    name: 'keys: with another installation’s',
    file: before,
    keys: setOf(keysBefore, createKey().entry()),
    expected: 0,
  }
  for (const [name, text] of Object.entries({
    nothing: '',
    'no JSON': 'x',
    'an array': '[]',
    'no keys': '{}',
    null: 'null',
    'keys of no array': '{"keys":{}}',
    'a key that is null': '{"keys":[null]}',
    'a key that is a text': '{"keys":["x"]}',
    'a key without kid': JSON.stringify({ keys: entries.map((entry) => ({ ...entry, kid: undefined })) }),
  })) {
    yield { name: `key set: ${name}`, file: before, keys: text }
  }
}

function* headsOutside({ before, rotated, later, other, purged, keysBefore, keys, heads }: Exports): Generator<Case> {
  const lines = heads.trimEnd().split('\n')
  const own = createKey()
  for (const [name, text] of Object.entries({ rotated, purged, later })) {
    yield {
      name: `heads of the service: ${name}, a line edited`,
      file: text,
      keys,
      heads: heads.replace(/"head":"(.{150})./, '"head":"$1~'),
      expected: 2,
    }
  }
  yield {
    name: 'heads of the service: first half',
    file: rotated,
    keys,
    heads: `${lines.slice(0, lines.length / 2).join('\n')}\n`,
    expected: 0,
  }
  yield {
    name: 'heads of the service: turned round',
    file: rotated,
    keys,
    heads: `${lines.toReversed().join('\n')}\n`,
    expected: 0,
  }
  yield { name: 'heads of the service: CRLF', file: rotated, keys, heads: heads.replaceAll('\n', '\r\n') }
  yield {
    name: 'heads of the service: cut in the middle',
    file: rotated,
    keys,
    heads: heads.slice(0, heads.length / 2),
    expected: 3,
  }
  const torn = (text: string, expected: Code, name: string) => ({
    name: `heads of the service: a line that the service did not finish, ${name}`,
    file: rotated,
    keys,
    heads: text,
    expected,
  })
  const [head = '', ...behind] = lines
  for (const length of [1, 40, head.length - 1]) {
    const part = head.slice(0, length)
    yield torn(`${heads}${part}`, 3, `at the end, after ${length} characters`)
    yield torn([part, head, ...behind].join('\n'), 0, `and written again, after ${length} characters`)
  }
  yield torn([...behind, head.slice(0, -2), ...behind].join('\n'), 3, 'and never written again')
  yield torn([head.slice(0, 60) + head, ...behind].join('\n'), 2, 'and the next one right behind it')
  yield torn(`${heads}${head.slice(0, -1)}]`, 3, 'with another character at its end')
  yield { name: 'heads of the service: the export as heads', file: rotated, keys, heads: rotated, expected: 2 }
  yield {
    name: 'heads of the service: against another organization',
    file: other,
    keys,
    heads: lines
      .filter((line) => !other.includes(JSON.parse(line).head))
      .map((line) => `${line}\n`)
      .join(''),
    expected: undefined,
  }
  yield { name: 'heads of the service: under keys from before', file: before, keys: keysBefore, heads }
  // The end of the file removed, with an end that says so, under a key of somebody else.
  const shorter = { ...parse(rotated), batches: parse(rotated).batches.slice(0, -2) }
  yield {
    name: 'heads of the service: an export that ends early',
    file: remake(shorter, { signer: own }),
    keys: setOf(keys, own.entry()),
    heads,
    expected: 2,
  }
}
