import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import type { Request, RequestPage } from '../../src/api/requests.ts'
import type { Pages } from '../../src/live/merge.ts'
import { type Reply, signedInAs, wire } from '../wire.ts'

const { forgetOthers } = await import('../../src/app/forget-others.ts')
const { queryClient } = await import('../../src/api/query-client.ts')
const { signIn } = await import('../../src/api/session.ts')
const { decisions } = await import('../../src/deciding/decisions.ts')
const { queues } = await import('../../src/inbox/queues.ts')
const { bringBack, putAside, readAside } = await import('../../src/snoozing/acts.ts')
const { aside, isAside } = await import('../../src/snoozing/aside.ts')

forgetOthers()

const request = (id: string, more: Partial<Request> = {}): Request =>
  ({
    id,
    title: id,
    state: 'pending',
    risk: 'low',
    held_until: null,
    timeout_at: null,
    updated_at: '1',
    ...more,
  }) as Request
const page = (...items: readonly Request[]) => ({ items, next_cursor: null }) as unknown as RequestPage
const until = new Date(Date.now() + 3_600_000)
const none: Reply = { status: 204, body: undefined }
const acts = () => wire.calls.filter(({ path }) => path.endsWith('/snooze')).map(({ method }) => method)
/** What a list shows: what it holds, and fits. */
const shown = (name: string): readonly string[] => {
  const queue = queues.find((each) => each.name === name)
  const items = queryClient.getQueryData<Pages>(['requests', name])?.pages.flatMap((each) => each.items) ?? []
  return (items as readonly Request[]).filter((each) => queue?.fits(each, new Date())).map(({ id }) => id)
}
const hold = (name: string, ...items: readonly Request[]): void => {
  queryClient.setQueryData<Pages>(['requests', name], { pages: [page(...items)], pageParams: [null] })
}

beforeEach(async () => {
  for (const who of ['nobody-else', 'ana']) {
    wire.replies(() => signedInAs(who))
    await signIn(`${who}@example.com`, 'a long walk home')
  }
  assert.equal(aside().ids.size, 0)
  hold('all', request('a'), request('b'))
  hold('snoozed')
  wire.replies(({ method }) => (method === 'POST' ? { status: 200, body: {} } : none))
})

describe('putting aside', () => {
  test('moves it at once, and bringing it back puts it where it was', async () => {
    const sent = putAside(request('a'), until, queues)
    assert.deepEqual([shown('all'), shown('snoozed')], [['b'], ['a']])
    await sent
    assert.equal(aside().latest?.request.id, 'a')
    await bringBack(request('a'), queues)
    assert.deepEqual([shown('all'), shown('snoozed')], [['a', 'b'], []])
    assert.equal(aside().latest, null)
    assert.deepEqual(acts(), ['POST', 'DELETE'])
  })

  test('and back before the reply: the service hears it in this order', async () => {
    let answer = (): void => undefined
    const waits = new Promise<void>((resolve) => {
      answer = resolve
    })
    wire.replies(async ({ method }) => {
      if (method === 'POST') await waits
      return none
    })
    const both = [putAside(request('a'), until, queues), bringBack(request('a'), queues)]
    assert.deepEqual(shown('all'), ['a', 'b'])
    await new Promise(setImmediate)
    assert.deepEqual(acts(), ['POST'])
    answer()
    await Promise.all(both)
    assert.deepEqual(acts(), ['POST', 'DELETE'])
  })

  test('a refusal puts it back, and is told in the words of the service', async () => {
    const body = { status: 409, code: 'inbox.too_many_snoozed', detail: 'Bring some back first.' }
    wire.replies(() => ({ status: 409, body }))
    await putAside(request('a'), until, queues)
    assert.deepEqual([shown('all'), shown('snoozed')], [['a', 'b'], []])
    assert.equal(decisions().notices.get('a')?.detail, 'Bring some back first.')
    assert.equal(aside().latest, null)
  })

  test('a change of what is aside does not bring it back into the queues', async () => {
    await putAside(request('a'), until, queues)
    const all = queues[0]
    assert.equal(all.fits(request('a', { updated_at: '2' }), new Date()), false)
  })
})

describe('reading what is aside', () => {
  test('what was put aside elsewhere leaves the queues, what came back is in them', async () => {
    await putAside(request('a'), until, queues)
    wire.replies(() => ({ status: 200, body: page(request('b')) }))
    await readAside(queues)
    assert.deepEqual([shown('all'), shown('snoozed')], [['a'], ['b']])
  })

  test('all pages of it', async () => {
    wire.replies(({ path }) => {
      const first = { items: [request('a')], next_cursor: 'more' }
      return { status: 200, body: path.includes('cursor=more') ? page(request('b')) : first }
    })
    await readAside(queues)
    assert.deepEqual([...aside().ids], ['a', 'b'])
  })

  test('a reading that an act has overtaken changes nothing', async () => {
    let answer = (): void => undefined
    const waits = new Promise<void>((resolve) => {
      answer = resolve
    })
    wire.replies(async ({ path }) => {
      if (path.endsWith('/snooze')) return none
      await waits
      return { status: 200, body: page() }
    })
    const reading = readAside(queues)
    await new Promise(setImmediate)
    await putAside(request('a'), until, queues)
    answer()
    await reading
    assert.ok(isAside('a'))
  })
})
