import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import type { FastifyReply } from 'fastify'
import { createHttpServer } from '../../src/http/server.ts'
import type { Caller, Person } from '../../src/identity/principal.ts'
import { newId } from '../../src/platform/ids.ts'
import { createByteBudget } from '../../src/platform/limits/byte-budget.ts'
import { createLog } from '../../src/platform/log.ts'
import { refusal } from '../../src/platform/problem.ts'
import type { Subscriber } from '../../src/realtime/feed.ts'
import { batchOf } from '../../src/realtime/messages.ts'
import {
  connectEventStream,
  createPersonStreams,
  createSlowReaders,
  type Transport,
} from '../../src/realtime/person-streams.ts'
import { eventually } from '../eventually.ts'
import { testConfig } from '../harness.ts'

const log = createLog('silent', false)
const kibibytes = (count: number) => Buffer.alloc(count * 1_024, 'x')
const batch = (count: number) => batchOf([{ id: null, event: 'counts', data: kibibytes(count).toString() }])
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('what slow readers hold', () => {
  /** A connection that takes nothing until it is told to. */
  const stalled = () => {
    let unsent = 0
    const waiting: (() => void)[] = []
    const out = {
      held: 0,
      isConnected: true,
      unsent: () => unsent,
      write: (text: Buffer | string, taken: () => void) => {
        unsent += text.length
        waiting.push(taken)
      },
      disconnect: () => {
        out.isConnected = false
      },
      read: () => {
        unsent = 0
        for (const act of waiting.splice(0)) act()
      },
    }
    return out
  }

  test('256 KiB at most; a reader goes on once it has read', () => {
    const { write } = createSlowReaders()
    const out = stalled()
    for (let n = 0; n < 4; n += 1) write('one', out, kibibytes(64))
    assert.equal(out.isConnected, true)
    out.read()
    write('one', out, kibibytes(64))
    assert.equal(out.isConnected, true)
    for (let n = 0; n < 4; n += 1) write('one', out, kibibytes(64))
    assert.equal(out.isConnected, false)
  })

  test('all of them together a bounded part of the memory, shared by organization', async () => {
    const { write, gone } = createSlowReaders()
    const fill = async (organization: string) => {
      const outs: ReturnType<typeof stalled>[] = []
      for (;;) {
        const out = stalled()
        write(organization, out, kibibytes(20))
        await turn()
        if (!out.isConnected) return outs
        outs.push(out)
      }
    }
    const first = await fill('one')
    assert.equal(first.length, 64)
    assert.ok((await fill('two')).length >= 20)
    // Those who read give back what they held, and so do those who have gone.
    for (const out of first) out.read()
    const second = await fill('one')
    assert.ok(second.length >= 20)
    for (const out of second) gone('one', out)
    assert.ok((await fill('one')).length >= 20)
    // Who keeps up holds nothing.
    for (let n = 0; n < 1_000; n += 1) {
      const out = stalled()
      write('three', out, kibibytes(8))
      await turn()
      assert.equal(out.isConnected, true)
    }
  })
})

/** A real server whose only route hands its reply over. */
async function serving(context: TestContext, take: (reply: FastifyReply) => void) {
  const http = await createHttpServer(log, testConfig())
  http.get('/stream', (_request, reply) => take(reply))
  await http.listen({ port: 0, host: '127.0.0.1' })
  context.after(async () => {
    http.server.closeAllConnections()
    await http.close()
  })
  const { port } = http.server.address() as AddressInfo
  return async (): Promise<IncomingMessage> => {
    const call = get({ port, host: '127.0.0.1', path: '/stream', agent: false })
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    return response
  }
}

/** Writes until the connection takes no more. */
async function fillUp({ raw }: { readonly raw: ServerResponse }): Promise<void> {
  while (raw.writableLength === 0) {
    raw.write(kibibytes(64))
    await turn()
  }
}

describe('a connection', () => {
  test('of a reader that takes nothing and is refused gets nothing more, and the feed forgets it at once', async (context) => {
    const followers = new Set<Subscriber>()
    const streams = createPersonStreams({
      feed: { join: (one) => void followers.add(one), leave: (one) => void followers.delete(one) },
      budget: createByteBudget(10),
      log,
    })
    const signedOut = refusal(401, 'auth.signed_out', 'The session has ended.')
    const by: Caller<Person> = {
      principal: { kind: 'person', organizationId: newId(), userId: newId(), accountId: newId(), role: 'reviewer' },
      httpRequestId: 'stream',
    }
    const opened = Promise.withResolvers<{ readonly reply: FastifyReply; readonly transport: Transport }>()
    const open = await serving(context, (reply) =>
      streams.open({
        by,
        credential: 'a session',
        allowAgain: async () => {
          throw signedOut()
        },
        lastEventId: null,
        connect: () => {
          const transport = connectEventStream(reply, by.principal.organizationId, {
            slow: createSlowReaders(),
            stalledAfterMs: 60_000,
          })
          opened.resolve({ reply, transport })
          return transport
        },
        onGone: (act) => reply.raw.once('close', act),
      }),
    )
    const reader = await open()
    reader.pause()
    const { reply, transport } = await opened.promise
    const [subscriber] = followers
    assert.ok(subscriber)
    await fillUp(reply)

    for (const loop of streams.loops) await loop.drain()
    assert.equal(followers.size, 0)
    // Whatever still comes: a write after the end would end the process.
    for (let n = 0; n < 3; n += 1) subscriber.send(batch(1))
    transport.beat()
    streams.stop()
    transport.end('stopping')
    await turn()
    assert.equal(streams.size, 1, 'its place is taken until its connection is closed')

    let text = ''
    reader.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    reader.resume()
    await once(reader, 'end')
    assert.match(text, /^retry: \d+\n\nx+$/)
    await eventually('it has left', () => streams.size === 0)
  })

  test('of a reader that keeps up is never counted as slow, however large a message is', async (context) => {
    const slow = createSlowReaders()
    const transports: Transport[] = []
    const open = await serving(context, (reply) => {
      transports.push(connectEventStream(reply, 'one', { slow, stalledAfterMs: 60_000 }))
    })
    const read: number[] = []
    // More than may be behind at once.
    for (let n = 0; n < 100; n += 1) {
      read.push(0)
      const reader = await open()
      reader
        .on('error', () => {})
        .on('data', (chunk: Buffer) => {
          read[n] = (read[n] ?? 0) + chunk.length
        })
    }
    for (const round of [1, 2]) {
      const large = batch(48)
      for (const transport of transports) transport.send(large)
      const missing = () => read.filter((bytes) => bytes < round * 48 * 1_024).length
      await eventually(`all have read ${round}`, () => missing() === 0)
    }
  })

  test('of a reader that falls behind again and again has no more listeners each time', async (context) => {
    const opened = Promise.withResolvers<{ readonly raw: ServerResponse; readonly send: Transport['send'] }>()
    const open = await serving(context, (reply) => {
      const { send } = connectEventStream(reply, 'one', { slow: createSlowReaders(), stalledAfterMs: 60_000 })
      opened.resolve({ raw: reply.raw, send })
    })
    const reader = await open()
    const { raw, send } = await opened.promise
    const listeners = () => raw.eventNames().map((name) => [name, raw.listenerCount(name)])
    const before = listeners()
    for (let n = 0; n < 3; n += 1) {
      reader.pause()
      while (raw.writableLength <= 65_536) {
        send(batch(60))
        await turn()
      }
      reader.resume()
      await eventually('it has caught up', () => raw.writableLength === 0)
      assert.equal(raw.destroyed, false)
    }
    assert.deepEqual(listeners(), before)
  })
})
