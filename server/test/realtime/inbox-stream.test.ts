import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { mostStreamsOfPerson } from '../../src/realtime/person-streams.ts'
import { samplePassword, sampleReviewer } from '../../src/seed.ts'
import { eventually } from '../eventually.ts'
import { type FakeClock, secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addOrganization } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { type OpenStream, openStream } from './sse.ts'

/** Time goes on: several processes agree on the order of changes by it. */
function createRunningClock(): FakeClock {
  let ahead = 0
  return {
    now: () => new Date(Date.now() + ahead),
    advance: (ms) => {
      ahead += ms
    },
  }
}

let t: TestApp
let url: string
const urlOf = ({ http }: TestApp['app']) => `http://127.0.0.1:${(http.server.address() as AddressInfo).port}`
before(async () => {
  t = await startTestApp({
    workers: true,
    clock: createRunningClock(),
    environment: { REQUEST_TIMEOUT_SECONDS: '1', RATE_LIMIT_PERSON: 'off' },
  })
  await t.app.http.listen({ port: 0, host: '127.0.0.1' })
  url = urlOf(t.app)
})
after(() => t.stop())

const inbox = (headers = {}, as = t.reviewer.token, at = url) => openStream(`${at}/api/v1/stream`, as, headers)
const named = ({ events }: OpenStream, event: string) => events.filter((one) => one.event === event)
const dataOf = (stream: OpenStream, event: string) => named(stream, event).map(({ data }) => JSON.parse(data))
const come = (stream: OpenStream, event: string, count = 1) =>
  eventually(`${count} ${event}`, () => named(stream, event).length >= count && dataOf(stream, event))
const respond = (id: string, body: object = { decision: 'approve' }) =>
  t.call('POST', `/api/v1/requests/${id}/respond`, { as: t.reviewer.token, body })
/** What moves a stream's place. */
const told = ({ events }: OpenStream) =>
  events.filter(({ event }) => event.startsWith('request.')).map(({ id, event }) => [id, event])

