import assert from 'node:assert/strict'
import { once } from 'node:events'
import { glob, readFile } from 'node:fs/promises'
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { createLog } from '../../src/platform/log.ts'
import { eventually } from '../eventually.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { openStream } from '../realtime/sse.ts'
import { type Receiver, startReceiver } from '../receivers.ts'

/** As OTLP has it in JSON (opentelemetry-proto, trace.proto and common.proto). */
interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]
  readonly links: readonly { readonly traceId: string }[]
  readonly status: { readonly code: number }
}

/** What a collector takes, over HTTP. */
async function startCollector(context?: TestContext) {
  const spans: Span[] = []
  const headers: IncomingHttpHeaders[] = []
  const texts: string[] = []
  const server = createServer(async (request, response) => {
    assert.deepEqual([request.method, request.url], ['POST', '/v1/traces'])
    headers.push(request.headers)
    const body = await text(request)
    texts.push(body)
    const { resourceSpans } = JSON.parse(body)
    for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans)
    response.setHeader('content-type', 'application/json').end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => server.close().closeAllConnections()
  context?.after(close)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, headers, texts, close }
}

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const traceparent = (flags = '01') => `00-${traceId}-${parentId}-${flags}`

const attribute = (span: Span | undefined, name: string): unknown =>
  Object.values(span?.attributes.find(({ key }) => key === name)?.value ?? {})[0]

describe('a request in the trace of its agent', () => {
  let collector: Awaited<ReturnType<typeof startCollector>>
  let receiver: Receiver
  let t: TestApp
  let id: string
  const said = ['the-create', 'Wombat title', 'wombat-context', 'wombat comment', 'wombat justification']

  before(async () => {
    collector = await startCollector()
    receiver = await startReceiver()
    t = await startTestApp({
      environment: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
        OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Bearer%20abc, x-scope=1',
      },
    })
    const body = {
      title: said[1],
      context: { secret: said[2] },
      justification: said[4],
      hold_seconds: 5,
      callback_webhook: `${receiver.url}/wombat-path?wombat-query=1`,
    }
    const made = await t.call('POST', '/api/v1/requests', {
      as: t.apiKey,
      body,
      headers: { traceparent: traceparent(), 'x-request-id': String(said[0]) },
    })
    assert.equal(made.status, 201, made.text)
    id = made.body.id
    t.clock.advance(60_000)
    const reply = await t.call('POST', `/api/v1/requests/${id}/respond`, {
      as: t.reviewer.token,
      body: { decision: 'approve', comment: said[3] },
    })
    assert.equal(reply.status, 200, reply.text)
    t.clock.advance(6_000)
    await t.app.drain()
    await t.app.drain()
    await receiver.waitFor(1)
    await t.stop()
  })
  after(async () => {
    collector.close()
    await receiver.close()
  })

  const named = (name: string): readonly Span[] => collector.spans.filter((span) => span.name === name)

  test('has the create, the decision, the hold and the callback in it', () => {
    for (const name of ['POST /api/v1/requests', 'hitl.decision', 'hitl.hold', 'callback']) {
      const [span, ...others] = named(name).filter((one) => one.traceId === traceId)
      assert.ok(span !== undefined && others.length === 0, name)
      assert.equal(span.parentSpanId, parentId, name)
    }
    const seconds = (span: Span | undefined) =>
      Number(BigInt(span?.endTimeUnixNano ?? 0) - BigInt(span?.startTimeUnixNano ?? 0)) / 1e9
    assert.equal(seconds(named('hitl.decision')[0]), 60)
    assert.ok(seconds(named('hitl.hold')[0]) >= 5)
    assert.equal(attribute(named('hitl.decision')[0], 'hitl.request.id'), id)
    assert.equal(attribute(named('hitl.decision')[0], 'hitl.decision'), 'approve')
  })

  test('the answer is a call of the person, in a trace of its own that the decision links to', () => {
    const [call] = named('POST /api/v1/requests/:id/respond')
    assert.ok(call !== undefined && call.traceId !== traceId && call.parentSpanId === undefined)
    assert.deepEqual(
      named('hitl.decision')[0]?.links.map((link) => link.traceId),
      [call.traceId],
    )
  })

  test('a call has its status, its route and its statements by name', () => {
    const [create] = named('POST /api/v1/requests')
    assert.equal(create?.kind, 2)
    assert.equal(attribute(create, 'http.route'), '/api/v1/requests')
    assert.equal(attribute(create, 'http.response.status_code'), 201)
    const statements = collector.spans.filter((span) => span.parentSpanId === create?.spanId)
    assert.ok(statements.length > 1, 'its statements')
    for (const statement of statements) {
      assert.equal(attribute(statement, 'db.system.name'), 'postgresql')
      assert.match(statement.name, /^[a-z]\w*$/)
    }
  })

  test('the receiver gets the span of its attempt as the parent', () => {
    const [callback] = named('callback')
    assert.equal(receiver.requests[0]?.headers.traceparent, `00-${traceId}-${callback?.spanId}-01`)
    assert.equal(attribute(callback, 'http.response.status_code'), 200)
  })

  test('nothing that agents or people wrote is in any span, and the collector gets the headers that are set', () => {
    const all = collector.texts.join('\n')
    for (const secret of [...said, 'wombat', 'example.com', t.apiKey]) assert.ok(!all.includes(secret), secret)
    for (const sent of collector.headers) assert.deepEqual([sent.authorization, sent['x-scope']], ['Bearer abc', '1'])
  })
})

