import type { TraceDependencies, TraceModule } from './trace.ts'

const nothing = async (): Promise<void> => {}

/** The caller's trace is passed on as it came. */
const silent: TraceModule = {
  serve: () => {},
  note: nothing,
  attempt: ({ traceparent }) => ({ traceparent, end: () => {} }),
  stop: nothing,
}

/** Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is traced, and nothing of OpenTelemetry's SDK is loaded. */
export async function createTraceModule(dependencies: TraceDependencies): Promise<TraceModule> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = dependencies.settings
  if (endpoint === null) return silent
  const [{ openTracer }, { tracing }] = await Promise.all([import('./tracer.ts'), import('./tracing.ts')])
  return tracing(openTracer({ ...dependencies, endpoint }))
}