describe('the stream of an inbox', () => {
  test('begins with reset and the counts, and tells of what is asked, decided and delivered', async () => {
    const receiver = await startReceiver()
    const stream = await inbox()
    assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8')
    assert.deepEqual(await come(stream, 'reset'), [{ reason: 'new' }])
    const [counts] = await come(stream, 'counts')
    assert.deepEqual(counts, (await t.call('GET', '/api/v1/requests/counts', { as: t.reviewer.token })).body)

    const request = await t.createRequest({ risk: 'low', callback_webhook: receiver.url })
    const [notice] = await come(stream, 'request.new')
    for (const name of Object.keys(notice)) assert.deepEqual(notice[name], request[name], name)
    const more = await come(stream, 'counts', 2)
    assert.equal(more[1].queues.all, counts.queues.all + 1)

    await respond(request.id)
    const changes = await eventually('it was delivered', () => {
      const all = dataOf(stream, 'request.changed')
      return all.at(-1)?.state === 'callback_sent' && all
    })
    assert.equal(changes.at(-1).responded_by, t.reviewer.id)
    stream.close()
    await receiver.close()
  })

  test('the counts are each own: who puts a request aside gets other ones, at once, and nobody else', async () => {
    const { id } = await t.createRequest()
    const [own, others] = [await inbox(), await inbox({}, t.admin.token)]
    const [before] = await come(own, 'counts')
    await come(others, 'counts')
    const path = `/api/v1/requests/${id}/snooze`
    const until = new Date(t.clock.now().getTime() + 3_600_000).toISOString()
    assert.equal((await t.call('POST', path, { as: t.reviewer.token, body: { until } })).status, 200)
    const aside = (await come(own, 'counts', 2)).at(-1)
    assert.deepEqual([aside.queues.all, aside.queues.snoozed], [before.queues.all - 1, before.queues.snoozed + 1])
    assert.deepEqual(aside, (await t.call('GET', '/api/v1/requests/counts', { as: t.reviewer.token })).body)
    assert.equal((await t.call('DELETE', path, { as: t.reviewer.token })).status, 204)
    assert.deepEqual((await come(own, 'counts', 3)).at(-1), before)
    assert.equal(named(others, 'counts').length, 1)
    assert.deepEqual(told(own), [])
    for (const stream of [own, others]) stream.close()
  })

  test('a decision that is held back shows as such', async () => {
    const stream = await inbox()
    await come(stream, 'reset')
    const { id } = await t.createRequest()
    await come(stream, 'request.new')
    await respond(id, { decision: 'approve', hold_seconds: 30 })
    const [held] = await come(stream, 'request.changed')
    assert.equal(held.state, 'pending')
    assert.ok(held.held_until)
    stream.close()
  })

  test('goes on after Last-Event-ID with each change once, new ones as new', async () => {
    const first = await inbox()
    await come(first, 'reset')
    const seen = await t.createRequest()
    await come(first, 'request.new')
    first.close()
    const missed = await t.createRequest()
    await respond(seen.id)
    await respond(missed.id)
    const second = await inbox({ 'last-event-id': first.events.at(-1)?.id })
    const [changed] = await come(second, 'request.changed')
    const [made] = await come(second, 'request.new')
    assert.deepEqual([changed.id, made.id, made.state], [seen.id, missed.id, 'responded'])
    assert.deepEqual(named(second, 'reset'), [])
    second.close()
    const third = await inbox({ 'last-event-id': named(second, 'request.new')[0]?.id })
    await come(third, 'counts')
    assert.deepEqual(told(third), [])
    third.close()
  })

  test('says reset where it cannot go on: an unknown id, one from the future, more than it tells', async () => {
    const first = await inbox()
    await come(first, 'reset')
    const start = String(first.events[0]?.id)
    first.close()
    const [ms = ''] = start.split('-')
    for (const id of ['nonsense', start.replace(ms, String(Number(ms) + 86_400_000))]) {
      const stream = await inbox({ 'last-event-id': id })
      assert.deepEqual(await come(stream, 'reset'), [{ reason: 'gap' }])
      stream.close()
    }
    const requests = Array.from({ length: 301 }, () => ({ title: 'May I?', context: {} }))
    const open = await inbox()
    await come(open, 'reset')
    const made = await t.call('POST', '/api/v1/requests/batch', { as: t.apiKey, body: { requests } })
    assert.equal(made.status, 201)
    assert.deepEqual(await come(open, 'reset', 2), [{ reason: 'new' }, { reason: 'gap' }])
    assert.deepEqual(told(open), [])
    const late = await inbox({ 'last-event-id': start })
    assert.deepEqual(await come(late, 'reset'), [{ reason: 'gap' }])
    open.close()
    late.close()
  })

  test('nothing of another organization', async () => {
    const other = await addOrganization(t)
    const [own, strange] = [await inbox(), await inbox({}, other.reviewer.token)]
    await come(own, 'reset')
    await come(strange, 'reset')
    const { id } = await t.createRequest()
    assert.equal((await come(own, 'request.new'))[0].id, id)
    const asked = await t.call('POST', '/api/v1/requests', {
      as: other.apiKey.raw,
      body: { title: 'Theirs', context: {} },
    })
    assert.deepEqual(
      (await come(strange, 'request.new')).map((one) => one.id),
      [asked.body.id],
    )
    assert.deepEqual(
      dataOf(own, 'request.new').map((one) => one.id),
      [id],
    )
    // The place of one organization opens nothing of another.
    const resumed = await inbox({ 'last-event-id': '0-00000000-0000-0000-0000-000000000000' }, other.reviewer.token)
    assert.deepEqual(
      (await come(resumed, 'request.new')).map((one) => one.id),
      [asked.body.id],
    )
    for (const stream of [own, strange, resumed]) stream.close()
  })

  test('is for people: 403 for a key, 401 without a credential', async () => {
    assert.equal((await inbox({}, t.apiKey)).status, 403)
    assert.equal((await inbox({}, 'nothing')).status, 401)
  })

  test('ends within a second when the session ends or the person is removed; the next try gets 401', async () => {
    const ends: Readonly<Record<string, (own: { id: string }) => Promise<unknown>>> = {
      // As another process does it: this one is not told.
      session: ({ id }) => t.sql('update sessions set revoked_at = now() where user_id = $1', [id]),
      person: ({ id }) => t.sql('update users set is_active = false where id = $1', [id]),
    }
    for (const [what, end] of Object.entries(ends)) {
      const { reviewer } = await addOrganization(t)
      const stream = await inbox({}, reviewer.token)
      await come(stream, 'reset')
      const from = performance.now()
      await end(reviewer)
      await stream.ended
      assert.ok(performance.now() - from < 1_500, `${what}: ${performance.now() - from} ms`)
      assert.equal((await inbox({}, reviewer.token)).status, 401, what)
    }
  })

  test('429 beyond the streams of one person, with Retry-After; a place is free again when one closes', async () => {
    const { reviewer } = await addOrganization(t)
    const streams: OpenStream[] = []
    for (let n = 0; n < mostStreamsOfPerson; n += 1) streams.push(await inbox({}, reviewer.token))
    const refused = await inbox({}, reviewer.token)
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '5'])
    for (const stream of streams) stream.close()
    await eventually('they have left', async () => {
      const again = await inbox({}, reviewer.token)
      again.close()
      return again.status === 200
    })
    await eventually('nobody is left', () => t.app.realtime.streaming() === 0)
  })

  test('a stop ends it with a time to come back', async () => {
    const small = await startTestApp({ workers: true })
    try {
      await small.app.http.listen({ port: 0, host: '127.0.0.1' })
      const stream = await inbox({}, small.reviewer.token, urlOf(small.app))
      await come(stream, 'reset')
      const stopped = small.app.stop()
      await stream.ended
      await stopped
      assert.match(stream.text(), /\nretry: \d+\n\n$/)
    } finally {
      await small.stop()
    }
  })
})

