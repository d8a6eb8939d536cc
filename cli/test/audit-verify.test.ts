import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type VerifyOptions, verifyExport } from '../src/audit-verify.ts'
import { merkleRoot } from '../src/audit-verify-tree.ts'
import {
  asFile,
  chainOf,
  createSigner,
  eventLine,
  exportLines,
  jws,
  leafOf,
  organizationId,
  sampleEvent,
  treeHash,
} from './audit-export.ts'
import { findRandomTamperings } from './random-tamperings.ts'

const signer = createSigner('key-1')
const attacker = createSigner('key-1')
const publicKeys = { keys: [signer.jwk] }
const sizes = [1, 2, 3, 5, 8, 13]
const chain = chainOf(sizes, () => signer)
const heads = chain.map(({ head }) => head)
const whole = exportLines(chain, signer)

const verify = (lines: readonly string[] | Buffer, options: Partial<VerifyOptions> = {}) =>
  verifyExport([Buffer.isBuffer(lines) ? lines : asFile(lines as string[])], { publicKeys, ...options })

/** The index of the line of the event at this position: after the header, and the events and seals before it. */
const placeOf = (position: number): number => whole.findIndex((line) => line.startsWith(`{"position":${position},`))

describe('a whole export', () => {
  test('verifies, and reports what it contains', async () => {
    const result = await verify(whole, { expectHead: heads })
    assert.deepEqual(result.findings, [])
    const { head, ...lastSeal } = result.lastSeal ?? { head: '' }
    assert.equal(head, heads.at(-1))
    assert.deepEqual(
      { ...result, lastSeal },
      {
        ok: true,
        changed: false,
        organizationId,
        events: 32,
        seals: 6,
        erased: 0,
        firstPosition: 1,
        lastPosition: 32,
        lastSeal: { number: 6, sealedAt: '2026-01-31T09:00:01.000Z' },
        exportedAt: '2026-01-31T10:00:00.000Z',
        heads: { compared: 6, comparedUpToSeal: 6, before: 0, later: 0, ofOthers: 0 },
        findings: [],
        findingCount: 0,
        limits: ['The file shows what was there at 2026-01-31T10:00:00.000Z, not what came later.'],
      },
    )
  })

  test('verifies in chunks of any size, as bytes and as text, and from a file', async (context) => {
    const file = asFile(whole)
    for (const size of [1, 7, 64, 1_000, 65_536]) {
      const chunks = Array.from({ length: Math.ceil(file.length / size) }, (_, n) =>
        file.subarray(n * size, (n + 1) * size),
      )
      assert.equal((await verifyExport(chunks, { publicKeys })).ok, true, String(size))
    }
    assert.equal((await verifyExport([file.toString()], { publicKeys })).ok, true)
    const folder = await mkdtemp(join(tmpdir(), 'hitl-audit-'))
    context.after(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'export.jsonl'), file)
    assert.equal((await verifyExport(createReadStream(join(folder, 'export.jsonl')), { publicKeys })).ok, true)
  })

  test('of an organization without events', async () => {
    const result = await verify(exportLines([], signer))
    assert.deepEqual([result.ok, result.events, result.lastSeal, result.lastPosition], [true, 0, null, null])
  })

  test('from a later seal on: verifies, and reports that it proves nothing about earlier events', async () => {
    for (const after of [1, 3, 6]) {
      const result = await verify(exportLines(chain, signer, { after }), { expectHead: heads })
      assert.deepEqual(result.findings, [])
      assert.match(
        result.limits.join(' '),
        new RegExp(`begins with seal ${after + 1}, as it was asked for: it proves nothing`),
      )
    }
  })

  test('reports how many events were not sealed yet', async () => {
    const result = await verify(exportLines(chain, signer, { end: { unsealed_events: 3 } }))
    assert.equal(result.ok, true)
    assert.match(result.limits.join(' '), /3 events were not sealed yet/)
  })

  test('says what cannot be known without a head from outside', async () => {
    assert.match((await verify(whole)).limits.join(' '), /No head from outside was compared/)
  })
})

