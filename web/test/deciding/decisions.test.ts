import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import type { Request } from '../../src/api/requests.ts'
import type { Decided } from '../../src/deciding/decisions.ts'
import { type Call, type Reply, signedInAs, wire } from '../wire.ts'

const { forgetOthers } = await import('../../src/app/forget-others.ts')
const { queryClient } = await import('../../src/api/query-client.ts')
const { signIn, signOut } = await import('../../src/api/session.ts')
const { decide, decisions, isSettled, undo, undoable } = await import('../../src/deciding/decisions.ts')
const { change, draftKey, draftOf } = await import('../../src/questions/drafts.ts')

forgetOthers()

const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString()
const asked = (id: string, risk = 'low'): Request =>
  ({ id, revision: 1, risk, title: id, answer: null, action: null, updated_at: at(0), held_until: null }) as Request
const idIn = ({ path }: Call): string => path.split('/')[4] ?? ''
/** As the service has it once it was answered, for as long as is asked. */
const held = (call: Call): Reply => {
  const { hold_seconds, decision } = call.body as { hold_seconds: number; decision: string }
  const body = {
    ...asked(idIn(call)),
    responded_at: at(1),
    held_until: at(1 + hold_seconds),
    updated_at: at(1),
    response: { decision },
  }
  return { status: 200, body }
}
const problem = (code: string, more = {}): Reply => ({
  status: 409,
  body: { status: 409, code, detail: code, ...more },
})
const open = (call: Call): Reply => ({ status: 200, body: { ...asked(idIn(call)), updated_at: at(2) } })
const sentTo = (end: string): readonly Call[] => wire.calls.filter(({ path }) => path.endsWith(end))
const entryOf = (id: string): Decided | undefined => decisions().decided.get(id)
/** Replies that wait until they are let go. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let pass = (): void => undefined
  const passed = new Promise<void>((resolve) => {
    pass = resolve
  })
  return { passed, open: pass }
}

// The holds of what is decided here end when a test says so.
beforeEach(async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  wire.replies(() => signedInAs('nobody-else'))
  await signIn('nobody-else@example.com', 'a long walk home')
  wire.replies(() => signedInAs('ana'))
  await signIn('ana@example.com', 'a long walk home')
  assert.equal(decisions().decided.size, 0)
})
afterEach(() => mock.timers.reset())

describe('deciding', () => {
  test('twice before the reply is one decision', async () => {
    wire.replies(held)
    await Promise.all([decide(asked('a'), 'approve'), decide(asked('a'), 'approve')])
    assert.equal(sentTo('/respond').length, 1)
    assert.equal(entryOf('a')?.status, 'held')
    await decide(asked('a'), 'reject')
    assert.equal(sentTo('/respond').length, 1, 'nor while it is held')
  })

  test('a decision of one’s own that was first stands, can be taken back, and is told as such', async () => {
    wire.replies((call) => {
      if (call.path.endsWith('/respond'))
        return problem('consultation.already_responded', {
          responded_by: 'ana',
          decision: 'reject',
          responded_at: at(1),
        })
      const now = Date.now()
      const [responded_at, held_until] = [new Date(now).toISOString(), new Date(now + 5_000).toISOString()]
      return {
        status: 200,
        body: { ...asked('a'), responded_at, held_until, updated_at: at(1), response: { decision: 'reject' } },
      }
    })
    await decide(asked('a'), 'approve')
    assert.equal(decisions().notices.get('a')?.kind, 'own')
    assert.deepEqual([entryOf('a')?.status, entryOf('a')?.decision], ['held', 'reject'])
    assert.equal(undoable()?.request.id, 'a')
  })

  test('the decision of another is told, and the request is back', async () => {
    wire.replies(() => problem('consultation.already_responded', { responded_by: 'ben', decision: 'reject' }))
    await decide(asked('a'), 'approve')
    assert.equal(decisions().notices.get('a')?.kind, 'answered')
    assert.equal(entryOf('a'), undefined)
  })

  test('what stands between the browser and the service decides nothing: it is sent again under the same key', async () => {
    let turn = 0
    wire.replies((call) => {
      turn += 1
      if (turn > 1) return held(call)
      setImmediate(() => mock.timers.tick(2_000))
      return { status: 502, body: 'Bad gateway' }
    })
    await decide(asked('a'), 'approve')
    assert.equal(sentTo('/respond').length, 2)
    assert.equal(entryOf('a')?.version, at(1))
  })

  test('a request that changes after the decision is in the lists again', async () => {
    wire.replies(held)
    assert.equal(isSettled(entryOf('a'), asked('a')), false)
    await decide(asked('a'), 'request_changes')
    assert.ok(isSettled(entryOf('a'), asked('a')))
    assert.equal(isSettled(entryOf('a'), { ...asked('a'), revision: 2, updated_at: at(9) }), false)
  })
})

describe('taking back', () => {
  test('is about the decision that was made last, however long another one is held', async () => {
    wire.replies(held)
    await decide(asked('long', 'critical'), 'reject')
    await decide(asked('short', 'low'), 'reject')
    assert.equal(undoable()?.request.id, 'short')
  })

  test('waits for the reply of the latest decision, and never takes another one', async () => {
    const reply = gate()
    wire.replies(async (call) => {
      if (call.path.endsWith('/undo')) return open(call)
      if (idIn(call) === 'second') await reply.passed
      return held(call)
    })
    await decide(asked('first'), 'approve')
    const deciding = decide(asked('second'), 'approve')
    const latest = undoable()
    assert.equal(latest?.request.id, 'second')
    const undone = undo(latest?.request ?? asked('none'))
    reply.open()
    await deciding
    assert.equal(await undone, 'undone')
    assert.deepEqual(sentTo('/undo').map(idIn), ['second'])
    assert.equal(entryOf('first')?.status, 'held')
    assert.equal(undoable()?.request.id, 'first', 'the next one is the one before')
  })

  test('can be tried again while there is time, when the service did not answer', async () => {
    let isReached = false
    wire.replies((call) => {
      if (!call.path.endsWith('/undo')) return held(call)
      if (!isReached) throw new TypeError('fetch failed')
      return open(call)
    })
    await decide(asked('a'), 'approve')
    assert.equal(await undo(asked('a')), 'not_undone')
    assert.deepEqual([entryOf('a')?.status, decisions().notices.get('a')?.kind], ['held', 'not_undone'])
    isReached = true
    assert.equal(await undo(asked('a')), 'undone')
    assert.deepEqual([entryOf('a'), decisions().notices.get('a')], [undefined, undefined])
  })

  test('that arrived although its reply was lost is done', async () => {
    wire.replies((call) => {
      if (call.path.endsWith('/undo')) return problem('consultation.nothing_to_undo')
      return call.method === 'GET' ? open(call) : held(call)
    })
    await decide(asked('a'), 'approve')
    assert.equal(await undo(asked('a')), 'undone')
    assert.equal(entryOf('a'), undefined)
  })

  test('is too late only when the service says so', async () => {
    let code = 'consultation.not_the_decider'
    wire.replies((call) => (call.path.endsWith('/undo') ? problem(code) : held(call)))
    await decide(asked('a'), 'approve')
    assert.equal(await undo(asked('a')), 'not_undone')
    assert.equal(decisions().notices.get('a')?.kind, 'refused')
    code = 'consultation.already_released'
    assert.equal(await undo(asked('a')), 'too_late')
    assert.equal(entryOf('a')?.status, 'released')
  })

  test('the end of a hold that was taken back does not end the next one', async () => {
    wire.replies((call) => (call.path.endsWith('/undo') ? open(call) : held(call)))
    await decide(asked('a'), 'approve')
    await undo(asked('a'))
    await decide(asked('a', 'critical'), 'reject')
    mock.timers.tick(6_000)
    assert.equal(entryOf('a')?.status, 'held')
    mock.timers.tick(30_000)
    assert.equal(entryOf('a')?.status, 'released')
  })

  test('a decision without a hold is released, and its draft is gone', async () => {
    wire.replies((call) => ({ status: 200, body: { ...asked(idIn(call)), responded_at: at(1), updated_at: at(1) } }))
    change(draftKey(asked('a')), { choices: ['x'] })
    await decide(asked('a'), 'approve')
    assert.equal(entryOf('a')?.status, 'released')
    assert.equal(draftOf(draftKey(asked('a'))).choices, null)
  })
})

describe('the next person on the same tab', () => {
  test('sees nothing that was read, decided or begun, and no reply that comes late', async () => {
    const reply = gate()
    wire.replies(async (call) => {
      if (call.path.endsWith('/logout')) return { status: 204, body: null }
      await reply.passed
      return held(call)
    })
    queryClient.setQueryData(['requests', 'all'], { pages: [] })
    change(draftKey(asked('b')), { choices: ['x'] })
    const deciding = decide(asked('a'), 'approve')
    wire.replies(() => signedInAs('ben'))
    await signIn('ben@example.com', 'another long walk')
    assert.deepEqual(queryClient.getQueryCache().getAll(), [])
    assert.equal(decisions().decided.size, 0)
    assert.equal(draftOf(draftKey(asked('b'))).choices, null)
    reply.open()
    await deciding
    assert.deepEqual(queryClient.getQueryCache().getAll(), [])
    assert.equal(decisions().decided.size, 0)
  })

  test('nor does anybody after the sign-out; the same person in the same organization goes on', async () => {
    queryClient.setQueryData(['counts'], {})
    wire.replies(() => signedInAs('ana'))
    await signIn('ana@example.com', 'a long walk home')
    assert.equal(queryClient.getQueryCache().getAll().length, 1)
    wire.replies(() => ({ status: 200, body: {} }))
    await signOut()
    assert.deepEqual(queryClient.getQueryCache().getAll(), [])
  })
})