describe('the session cookie of a page', () => {
  const sameOrigin = { 'sec-fetch-site': 'same-origin' }
  const cookieOf = ({ headers }: { headers: Readonly<Record<string, unknown>> }): string =>
    String(headers['set-cookie']).split(';')[0] ?? ''

  test('opens a stream for pages of this service alone, while it is the newest and its session goes on', async () => {
    const signedIn = await t.call('POST', '/api/v1/auth/login', {
      body: { username: sampleReviewer, password: samplePassword, session_cookie: true },
      headers: sameOrigin,
    })
    assert.equal(signedIn.status, 200, signedIn.text)
    const cookie = cookieOf(signedIn)
    const withCookie = (headers = {}) => openStream(`${url}/api/v1/stream`, null, { cookie, ...headers })
    const stream = await withCookie(sameOrigin)
    assert.equal(stream.status, 200)
    await come(stream, 'reset')
    for (const headers of [{}, { 'sec-fetch-site': 'same-site' }, { origin: 'https://other.example' }])
      assert.equal((await withCookie(headers)).status, 403)
    // Nothing else takes it.
    assert.equal((await t.call('GET', '/api/v1/requests', { headers: { cookie, ...sameOrigin } })).status, 401)

    const renewed = await t.call('POST', '/api/v1/auth/refresh', { headers: { cookie, ...sameOrigin } })
    assert.equal(renewed.status, 200, renewed.text)
    t.clock.advance(10_000)
    assert.equal((await withCookie(sameOrigin)).status, 401)
    const newest = { cookie: cookieOf(renewed), ...sameOrigin }
    const second = await openStream(`${url}/api/v1/stream`, null, newest)
    assert.equal(second.status, 200)
    await come(second, 'reset')
    // The stream that the replaced one opened goes on: its session does.
    const { id } = await t.createRequest()
    for (const one of [stream, second]) assert.equal((await come(one, 'request.new'))[0].id, id)
    await t.call('POST', '/api/v1/auth/logout', { headers: newest })
    await Promise.all([stream.ended, second.ended])
    assert.equal((await openStream(`${url}/api/v1/stream`, null, newest)).status, 401)
  })
})

describe('several processes', () => {
  test('a commit of another process is told through a hint, and where hints are lost, by polling', async () => {
    const environment = { RATE_LIMIT_PERSON: 'off' }
    const other = await createApp({
      config: testConfig(environment),
      secretKey,
      connection: t.connection,
      log: createLog('silent', false),
      clock: t.clock,
    })
    try {
      await other.http.listen({ port: 0, host: '127.0.0.1' })
      const stream = await inbox({}, t.reviewer.token, urlOf(other))
      for (const loop of other.realtime.loops) await loop.drain()
      await come(stream, 'reset')
      const polled = await t.createRequest()
      await eventually('it is told', async () => {
        for (const loop of other.realtime.loops) await loop.drain()
        return named(stream, 'request.new').length === 1
      })
      for (const loop of other.realtime.loops) loop.start()
      const hinted = await t.createRequest()
      assert.deepEqual(
        (await come(stream, 'request.new', 2)).map(({ id }) => id),
        [polled.id, hinted.id],
      )
      stream.close()
    } finally {
      await other.stop()
    }
  })
})