describe('finds what is wrong, and where', () => {
  const cases: readonly (readonly [string, (lines: string[]) => string[], object])[] = [
    [
      'an edited record',
      (lines) => lines.with(placeOf(10), (lines[placeOf(10)] ?? '').replace('"pending"', '"approved"')),
      { code: 'event.edited', line: placeOf(10) + 1, position: 10, seal: 4 },
    ],
    [
      'a deleted event, though the rest was renumbered',
      (lines) => {
        const rest = lines.toSpliced(placeOf(22), 1)
        return rest.map((line) =>
          line.replace(/^\{"position":(\d+)/, (all, n) => (n > 22 ? `{"position":${n - 1}` : all)),
        )
      },
      { code: 'event.missing', position: 22, seal: 6 },
    ],
    [
      'an inserted event',
      (lines) => lines.toSpliced(placeOf(8), 0, eventLine(8, sampleEvent(99))),
      { code: 'event.inserted', line: placeOf(8) + 1, seal: 4 },
    ],
    [
      'two events that were swapped',
      (lines) =>
        lines
          .with(placeOf(25), eventLine(25, chain[5]?.events[10] ?? sampleEvent(0)))
          .with(placeOf(30), eventLine(30, chain[5]?.events[5] ?? sampleEvent(0))),
      { code: 'event.moved', line: placeOf(25) + 1, position: 25, seal: 6 },
    ],
    [
      'an edited erasable part',
      (lines) => lines.with(placeOf(11), (lines[placeOf(11)] ?? '').replace('keep', 'drop')),
      { code: 'erasable.edited', line: placeOf(11) + 1, position: 11 },
    ],
    [
      'an added erasable part',
      (lines) => lines.with(placeOf(9), (lines[placeOf(9)] ?? '').replace(/\}$/, ',"erasable":{"comment":"ok"}}')),
      { code: 'erasable.inserted', line: placeOf(9) + 1, position: 9 },
    ],
    [
      'an erasable part that was cut out',
      (lines) => lines.with(placeOf(11), (lines[placeOf(11)] ?? '').replace(/,"erasable".*/, '}')),
      { code: 'erasable.missing', line: placeOf(11) + 1, position: 11 },
    ],
    [
      'a batch that was removed with its seal',
      (lines) => lines.filter((_, at) => at < placeOf(4) || at >= placeOf(7)),
      { code: 'seal.missing', seal: 3, position: 4 },
    ],
    [
      'an edited record whose leaf hash was changed too',
      (lines) => {
        const edited = (chain[3]?.events[2]?.record ?? '').replace('"pending"', '"approved"')
        const leaves = (chain[3]?.leaves ?? []).with(2, leafOf(edited))
        const seal = `{"seal":"${heads[3]}","leaves":"${Buffer.concat(leaves).toString('base64')}"}`
        return lines.with(placeOf(9), eventLine(9, { record: edited, erasable: null })).with(placeOf(12) - 1, seal)
      },
      { code: 'event.edited', seal: 4, position: 7, line: placeOf(7) + 1 },
    ],
    [
      'leaf hashes that were changed while the events were not',
      (lines) => lines.with(placeOf(4) - 1, (lines[placeOf(4) - 1] ?? '').replace(/"leaves":"..../, '"leaves":"AAAA')),
      { code: 'seal.edited', seal: 2 },
    ],
    [
      'a file that ends in the middle of a batch',
      (lines) => lines.slice(0, placeOf(15)),
      { code: 'event.unsealed', line: placeOf(12) + 1, position: 12 },
    ],
    ['a file that ends after a seal', (lines) => lines.slice(0, placeOf(12)), { code: 'end.missing' }],
    [
      'a batch that was removed before the end',
      (lines) => [...lines.slice(0, placeOf(20)), lines.at(-1) ?? ''],
      { code: 'end.contradicts' },
    ],
  ]
  for (const [name, tamper, expected] of cases) {
    test(name, async () => {
      const { ok, findings } = await verify(tamper([...whole]))
      assert.equal(ok, false)
      const fitting = findings.filter((finding) =>
        Object.entries(expected).every(([key, value]) => finding[key as keyof typeof finding] === value),
      )
      assert.equal(fitting.length, 1, JSON.stringify(findings, null, 1))
      for (const { message } of findings) assert.match(message, /^[A-Z].*\.$/)
    })
  }

  test('one edit is one finding: later batches are judged on their own', async () => {
    const lines = whole.map((line, at) =>
      [placeOf(2), placeOf(10), placeOf(28)].includes(at) ? line.replace('"pending"', '"approved"') : line,
    )
    assert.deepEqual(
      (await verify(lines)).findings.map(({ code, position }) => [code, position]),
      [
        ['event.edited', 2],
        ['event.edited', 10],
        ['event.edited', 28],
      ],
    )
  })
})

describe('heads from outside', () => {
  test('reveal a history that was rewritten with the real key', async () => {
    const other = chainOf(
      sizes,
      () => signer,
      (n) => sampleEvent(n, n === 14 ? 'request.other' : 'request.created'),
    )
    const lines = exportLines(other, signer)
    assert.equal((await verify(lines)).ok, true, 'nothing in the file itself can show it')
    const { findings } = await verify(lines, { expectHead: heads.map((head) => JSON.stringify({ head })).join('\n') })
    assert.deepEqual(
      findings.map(({ code, seal }) => [code, seal]),
      [
        ['outside.differs', 5],
        ['outside.differs', 6],
      ],
    )
  })

  test('reveal an export that ends too early', async () => {
    const { findings } = await verify(exportLines(chain.slice(0, 4), signer), { expectHead: heads.at(-1) ?? '' })
    assert.deepEqual(
      findings.map(({ code, seal, position }) => [code, seal, position]),
      [['outside.cut_off', 6, 12]],
    )
  })

  test('are a limit if sealed after the export was made, and a finding if sealed before', async () => {
    const early = exportLines(chain.slice(0, 4), signer, { end: { exported_at: '2026-01-31T09:00:00.999Z' } })
    const { ok, findings, limits } = await verify(early, { expectHead: heads })
    assert.deepEqual([ok, findings], [true, []])
    assert.match(limits.join(' '), /2 of the heads from outside were sealed after that/)
    const late = exportLines(chain.slice(0, 4), signer, { end: { exported_at: '2026-01-31T09:00:01.001Z' } })
    assert.deepEqual(
      (await verify(late, { expectHead: heads })).findings.map(({ code, seal }) => [code, seal]),
      [['outside.cut_off', 6]],
    )
  })

  test('are all missing if the end, which has the time of the export, is forged or absent', async () => {
    const forged = exportLines(chain.slice(0, 4), attacker, { end: { exported_at: '2026-01-31T08:00:00.000Z' } })
    for (const lines of [forged, forged.slice(0, -1)]) {
      const codes = (await verify(lines, { expectHead: heads })).findings.map(({ code }) => code)
      assert.ok(codes.includes('outside.cut_off'), codes.join())
    }
  })

  test('that were sealed after an end under an unknown or leaked key are a remark too: what is not proven is not changed', async () => {
    const next = createSigner('key-2')
    const lines = exportLines(chain.slice(0, 4), next, { end: { exported_at: '2026-01-31T09:00:00.999Z' } })
    const leaked = { ...next.jwk, revoked_at: '2026-02-01T00:00:00.000Z' }
    for (const keys of [[signer.jwk], [signer.jwk, leaked]]) {
      const { changed, findings } = await verify(lines, { publicKeys: { keys }, expectHead: heads.slice(5) })
      assert.deepEqual([changed, findings.length], [false, 1], JSON.stringify(findings))
    }
  })

  test('need a valid signature themselves', async () => {
    const forged = chainOf(sizes, () => attacker)[5]?.head ?? ''
    const { findings } = await verify(whole, { expectHead: ['what is this', forged] })
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['outside.malformed', 'outside.malformed'],
    )
  })

  test('whose line the service did not finish are not proven, unless the same line follows whole', async () => {
    const lines = heads.map((head, at) => `{"organization_id":"${organizationId}","number":${at + 1},"head":"${head}"}`)
    const [first = '', ...others] = lines
    for (const length of [1, 30, first.length - 1]) {
      const torn = first.slice(0, length)
      const again = await verify(whole, { expectHead: [torn, first, ...others] })
      assert.deepEqual([again.ok, again.heads.compared], [true, lines.length])
      const { changed, findings } = await verify(whole, { expectHead: [first, ...others, torn] })
      assert.deepEqual([changed, findings.map(({ code }) => code)], [false, ['outside.torn']])
    }
    const mixed = await verify(whole, { expectHead: [first.slice(0, 60) + first, ...others] })
    assert.deepEqual(
      mixed.findings.map(({ code }) => code),
      ['outside.malformed'],
    )
  })

  test('of other organizations, or of seals before the file, are counted and do not pass for a comparison', async () => {
    const payload = { ...JSON.parse(Buffer.from(heads[5]?.split('.')[1] ?? '', 'base64url').toString()), number: 9 }
    const other = signer.sign(
      { ...payload, organization_id: organizationId.replace('0189', '0190') },
      'hitl-audit-head+jws',
    )
    const foreign = await verify(whole, { expectHead: other })
    assert.equal(foreign.ok, true)
    assert.deepEqual(foreign.heads, { compared: 0, comparedUpToSeal: null, before: 0, later: 0, ofOthers: 1 })
    assert.match(foreign.limits.join(' '), /No head from outside was compared/)
    const old = await verify(exportLines(chain, signer, { after: 4 }), { expectHead: heads.slice(0, 2) })
    assert.deepEqual(old.heads, { compared: 0, comparedUpToSeal: null, before: 2, later: 0, ofOthers: 0 })
    assert.match(
      old.limits.join(' '),
      /No head from outside was compared.*2 of the heads from outside belong to seals before/,
    )
    const some = await verify(whole, { expectHead: heads.slice(0, 3) })
    assert.deepEqual([some.heads.compared, some.heads.comparedUpToSeal], [3, 3])
    assert.match(some.limits.join(' '), /heads from outside reach up to seal 3/)
  })
})

describe('keys', () => {
  test('an export signed with another key of the same id does not verify', async () => {
    const { findings } = await verify(
      exportLines(
        chainOf(sizes, () => attacker),
        attacker,
      ),
    )
    assert.deepEqual(
      findings.map(({ code }) => code),
      [...sizes.map(() => 'seal.forged'), 'end.forged'],
    )
  })

  test('a key for another purpose does not count', async () => {
    const keys = [{ ...signer.jwk, purpose: 'certificate' }]
    await assert.rejects(verify(whole, { publicKeys: { keys } }), /no Ed25519 key for the audit/)
  })

  test('a key without a purpose does not count, and one without a true time of its retirement is refused', async () => {
    const { purpose, ...aimless } = signer.jwk
    await assert.rejects(verify(whole, { publicKeys: { keys: [aimless] } }), /no Ed25519 key for the audit/)
    for (const retired of ['soon', '2026-02-30T09:00:00.000Z', 7]) {
      const keys = [{ ...signer.jwk, retired_at: retired }]
      await assert.rejects(verify(whole, { publicKeys: { keys } }), /retired_at of the key .* is no time/)
    }
  })

  for (const time of ['2026-02-30T09:00:00.000Z', '2026-01-31T25:00:00.000Z', '2026-01-31T09:00:60.000Z']) {
    test(`a head that was sealed at ${time}, which never was, is malformed`, async () => {
      const sign = (payload: unknown, typ: string) => signer.sign({ ...(payload as object), sealed_at: time }, typ)
      const { findings } = await verify(
        exportLines(
          chainOf([2], () => ({ ...signer, sign })),
          signer,
        ),
      )
      assert.equal(findings[0]?.code, 'seal.malformed')
    })
  }

  test('a head is not accepted as an end or as any other type', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const keys = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', purpose: 'audit_head' }] }
    for (const header of [
      { alg: 'EdDSA', kid: 'k' },
      { alg: 'none', kid: 'k', typ: 'hitl-audit-head+jws' },
      { alg: 'Ed25519', kid: 'k', typ: 'hitl-audit-head+jws' },
    ]) {
      const mistyped = chainOf([2], () => ({ ...signer, sign: (payload) => jws(header, payload, privateKey) }))
      const { findings } = await verify(exportLines(mistyped, signer), { publicKeys: keys })
      assert.equal(findings[0]?.code, 'seal.malformed')
    }
  })

  test('an export with a key rotation in the middle verifies with both keys', async () => {
    const next = createSigner('key-2')
    const rotated = chainOf(sizes, (seal) => (seal < 4 ? signer : next))
    assert.equal((await verify(exportLines(rotated, next), { publicKeys: { keys: [signer.jwk, next.jwk] } })).ok, true)
  })

  test('a key set from before a rotation proves nothing, and says what to do: nobody can tell its seals from random bytes', async () => {
    const next = createSigner('key-2')
    const rotated = chainOf(sizes, (seal) => (seal < 4 ? signer : next))
    const result = await verify(exportLines(rotated, next), { publicKeys: { keys: [signer.jwk] } })
    assert.deepEqual([result.ok, result.changed], [false, false])
    assert.deepEqual(
      result.findings.map(({ code, seal }) => [code, seal]),
      [
        ['seal.unknown_key', 4],
        ['end.unknown_key', null],
      ],
    )
    for (const { message } of result.findings) assert.match(message, /Fetch the current key set/)
    assert.match(result.findings[0]?.message ?? '', /^3 seals, from seal 4 on, are signed with the key key-2/)
  })

  test('a later seal vouches for none under a key that nobody knows', async () => {
    const rotated = chainOf(sizes, (seal) => (seal < 4 ? createSigner(`other-${seal}`) : signer))
    const { changed, findings } = await verify(exportLines(rotated, signer))
    assert.deepEqual(
      [changed, ...findings.map(({ code }) => code)],
      [false, 'seal.unknown_key', 'seal.unknown_key', 'seal.unknown_key'],
    )
  })

  test('heads from outside under a key that is not in the set are not compared', async () => {
    const next = createSigner('key-2')
    const other = chainOf(sizes, () => next)[5]?.head ?? ''
    const { changed, findings, heads: compared } = await verify(whole, { expectHead: other })
    assert.deepEqual(
      [changed, compared.compared, ...findings.map(({ code }) => code)],
      [false, 0, 'outside.unknown_key'],
    )
  })

  describe('that leaked', () => {
    const next = createSigner('key-2')
    const revokedAt = '2026-02-01T00:00:00.000Z'
    const leaked = { ...signer.jwk, retired_at: revokedAt, revoked_at: revokedAt }
    const both = { keys: [leaked, next.jwk] }
    const rotated = chainOf(sizes, (seal) => (seal < 4 ? signer : next))

    test('its seals are proven by later ones of another key', async () => {
      const { findings, limits } = await verify(exportLines(rotated, next), { publicKeys: both })
      assert.deepEqual(findings, [])
      assert.match(limits.join(' '), /3 seals are signed with keys that were revoked later/)
    })

    test('nothing else proves them but their head from outside', async () => {
      const old = exportLines(chain, signer)
      const alone = await verify(old, { publicKeys: both })
      assert.deepEqual(
        [alone.changed, ...alone.findings.map(({ code }) => code)],
        [false, 'seal.revoked_key', 'end.revoked_key'],
      )
      const pinned = await verify(old, { publicKeys: both, expectHead: heads.at(-1) ?? '' })
      assert.deepEqual(pinned.findings, [])
    })

    test('what was signed with it after it was revoked is forged', async () => {
      const late = { ...leaked, retired_at: '2026-01-31T08:00:00.000Z' }
      const { findings } = await verify(whole, { publicKeys: { keys: [late] } })
      assert.deepEqual(new Set(findings.map(({ code }) => code)), new Set(['seal.forged', 'end.forged']))
    })
  })

  test('every signature is checked: one that does not hold is found wherever it stands, whatever follows', async () => {
    const many = Array.from({ length: 200 }, () => 1)
    for (const bad of [1, 2, 63, 64, 65, 128, 199, 200]) {
      const forgedChain = chainOf(many, (seal) => (seal === bad ? attacker : signer))
      const { changed, findings } = await verify(exportLines(forgedChain, signer))
      assert.deepEqual([changed, ...findings.map(({ code, seal }) => [code, seal])], [true, ['seal.forged', bad]])
    }
  })

  test('random bytes are no signature, though the service itself sealed behind them', async () => {
    const noise = {
      ...signer,
      sign: (payload: unknown, typ: string) =>
        signer.sign(payload, typ).replace(/[^.]+$/, randomBytes(64).toString('base64url')),
    }
    const lines = exportLines(
      chainOf(sizes, (seal) => (seal === 6 ? signer : noise)),
      signer,
    )
    const { changed, findings } = await verify(lines)
    assert.deepEqual([changed, findings.length], [true, 5])
  })
})

