import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Tracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Logger } from '../platform/log.ts'
import type { TraceSettings } from '../settings/traces.ts'
import type { TraceDependencies } from './trace.ts'

/** Spans that wait for the collector; more are dropped. A span is about 1 KB. */
const mostWaiting = 4_096
const everyMs = 2_000
/** An export that takes longer is given up, and so is what is left at a stop. */
const exportMs = 5_000

export interface OpenTracer {
  readonly tracer: Tracer
  readonly stop: () => Promise<void>
}

export function openTracer({
  endpoint,
  log,
  settings,
  version,
}: TraceDependencies & { readonly endpoint: string }): OpenTracer {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint}/v1/traces`,
    headers: { ...settings.OTEL_EXPORTER_OTLP_HEADERS },
    timeoutMillis: exportMs,
  })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': settings.OTEL_SERVICE_NAME,
      'service.version': version,
      // Each process by itself.
      'service.instance.id': randomUUID(),
    }),
    sampler: samplerOf(settings),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: telling(exporter, log),
        maxQueueSize: mostWaiting,
        scheduledDelayMillis: everyMs,
        exportTimeoutMillis: exportMs,
      }),
    ],
  })
  return {
    tracer: provider.getTracer('hitl', version),
    stop: async () => {
      await Promise.race([provider.shutdown().catch(() => {}), delay(exportMs, undefined, { ref: false })])
    },
  }
}

function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: share }: TraceSettings): Sampler {
  const root = name.endsWith('always_on')
    ? new AlwaysOnSampler()
    : name.endsWith('always_off')
      ? new AlwaysOffSampler()
      : new TraceIdRatioBasedSampler(share ?? 1)
  return name.startsWith('parentbased') ? new ParentBasedSampler({ root }) : root
}

/** A collector that does not answer is one line, and another one when it does again. */
function telling(exporter: SpanExporter, log: Logger): SpanExporter {
  let isFailing = false
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const failed = result.error !== undefined || result.code !== 0
        if (failed && !isFailing)
          log.warn({ err: result.error }, 'traces cannot be sent: the collector does not take them')
        if (!failed && isFailing) log.info('traces are sent again')
        isFailing = failed
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
  }
}
