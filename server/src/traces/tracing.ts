import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { traceparentOf } from '../http/trace-context.ts'
import { sqlState } from '../platform/database/errors.ts'
import { type StatementSent, statementsSent } from '../platform/database/statements-sent.ts'
import { Problem } from '../platform/problem.ts'
import type { RequestTraced, TraceModule } from './trace.ts'
import type { OpenTracer } from './tracer.ts'

/**
 * Attributes have the names of OpenTelemetry's semantic conventions 1.45 for HTTP and databases; what these have no words for begins
 * with `hitl.`. Spans hold ids, codes, routes and names of statements, and nothing that people or agents wrote. So the addresses that the
 * conventions ask for (`url.path`, `url.full`, `server.address`) are left out.
 */
export function tracing({ tracer, stop }: OpenTracer): TraceModule {
  const current = new AsyncLocalStorage<Span>()

  /** Those of a call; background work has no trace that they would be part of. */
  const onStatement = (message: unknown): void => {
    const { name, answer } = message as StatementSent
    const parent = current.getStore()
    if (parent?.isRecording() !== true) return
    const attributes = { 'db.system.name': 'postgresql', 'db.query.summary': name }
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, trace.setSpan(ROOT_CONTEXT, parent))
    answer.then(
      () => span.end(),
      (error: unknown) => {
        fail(span, sqlState(error) ?? (error instanceof Problem ? error.code : 'error'))
        span.end()
      },
    )
  }
  subscribe(statementsSent.name, onStatement)

  return {
    serve: (http) => {
      http.addHook('onRequest', (request, reply, done) => {
        const { url: route, config } = request.routeOptions
        if (config?.isProbe === true) return done()
        const traceparent = traceparentOf(request)
        const attributes = {
          'http.request.method': request.method,
          ...(route !== undefined && { 'http.route': route }),
        }
        const name = route === undefined ? request.method : `${request.method} ${route}`
        const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, contextOf(traceparent))
        if (traceparent === null) {
          const log = request.log.child({ trace_id: span.spanContext().traceId })
          request.log = log
          reply.log = log
        }
        // Also when the caller hangs up before the reply.
        reply.raw.once('close', () => {
          const { statusCode, raw } = reply
          if (raw.headersSent) span.setAttribute('http.response.status_code', statusCode)
          else fail(span, 'hung_up')
          if (statusCode >= 500) fail(span, String(statusCode))
          span.end()
        })
        // A stream may last for days: the call is over once it is accepted, and what is told afterwards is not a part of it.
        const { hijack } = reply
        reply.hijack = () => {
          span.setAttribute('hitl.stream', true).end()
          return hijack.call(reply)
        }
        current.run(span, done)
      })
    },
    note: async (tx, _events, changes) => {
      const caller = current.getStore()
      tx.onCommit(() => {
        for (const change of changes) noteChange(change, caller)
      })
    },
    attempt: ({ id, event, roundAttempts, traceparent }) => {
      const attributes = {
        'http.request.method': 'POST',
        'http.request.resend_count': roundAttempts,
        'hitl.delivery.id': id,
        'hitl.event': event,
      }
      const span = tracer.startSpan('callback', { kind: SpanKind.CLIENT, attributes }, contextOf(traceparent))
      return {
        traceparent: traceparentFor(span),
        end: (statusCode, errorCode) => {
          if (statusCode !== null) span.setAttribute('http.response.status_code', statusCode)
          if (errorCode !== null || (statusCode ?? 0) >= 400) fail(span, errorCode ?? String(statusCode))
          span.end()
        },
      }
    },
    stop: async () => {
      unsubscribe(statementsSent.name, onStatement)
      await stop()
    },
  }

  /** In the trace of the agent: how long it waited for people, and how long the decision was held back. */
  function noteChange({ before, after }: RequestTraced, caller: Span | undefined): void {
    if (before === null || after.traceparent === null) return
    const { response } = after
    const span = (name: string, from: Date, until: Date): void => {
      const attributes = {
        'hitl.request.id': after.id,
        'hitl.request.state': after.state,
        'hitl.request.risk': after.risk,
        ...(response?.decision != null && { 'hitl.decision': response.decision }),
      }
      // The call that brought it about has a trace of its own.
      const links = caller === undefined ? [] : [{ context: caller.spanContext() }]
      tracer.startSpan(name, { startTime: from, attributes, links }, contextOf(after.traceparent)).end(until)
    }
    const isAnswered = before.response === null && response !== null
    const isOver = before.state === 'pending' && after.state !== 'pending' && before.response === null
    if (isAnswered) span('hitl.decision', after.createdAt, response.respondedAt)
    else if (isOver) span('hitl.decision', after.createdAt, after.updatedAt)
    const wasHeld = before.heldUntil !== null && before.state === 'pending' && before.response !== null
    if (wasHeld && (after.heldUntil === null || after.state !== 'pending')) {
      span('hitl.hold', before.response?.respondedAt ?? after.updatedAt, after.updatedAt)
    }
  }
}

function fail(span: Span, type: string): void {
  span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR })
}

function contextOf(traceparent: string | null): Context {
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
  })
}

/** W3C Trace Context, version 00. */
function traceparentFor(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return `00-${traceId}-${spanId}-0${traceFlags & 1}`
}