describe('a file that does not begin with the first seal', () => {
  const purged = (n: number) =>
    n === 20 ? sampleEvent(n, 'audit.purged', { events: 6, up_to_seal: 3, up_to_position: 6 }) : sampleEvent(n)
  const source = chainOf(sizes, () => signer, purged)
  const codes = async (lines: string[]) => {
    const { changed, findings } = await verify(lines)
    return [changed, ...findings.map(({ code }) => code)]
  }

  test('though everything was asked for, without a purge that says why: its beginning was removed', async () => {
    assert.deepEqual(await codes(exportLines(chain, signer, { after: 3, end: { after: null } })), [
      true,
      'start.unexplained',
    ])
    assert.deepEqual(await codes(exportLines(chain, signer, { after: 3, end: { after: 2 } })), [
      true,
      'start.unexplained',
    ])
  })

  test('because of a purge that the file itself tells of', async () => {
    const { findings, limits } = await verify(
      exportLines(source, signer, { after: 3, end: { after: null, purged_up_to: 3 } }),
    )
    assert.deepEqual(findings, [])
    assert.match(limits.join(' '), /because those before were purged, as the event at position 20 says/)
  })

  test('behind another seal than the purge says', async () => {
    assert.deepEqual(await codes(exportLines(source, signer, { after: 4, end: { after: null, purged_up_to: 4 } })), [
      true,
      'start.unexplained',
    ])
  })

  test('while a purge was not sealed yet: not proven', async () => {
    const end = { after: null, purged_up_to: 3, unsealed_purges: 1 }
    assert.deepEqual(await codes(exportLines(chain, signer, { after: 3, end })), [false, 'start.unproven'])
  })
})

