import { flag, optional, type Rule, secret, text, type Values } from './setting.ts'

/** What nobody guesses, and what a bearer token may be made of (RFC 6750, 2.1). */
function readToken(value: string): string {
  if (!/^[\w.~+/-]{16,1024}=*$/.test(value))
    throw new Error('must be at least 16 letters, digits or -._~+/, such as from openssl rand -hex 32')
  return value
}

function readPort(value: string): number {
  const port = Number(value)
  if (!/^\d+$/.test(value) || port < 1 || port > 65_535) throw new Error('must be a whole number from 1 to 65535')
  return port
}

export const metricsSettings = {
  METRICS_TOKEN: secret(
    optional(
      'Bearer token for Prometheus metrics at /metrics; on the port of the API unless METRICS_PORT is set.',
      'a-long-random-text',
      readToken,
    ),
  ),
  METRICS_PORT: optional(
    'Serves /metrics on a port of its own, without a token unless METRICS_TOKEN is set.',
    '9464',
    readPort,
  ),
  METRICS_HOST: text('Address of METRICS_PORT.', '127.0.0.1'),
  METRICS_PER_ORGANIZATION: flag('Metrics of the 100 organizations with the most open requests, by their ids.', false),
}

export type MetricsSettings = Values<typeof metricsSettings>

export const metricsRules = (values: MetricsSettings & { readonly PORT: number }): readonly Rule[] => [
  [
    values.METRICS_PORT !== null && values.METRICS_PORT === values.PORT,
    'METRICS_PORT must be another one than PORT: leave it out to serve the metrics there, with METRICS_TOKEN',
  ],
]
