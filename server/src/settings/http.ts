import { parseRateLimit, type RateLimit } from '../platform/limits/rate-limit.ts'
import { canonicalNetwork, notEverybody } from '../platform/network-address.ts'
import { checked, httpUrl, integer, list, optional, type Setting, text, type Values } from './setting.ts'

const rateLimit = (about: string, fallback: string): Setting<RateLimit | null> => ({
  about: `${about} off: no limit.`,
  example: fallback,
  fallback: parseRateLimit(fallback),
  read: parseRateLimit,
})

export const httpSettings = {
  PORT: integer('Port of the web server.', 8_000, 0, 65_535),
  HOST: text('Address to listen on; 0.0.0.0 for all (as in the image).', '127.0.0.1'),
  PUBLIC_URL: optional(
    'Where people reach the service, for links, with its path if it has one (https://example.com/hitl); default: http://HOST:PORT.',
    'https://hitl.example.com',
    readPublicUrl,
  ),
  CORS_ORIGINS: list(
    'Browser origins whose pages may call the API with a bearer token, comma separated; * for all.',
    'https://app.example.com',
  ),
  TRUSTED_PROXIES: checked(
    list('CIDRs of reverse proxies whose X-Forwarded-For is believed.', '10.0.0.0/8', canonicalNetwork),
    notEverybody,
  ),
  RATE_LIMIT_KEY: rateLimit('Calls per seconds of one API key;', '1000000/60'),
  RATE_LIMIT_PERSON: rateLimit('Calls per seconds of one person;', '1000000/60'),
  RATE_LIMIT_ADDRESS: rateLimit(
    'Calls per seconds without valid credentials from one network (IPv4 address; IPv6 /64, /56 and /48, each);',
    '3000/60',
  ),
  BODY_LIMIT_BYTES: integer(
    'Largest request body of callers with credentials; without, it is 16 KiB.',
    1_048_576,
    1_024,
    67_108_864,
  ),
  MAX_CONNECTIONS: integer(
    'Connections to each process; a new one beyond them is closed. Behind a proxy: more than it keeps open.',
    10_000,
    10,
    1_000_000,
  ),
  REQUEST_TIMEOUT_SECONDS: integer(
    'A call must arrive completely within this time; a client that reads nothing of an export or a stream for this long is disconnected.',
    30,
    1,
    600,
  ),
}

export type HttpSettings = Values<typeof httpSettings> & {
  /** No trailing slash. */
  readonly publicUrl: string
}

/** The first segments of the service's own paths. A test keeps them complete. */
const ownSegments = [
  'api',
  'docs',
  'redoc',
  'openapi.json',
  'setup',
  'password',
  'email',
  'health',
  'livez',
  'readyz',
  'metrics',
  '.well-known',
  'assets',
  'inbox',
  'overview',
  'callbacks',
  'audit',
  'settings',
  'sign-in',
  // Files of the inbox that keep their names.
  'apple-touch-icon.png',
  'icon-192.png',
  'icon-512.png',
  'icon-maskable.png',
  'icon.svg',
  'manifest.webmanifest',
  'service-worker.js',
]

function readPublicUrl(value: string): string {
  const url = httpUrl(value)
  const path = /^https?:\/\/[^/?#@]+((?:\/[\w.~-]+)*)$/i.exec(url)?.[1]
  const segments = path?.split('/').slice(1) ?? ['.']
  if (segments.some((segment) => segment === '.' || segment === '..')) {
    throw new Error('must be an address alone, or one with a plain path, such as https://example.com/hitl')
  }
  // Behind a proxy that takes the path away, nobody could tell /api/v1 from /v1 of the path /api.
  if (ownSegments.includes(segments[0] ?? '')) {
    throw new Error(
      `must not begin its path with /${segments[0]}, which the service has itself: take another, such as /hitl`,
    )
  }
  return url
}

const hereOnly = ['0.0.0.0', '::', '127.0.0.1', '::1']

export const publicUrlOf = ({ PUBLIC_URL, HOST, PORT }: Values<typeof httpSettings>): string =>
  PUBLIC_URL ?? `http://${hereOnly.includes(HOST) ? 'localhost' : HOST}:${PORT}`