describe('what stands in the table and not in the chain', () => {
  for (const [member, code] of [
    ['misplaced_events', 'event.misplaced'],
    ['mismatched_columns', 'columns.differ'],
  ]) {
    test(`${member} in the end is a finding`, async () => {
      const { changed, findings } = await verify(exportLines(chain, signer, { end: { [member ?? '']: 2 } }))
      assert.deepEqual([changed, ...findings.map((finding) => finding.code)], [true, code])
    })
  }

  test("another organization's record that was sealed here is found", async () => {
    const foreign = chainOf(
      sizes,
      () => signer,
      (n) => {
        const { record } = sampleEvent(n)
        const other = organizationId.replace('0189', '0190')
        return n === 9 ? { record: record.replace(organizationId, other), erasable: null } : sampleEvent(n)
      },
    )
    const { findings } = await verify(exportLines(foreign, signer))
    assert.deepEqual(
      findings.map(({ code, position }) => [code, position]),
      [['event.foreign', 9]],
    )
  })

  test('an event with a time of long before is remarked on', async () => {
    const backdated = chainOf(
      sizes,
      () => signer,
      (n) => {
        const { record, erasable } = sampleEvent(n)
        return { record: n === 9 ? record.replace('2026-01-31T09:00:00', '2026-01-31T07:59:59') : record, erasable }
      },
    )
    const { ok, limits } = await verify(exportLines(backdated, signer))
    assert.equal(ok, true)
    assert.match(limits.join(' '), /1 events say that they happened more than an hour before .* at position 9/)
  })
})

