import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import type { Request } from '../../src/api/requests.ts'
import type { Many } from '../../src/bulk/many.ts'
import { type Call, type Reply, signedInAs, wire } from '../wire.ts'

const { forgetOthers } = await import('../../src/app/forget-others.ts')
const { signIn } = await import('../../src/api/session.ts')
const { decideMany, snoozeMany, undoMany } = await import('../../src/bulk/acts.ts')
const { latestMany } = await import('../../src/bulk/many.ts')
const { decisions, isUnderWay, undoable } = await import('../../src/deciding/decisions.ts')
const { isAside } = await import('../../src/snoozing/aside.ts')

forgetOthers()

const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString()
const asked = (id: string, given: object = {}): Request =>
  ({
    id,
    revision: 3,
    risk: 'low',
    title: `Title of ${id}`,
    digest: `digest of ${id}`,
    answer: null,
    action: null,
    updated_at: at(0),
    held_until: null,
    ...given,
  }) as Request

interface Sent {
  readonly answers: readonly { readonly id: string; readonly decision: string; readonly hold_seconds: number }[]
}
const answered = (refused: Readonly<Record<string, object>> = {}) => {
  return ({ body }: Call): Reply => ({
    status: 200,
    body: {
      items: (body as Sent).answers.map(({ id, decision, hold_seconds }) => {
        const problem = refused[id]
        if (problem !== undefined) return { id, status: 409, problem }
        const times = { responded_at: at(1), updated_at: at(1), held_until: at(1 + hold_seconds) }
        return { id, status: 200, request: { ...asked(id), ...times, response: { decision } } }
      }),
    },
  })
}
const opened = ({ path }: Call): Reply => ({
  status: 200,
  body: { ...asked(path.split('/')[4] ?? ''), updated_at: at(2) },
})
const told = (): Many => {
  const many = latestMany()
  assert.ok(many !== null)
  return many
}

beforeEach(async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  for (const who of ['nobody-else', 'ana']) {
    wire.replies(() => signedInAs(who))
    await signIn(`${who}@example.com`, 'a long walk home')
  }
  assert.equal(latestMany(), null)
})
afterEach(() => mock.timers.reset())

describe('many at once', () => {
  test('are one call with what was painted of each, held as one and taken back as one', async () => {
    wire.replies(answered())
    const two = [asked('a'), asked('b', { answer: { comment: 'none' } })]
    await decideMany(two, 'reject', 'Not today')
    assert.deepEqual(
      wire.calls.map(({ method, path, body }) => [method, path, body]),
      [
        [
          'POST',
          '/api/v1/requests/respond',
          {
            answers: [
              {
                id: 'a',
                revision: 3,
                digest: 'digest of a',
                decision: 'reject',
                hold_seconds: 5,
                comment: 'Not today',
              },
              { id: 'b', revision: 3, digest: 'digest of b', decision: 'reject', hold_seconds: 5 },
            ],
          },
        ],
      ],
    )
    assert.equal(told().status, 'held')
    assert.deepEqual(told().failed, [])
    assert.ok(isUnderWay('a') && isUnderWay('b'))
    assert.equal(undoable(), null, 'the toast of a single decision does not tell one of them')
    wire.replies(opened)
    await undoMany(told(), [])
    assert.deepEqual(wire.calls.map(({ path }) => path).sort(), ['/api/v1/requests/a/undo', '/api/v1/requests/b/undo'])
    assert.equal(latestMany(), null)
    assert.equal(decisions().decided.size, 0)
  })

  test('what somebody else decided comes back and is named, and the rest stands and can be taken back', async () => {
    const first = { status: 409, code: 'consultation.already_responded', responded_by: 'ben', responded_at: at(0) }
    wire.replies(answered({ b: { ...first, decision: 'reject', detail: 'Ben was first.' } }))
    await decideMany([asked('a'), asked('b')], 'approve', '')
    assert.deepEqual(
      told().failed.map(({ id, title, kind, by }) => [id, title, kind, by]),
      [['b', 'Title of b', 'answered', 'ben']],
    )
    assert.deepEqual([isUnderWay('a'), isUnderWay('b'), decisions().notices.has('b')], [true, false, true])
    wire.replies(opened)
    await undoMany(told(), [])
    assert.deepEqual(
      wire.calls.filter(({ method }) => method === 'POST').map(({ path }) => path),
      ['/api/v1/requests/a/undo'],
    )
  })

  test('a reply that is lost is asked for again under the same call; one that never comes puts all of them back', async () => {
    let turns = 0
    const reply = answered()
    wire.replies((call) => {
      turns += 1
      if (turns === 1) throw new TypeError('the connection is gone')
      return reply(call)
    })
    const sending = decideMany([asked('a')], 'approve', '')
    while (turns < 2) {
      mock.timers.tick(600)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await sending
    assert.equal(told().status, 'held')
    wire.replies(() => ({ status: 422, body: { status: 422, code: 'request.invalid', detail: 'Not like this.' } }))
    await decideMany([asked('c'), asked('d')], 'approve', '')
    assert.deepEqual(
      told().failed.map(({ id, detail }) => [id, detail]),
      [
        ['c', 'Not like this.'],
        ['d', 'Not like this.'],
      ],
    )
    assert.equal(told().status, 'released')
  })

  test('z before the reply takes all of it back once it has arrived', async () => {
    let pass = (): void => undefined
    const passed = new Promise<void>((resolve) => {
      pass = resolve
    })
    const reply = answered()
    wire.replies(async (call) => {
      if (call.path.endsWith('/undo')) return opened(call)
      await passed
      return reply(call)
    })
    const sending = decideMany([asked('a'), asked('b')], 'approve', '')
    const undoing = undoMany(told(), [])
    pass()
    await Promise.all([sending, undoing])
    assert.equal(decisions().decided.size, 0)
    assert.equal(latestMany(), null)
  })

  test('are put aside and brought back; one that the service refuses is named and not aside', async () => {
    const until = new Date(Date.now() + 3_600_000)
    wire.replies(({ path }) =>
      path.includes('/b/')
        ? { status: 409, body: { status: 409, code: 'inbox.too_many_snoozed', detail: 'Too many.' } }
        : { status: 200, body: { until: until.toISOString() } },
    )
    await snoozeMany([asked('a'), asked('b')], until, [])
    assert.deepEqual([isAside('a'), isAside('b')], [true, false])
    assert.deepEqual(
      told().failed.map(({ id, detail }) => [id, detail]),
      [['b', 'Too many.']],
    )
    wire.replies(() => ({ status: 204, body: undefined }))
    await undoMany(told(), [])
    assert.equal(isAside('a'), false)
  })
})
