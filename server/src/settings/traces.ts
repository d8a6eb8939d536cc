import { checked, httpUrl, oneOf, optional, secret, text, type Values } from './setting.ts'

/** `name=value` pairs with commas, values percent-encoded (OpenTelemetry, "Protocol Exporter": as W3C Baggage). */
function readHeaders(value: string): Readonly<Record<string, string>> {
  const pairs = value.split(',').map((pair) => pair.trim().split(/=(.*)/s).slice(0, 2) as [string, string?])
  return Object.fromEntries(
    pairs.map(([name, given]) => {
      if (!/^[\w-]{1,100}$/.test(name) || given === undefined || given === '')
        throw new Error('must be name=value, with commas between several, such as authorization=Bearer%20abc')
      return [name.toLowerCase(), headerValue(given.trim())]
    }),
  )
}

function headerValue(encoded: string): string {
  let value: string
  try {
    value = decodeURIComponent(encoded)
  } catch {
    throw new Error('has a value that is not percent-encoded: write a space as %20 and % as %25')
  }
  // RFC 9110, 5.5: what a header cannot carry would fail each export.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) throw new Error('has a value with a character that no header can have')
  return value
}

function readShare(value: string): number {
  const share = Number(value)
  if (value.trim() === '' || !(share >= 0 && share <= 1)) throw new Error('must be a number from 0 to 1')
  return share
}

/** Named and read as the OpenTelemetry specification has them ("Environment Variable Specification"). */
export const traceSettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(
    'Sends traces to this OpenTelemetry collector, as OTLP over HTTP (/v1/traces is added); left out, nothing is traced.',
    'http://localhost:4318',
    httpUrl,
  ),
  OTEL_EXPORTER_OTLP_HEADERS: secret(
    optional('Headers for the collector: name=value, percent-encoded.', 'authorization=Bearer%20abc', readHeaders),
  ),
  OTEL_SERVICE_NAME: checked(text('The name of this service in traces.', 'hitl'), (name) => {
    if (name.length > 255) throw new Error('must have at most 255 characters')
    return name
  }),
  OTEL_TRACES_SAMPLER: oneOf(
    'Which calls are traced; parentbased: as the caller decided, where it says so.',
    'parentbased_always_on',
    [
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
      'always_on',
      'always_off',
      'traceidratio',
    ],
  ),
  OTEL_TRACES_SAMPLER_ARG: optional(
    'The share of calls that traceidratio traces, from 0 to 1; default 1.',
    '0.1',
    readShare,
  ),
}

export type TraceSettings = Values<typeof traceSettings>