describe('erasure', () => {
  const erasedAt = new Set([2, 10, 11])
  const ids = [...erasedAt].map((n) => JSON.parse(sampleEvent(n).record).id as string)
  const withErasure = chainOf(
    sizes,
    () => signer,
    (n) => (n === 30 ? sampleEvent(n, 'audit.erased', { events: ids, request: null }) : sampleEvent(n)),
  )

  test('leaves the chain valid, and is counted', async () => {
    const result = await verify(exportLines(withErasure, signer, { erased: erasedAt }))
    assert.deepEqual([result.findings, result.erased], [[], 3])
  })

  test('that an earlier event tells of is a part cut out: nothing is erased before it is there', async () => {
    const late = chainOf(
      sizes,
      () => signer,
      (n) => (n === 5 ? sampleEvent(n, 'audit.erased', { events: ids }) : sampleEvent(n)),
    )
    const { findings } = await verify(exportLines(late, signer, { erased: erasedAt }))
    assert.deepEqual(
      findings.map(({ code, position }) => [code, position]),
      [
        ['erasable.missing', 10],
        ['erasable.missing', 11],
      ],
    )
  })

  test('that no event tells of is a part cut out', async () => {
    const { findings } = await verify(exportLines(withErasure, signer, { erased: new Set([...erasedAt, 14]) }))
    assert.deepEqual(
      findings.map(({ code, position }) => [code, position]),
      [['erasable.missing', 14]],
    )
  })

  test('under way when the export ended: missing parts that no event records are not proven', async () => {
    const end = { unsealed_erasures: 1 }
    const lines = exportLines(withErasure, signer, { erased: new Set([...erasedAt, 14]), end })
    const { ok, changed, erased, findings, limits } = await verify(lines)
    assert.deepEqual([ok, changed, erased], [false, false, 4])
    assert.deepEqual(
      findings.map(({ code, position }) => [code, position]),
      [['erasable.unproven', 14]],
    )
    assert.match(limits.join(' '), /1 erasable parts are missing, and 1 erasures were not sealed yet/)
  })

  test('under way excuses nothing that the file itself shows, and no other change', async () => {
    const end = { unsealed_erasures: 1 }
    assert.equal((await verify(exportLines(withErasure, signer, { erased: erasedAt, end }))).ok, true)
    const lines = exportLines(withErasure, signer, { erased: new Set([...erasedAt, 14]), end })
    const { changed } = await verify(lines.map((line) => line.replace('"call-5"', '"call-6"')))
    assert.equal(changed, true)
  })
})

test('the tree is that of RFC 6962, for every size up to 130', () => {
  for (let size = 1; size <= 130; size += 1) {
    const leaves = Array.from({ length: size }, (_, n) => leafOf(`leaf ${n}`))
    assert.equal(merkleRoot(Buffer.concat(leaves)), treeHash(leaves).toString('hex'), String(size))
  }
})

test('1 000 random tamperings: every one is found', () => findRandomTamperings(20_260_131, 1_000))
