import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { documentOf, mostWordsOfOne, valuesOf } from '../../src/consultations/search/document.ts'
import { following } from '../../src/consultations/search/parts.ts'
import { mostWords, parseSearch } from '../../src/consultations/search/query.ts'
import { wordsOf } from '../../src/consultations/search/words.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addOrganization, type TestOrganization } from '../people-and-keys.ts'

describe('words', () => {
  const words = (text: string) => [...wordsOf(text)].map(({ word }) => word)
  test('are letters and digits, without case, accents and other marks', () => {
    assert.deepEqual(words("billing-agent's 40.00 EUR, M\u00fcnchen STRASSE Stra\u00dfe"), [
      'billing', 'agent', 's', '40', '00', 'eur', 'munchen', 'strasse', 'strasse',
    ]) // biome-ignore format: one line
    assert.deepEqual(words('\u0623\u064e\u062d\u0652\u0645\u064e\u062f'), ['\u0627\u062d\u0645\u062f'])
    assert.deepEqual(words('\ud83d\ude00 \u2014 \u00bd'), ['12'])
  })
  test('of any text are short, and hold nothing but letters and digits', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 40 }), (points) => {
        const text = String.fromCodePoint(...points)
        for (const { word, start, end } of wordsOf(text)) {
          assert.match(word, /^[\p{L}\p{N}]{1,64}$/u)
          assert.ok(start < end && end <= text.length)
        }
      }),
    )
  })
})

describe('what was searched for', () => {
  test('words, beginnings, phrases, what must not be there, and what consists of several words', () => {
    assert.equal(
      parseSearch('Refund ord* "paid twice" -draft billing-agent').query,
      `('~refund') & ('~ord':*) & ('~paid' <-> '~twice') & ('~billing' <-> '~agent') & !('~draft')`,
    )
    assert.equal(parseSearch('-draft').query, `'~' & !('~draft')`)
    assert.equal(parseSearch('"not closed').query, `('~not' <-> '~closed')`)
  })
  test('has a bounded number of words, and nothing in it is an error', () => {
    assert.equal(parseSearch('a '.repeat(100)).wanted.length, mostWords)
    for (const odd of ['*', '"', '""', '-', '--', "'", '\\', '& | !', '<->', ':*'])
      assert.equal(parseSearch(odd).query, '')
  })
})

describe('the text of a request', () => {
  test('has the values of its JSON, also of one that is cut, and no names', () => {
    const json = '{"name": "M\\u00fcller \\"x\\"", "a": [1.50, -3e5, true], "b": {"c": "last'
    assert.deepEqual(valuesOf(json), ['M\u00fcller "x"', '1.50', '-3e5', 'last'])
    assert.deepEqual(valuesOf('{"a": "cut \\u00'), ['cut \\u00'])
  })
  test('is bounded', () => {
    const many = Array.from({ length: 3_000 }, (_, at) => `w${at}`).join(' ')
    assert.equal(documentOf([['A', many]], 'p:').split(' ').length, mostWordsOfOne + 1)
  })
})

test('ids follow one another', () => {
  assert.equal(following('00000000-0000-0000-0000-0000ffffffff'), '00000000-0000-0000-0000-000100000000')
})