test('a stream and a WebSocket are calls that end once they are accepted; a caller that hangs up got no status', async (context) => {
  const collector = await startCollector(context)
  const t = await startTestApp({
    workers: true,
    clock: { now: () => new Date(), advance: () => assert.fail('time goes on by itself') },
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, LONGEST_WAIT_SECONDS: '30' },
  })
  await t.app.http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = t.app.http.server.address() as AddressInfo
  const authorization = `Bearer ${t.reviewer.token}`
  const stream = await openStream(`http://127.0.0.1:${port}/api/v1/stream`, t.reviewer.token)
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/ws`, { headers: { authorization } })
  await once(socket, 'message')
  const { id } = await t.createRequest()
  await eventually('it is told', () => stream.events.some((event) => event.data.includes(id)))
  const waiting = httpRequest({
    port,
    host: '127.0.0.1',
    path: `/api/v1/requests/${id}/wait?timeout_seconds=30`,
    headers: { authorization: `Bearer ${t.apiKey}` },
  }).on('error', () => {})
  waiting.end()
  const waits = () => t.app.realtime.waiting() > 0
  await eventually('it waits', waits)
  waiting.destroy()
  await eventually('it is over', () => !waits())
  // What the service does by itself goes on while both are open.
  await t.createRequest()
  stream.close()
  socket.close()
  await t.stop()
  const named = (name: string): Span => collector.spans.find((span) => span.name === name) ?? assert.fail(name)
  for (const name of ['GET /api/v1/stream', 'GET /api/v1/ws']) assert.equal(attribute(named(name), 'hitl.stream'), true)
  const hungUp = named('GET /api/v1/requests/:id/wait')
  assert.deepEqual(
    ['http.response.status_code', 'error.type'].map((one) => attribute(hungUp, one)),
    [undefined, 'hung_up'],
  )
  // No statement is in a call that was over before it was sent.
  const calls = new Map(collector.spans.map((span) => [span.spanId, span]))
  const late = collector.spans.filter(({ parentSpanId = '', startTimeUnixNano }) => {
    const call = calls.get(parentSpanId)
    return call !== undefined && BigInt(startTimeUnixNano) > BigInt(call.endTimeUnixNano)
  })
  assert.deepEqual(
    late.map(({ name }) => name),
    [],
  )
})

test('the SDK is loaded by nothing but the traces, and only once they are on', async () => {
  const source = join(import.meta.dirname, '../../src')
  const loads = async (what: RegExp): Promise<readonly string[]> => {
    const found: string[] = []
    for await (const file of glob('**/*.ts', { cwd: source })) {
      const code = await readFile(join(source, file), 'utf8')
      // Types are loaded by nobody.
      if (what.test(code.replaceAll(/^import type .*$/gm, ''))) found.push(file)
    }
    return found.sort()
  }
  assert.deepEqual(await loads(/from '@opentelemetry\/(?!api')/), ['traces/tracer.ts'])
  assert.deepEqual(await loads(/from '@opentelemetry\/api'/), ['traces/tracing.ts'])
  assert.deepEqual(await loads(/from '.*\/trac(?:er|ing)\.ts'/), [])
})

test('a caller that does not sample is not sampled, and its trace goes on all the same', async (context) => {
  const collector = await startCollector(context)
  const receiver = await startReceiver()
  context.after(() => receiver.close())
  const t = await startTestApp({ environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } })
  const { body } = await t.call('POST', '/api/v1/requests', {
    as: t.apiKey,
    body: { title: 'One', context: {}, callback_webhook: receiver.url },
    headers: { traceparent: traceparent('00') },
  })
  await t.call('POST', `/api/v1/requests/${body.id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } })
  await t.app.drain()
  await receiver.waitFor(1)
  await t.stop()
  assert.deepEqual(
    collector.spans.filter((span) => span.traceId === traceId),
    [],
  )
  assert.match(String(receiver.requests[0]?.headers.traceparent), new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
})

test('a collector that cannot be reached is one line, and nothing else is different', async (context) => {
  const lines: Readonly<Record<string, unknown>>[] = []
  const log = createLog('info', false, { write: (line) => void lines.push(JSON.parse(line)) })
  const t = await startTestApp({ environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }, log })
  context.after(() => t.stop())
  const told = () => lines.filter(({ msg }) => /traces cannot be sent/.test(String(msg)))
  await eventually('it is told', async () => {
    assert.equal((await t.call('GET', '/api/v1/requests', { as: t.apiKey })).status, 200)
    return told().length > 0
  })
  assert.equal((await t.call('GET', '/api/v1/requests', { as: t.apiKey })).status, 200)
  assert.equal(told().length, 1)
  const calls = lines.filter(({ trace_id }) => /^[0-9a-f]{32}$/.test(String(trace_id)))
  assert.ok(calls.length > 0, 'a call without a trace has the id of its own in the log')
})
