import assert from 'node:assert/strict'
import { hash, randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import type { Event } from '../../src/events/event.ts'
import { recordOf, rowOf } from '../../src/events/record.ts'
import { newSalt } from '../../src/events/salt.ts'

const event: Event = {
  organizationId: randomUUID(),
  id: randomUUID(),
  kind: 'request.responded',
  subjectKind: 'request',
  subjectId: randomUUID(),
  actor: { kind: 'person', id: randomUUID(), sessionId: randomUUID(), signedInWith: ['password', 'totp'] },
  httpRequestId: 'the-call',
  network: '192.0.2.17',
  digest: hash('sha256', 'what was asked'),
  before: { state: 'pending' },
  after: { state: 'responded', at: new Date(0), nested: { b: [1, 1.5, null, true], a: {} } },
  erasable: { comment: 'Fine, but keep "vol-2" – é 😀' },
  occurredAt: new Date('2026-01-31T09:05:00.000Z'),
}

describe('a record', () => {
  test('always has these members, even without values', () => {
    const { record } = recordOf(event, 'salt')
    const { erasable_sha256: _, ...members } = JSON.parse(record)
    assert.deepEqual(members, {
      v: 1,
      organization_id: event.organizationId,
      id: event.id,
      kind: 'request.responded',
      occurred_at: '2026-01-31T09:05:00.000Z',
      subject: { kind: 'request', id: event.subjectId },
      actor: {
        kind: 'person',
        id: event.actor.id,
        key_id: null,
        session_id: event.actor.sessionId,
        signed_in_with: ['password', 'totp'],
      },
      http_request_id: 'the-call',
      digest: event.digest,
      before: { state: 'pending' },
      after: { state: 'responded', at: '1970-01-01T00:00:00.000Z', nested: { b: [1, 1.5, null, true], a: {} } },
    })
    const { erasable: _erasable, network: _network, digest: _digest, ...bare } = event
    const least = recordOf(
      { ...bare, actor: { kind: 'timer', id: null }, httpRequestId: null, before: null, after: null },
      '',
    )
    assert.deepEqual(Object.keys(JSON.parse(least.record)), Object.keys(JSON.parse(record)))
    assert.deepEqual([JSON.parse(least.record).erasable_sha256, least.erasable], [null, null])
  })

  test('has its ids in lower case, as the columns beside it have them', () => {
    const capitals = { ...event, subjectId: event.subjectId.toUpperCase() }
    assert.equal(recordOf(capitals, 'salt').record, recordOf(event, 'salt').record)
  })

  test('is RFC 8785 JSON, as is the erasable part, with any content', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })),
        (after, erasable) => {
          const { record, erasable: part } = recordOf({ ...event, after, erasable }, 'salt')
          assert.equal(record, canonicalize(JSON.parse(record)))
          assert.equal(part, canonicalize(JSON.parse(part ?? '')))
          assert.ok(!`${record}${part}`.includes('\\u0000'), 'PostgreSQL takes no NUL')
        },
      ),
    )
  })

  test('contains the hash of the erasable part, which has what people wrote, the network and a salt', () => {
    const { record, erasable } = recordOf(event, 'some salt')
    assert.deepEqual(JSON.parse(erasable ?? ''), {
      comment: event.erasable?.comment,
      network: '192.0.2.17',
      salt: 'some salt',
    })
    assert.equal(JSON.parse(record).erasable_sha256, hash('sha256', erasable ?? ''))
    assert.ok(!record.includes('vol-2') && !record.includes('192.0.2.17'))
    assert.notEqual(JSON.parse(recordOf(event, 'another').record).erasable_sha256, JSON.parse(record).erasable_sha256)
  })

  test('is written even if a text contains a lone surrogate', () => {
    const { erasable } = recordOf({ ...event, erasable: { username: 'a\0b\ud800c' } }, 'salt')
    assert.equal(JSON.parse(erasable ?? '').username, 'a\uFFFDb\uFFFDc')
  })

  test('goes into the row of the insert byte for byte', () => {
    const { record, erasable } = recordOf(event, 'salt')
    const row = rowOf(event, 'salt')
    assert.ok(row.endsWith(`,"record":${record},"erasable":${erasable}}`))
    assert.deepEqual(Object.keys(JSON.parse(row)), [
      ...['organization_id', 'id', 'kind', 'subject_kind', 'subject_id', 'actor_kind', 'actor_id', 'occurred_at'],
      ...['record', 'erasable'],
    ])
  })
})

test('salts are 128 random bits each', () => {
  const salts = Array.from({ length: 1_000 }, newSalt)
  assert.equal(new Set(salts).size, 1_000)
  for (const salt of salts) assert.match(salt, /^[0-9a-f]{32}$/)
})