describe('GET /requests?q=', () => {
  let t: TestApp
  let other: TestOrganization
  before(async () => {
    t = await startTestApp()
    other = await addOrganization(t)
  })
  after(() => t.stop())

  const ask = async (title: string, more: object = {}, as = t.apiKey): Promise<string> => {
    const reply = await t.call('POST', '/api/v1/requests', { as, body: { title, context: {}, ...more } })
    assert.equal(reply.status, 201, reply.text)
    return reply.body.id
  }
  const fill = async () => {
    // What changed in these very milliseconds is not settled.
    t.clock.advance(10)
    await t.app.drain()
  }
  const search = async (query: Readonly<Record<string, string>>, as = t.reviewer.token) => {
    const reply = await t.call('GET', `/api/v1/requests?${new URLSearchParams(query)}`, { as })
    assert.equal(reply.status, 200, reply.text)
    return reply.body
  }
  const found = async (q: string, as?: string): Promise<readonly string[]> =>
    (await search({ q }, as)).items.map(({ id }: { id: string }) => id)

  test('finds each text of a request, and marks it in plain text', async () => {
    const id = await ask('Erstattung f\u00fcr <b>M\u00fcller</b>', {
      description: 'Described',
      justification: 'Because',
      context: { order: { number: 'ORD-4711', total: 99.5 } },
      action: { name: 'refund.create', args: { account: 'DE-777' } },
      tags: ['vip'],
      run_id: 'nightly-1',
    })
    await t.call('POST', `/api/v1/requests/${id}/respond`, {
      as: t.reviewer.token,
      body: { decision: 'approve', comment: 'Verified by phone' },
    })
    await t.call('POST', `/api/v1/requests/${id}/outcome`, {
      as: t.apiKey,
      body: { status: 'executed', detail: 'Booked', data: { receipt: 'R-88' } },
    })
    await fill()
    for (const q of [
      'erstattung', 'muller', 'described', 'because', 'ord-4711', '99.5', 'refund.create', 'de-777', 'vip', 'nightly', 'verified',
      'booked', 'r-88', id, id.toUpperCase(), 'erst* "by phone" -draft',
    ]) // biome-ignore format: short words
      assert.deepEqual(await found(q), [id], q)
    for (const q of ['number', 'account', 'erst', '"phone by"', 'erstattung -vip', '*'])
      assert.deepEqual(await found(q), [], q)
    const { matches, total } = await search({ q: 'm\u00fcller phone' })
    assert.equal(total, null)
    assert.deepEqual(matches, [
      {
        id,
        highlights: [
          {
            field: 'title',
            parts: [
              { text: 'Erstattung f\u00fcr <b>', match: false },
              { text: 'M\u00fcller', match: true },
              { text: '</b>', match: false },
            ],
          },
          {
            field: 'comment',
            parts: [
              { text: 'Verified by ', match: false },
              { text: 'phone', match: true },
            ],
          },
        ],
      },
    ])
  })

  test('the best match first, then the newest, in pages that new requests do not shift', async () => {
    const plain = await ask('One', { context: { about: 'zebra' } })
    const titles = [await ask('Zebra crossing'), await ask('Zebra crossing')]
    await fill()
    const first = await search({ q: 'zebra', limit: '1' })
    assert.equal(first.items[0].id, titles[1])
    const late = await ask('Zebra zebra')
    await fill()
    const second = await search({ q: 'zebra', limit: '1', cursor: first.next_cursor })
    const third = await search({ q: 'zebra', limit: '1', cursor: second.next_cursor })
    assert.deepEqual([second.items[0].id, third.items[0].id, third.next_cursor], [titles[0], plain, null])
    assert.equal((await found('zebra'))[0], late)
    assert.deepEqual(
      (await search({ q: 'zebra', sort: 'newest' })).items.map(({ id }: { id: string }) => id),
      [late, titles[1], titles[0], plain],
    )
  })

  test('an agent finds its own, an organization its own, and nobody finds a request by a decision that is held back', async () => {
    const id = await ask('Quokka')
    const { raw } = await addApiKey(t)
    await ask('Quokka', {}, other.apiKey.raw)
    await t.call('POST', `/api/v1/requests/${id}/respond`, {
      as: t.reviewer.token,
      body: { decision: 'approve', comment: 'secretly wombat', hold_seconds: 60 },
    })
    await fill()
    assert.deepEqual(await found('quokka'), [id])
    assert.deepEqual(await found('quokka', t.apiKey), [id])
    const none = await search({ q: 'quokka' }, raw)
    assert.deepEqual([none.items, none.matches, none.next_cursor, none.total], [[], [], null, null])
    assert.deepEqual(await found('wombat', t.apiKey), [])
    const decided = { q: 'quokka', decision: 'approve' }
    assert.equal((await search(decided)).items.length, 1)
    assert.deepEqual((await search(decided, t.apiKey)).items, [])
    assert.equal((await found('quokka', other.reviewer.token)).length, 1)
    assert.notDeepEqual(await found('quokka', other.reviewer.token), [id])
    t.clock.advance(60_000)
    await t.app.drain()
    await fill()
    assert.deepEqual(await found('wombat', t.apiKey), [id])
  })

  test('the documents of other organizations stay apart without the comparison of this service, too', async () => {
    const rows = await t.app.db
      .within({ organizationId: other.organizationId })
      .execute<{ id: string }>(
        { name: 'test_search', text: 'select request_id as id from hitl_search($1, $2, null, $3, $4, 100, false)' },
        [
          `${t.organizationId.slice(-6)}.`,
          `'~quokka'`,
          '00000000-0000-0000-0000-000000000000',
          'ffffffff-ffff-ffff-ffff-ffffffffffff',
        ],
      )
    assert.deepEqual(rows, [])
  })

  test('what is erased is not found any more, and what is left of it still is', async () => {
    const id = await ask('Okapi')
    const kept = await ask('Numbat')
    for (const one of [id, kept])
      await t.call('POST', `/api/v1/requests/${one}/respond`, {
        as: t.reviewer.token,
        body: { decision: 'reject', comment: 'numbat no' },
      })
    await fill()
    assert.deepEqual(await found('okapi'), [id])
    await t.app.db.transaction({ organizationId: t.organizationId }, (tx) =>
      t.app.consultations.eraseRequest(tx, { organizationId: t.organizationId, id }),
    )
    assert.deepEqual([await found('okapi'), await found('numbat')], [[], [kept]])
    await t.app.db.transaction({ organizationId: t.organizationId }, (tx) =>
      t.app.consultations.eraseComments(tx, t.organizationId, [kept], t.reviewer.id),
    )
    assert.deepEqual(await found('numbat'), [])
    await fill()
    assert.deepEqual([await found('numbat'), await found('"numbat no"')], [[kept], []])
    const [{ texts } = { texts: '' }] = await t.sql(
      `select string_agg(document::text, ' ') as texts from request_search_documents where request_id = any($1)`,
      [[id, kept]],
    )
    assert.doesNotMatch(String(texts), /okapi|:no'/)
  })

  test('the index is made again from nothing, in several parts, and pages go through all of them', async () => {
    const before = await found('zebra')
    await t.app.consultations.rebuildSearch(t.organizationId)
    assert.deepEqual(await found('zebra'), [])
    await fill()
    assert.deepEqual(await found('zebra'), before)
    // As if the newest part was full.
    await t.sql('update request_search_progress set documents = 8192')
    const ids = [await ask('Zebra again'), await ask('Zebra again')]
    await fill()
    assert.equal(
      (await t.sql('select from request_search_parts where organization_id = $1', [t.organizationId])).length,
      2,
    )
    const last = await ask('Zebra again')
    await fill()
    assert.deepEqual(await found('"zebra again"'), [last, ...ids.toReversed()])
    const pages: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await search({ q: 'zebra', limit: '2', ...(cursor === '' ? {} : { cursor }) })
      pages.push(...page.items.map(({ id }: { id: string }) => id))
      cursor = page.next_cursor
    }
    assert.deepEqual(pages.toSorted(), [...before, ...ids, last].toSorted())
  })
})
