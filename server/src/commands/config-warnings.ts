import ipaddr from 'ipaddr.js'
import type { Config } from '../config.ts'
import { allowsAddress, parseAllowList } from '../outbound/allow-list.ts'
import { type DatabaseTransport, databaseTransport } from '../platform/database/transport.ts'
import { isThisMachine } from '../platform/network-address.ts'

/** A setting that works but is risky. */
export interface Warning {
  readonly setting: string
  readonly message: string
}

interface Weakness {
  readonly setting: keyof Config & string
  readonly when: (config: Config) => boolean
  readonly message: string
}

const weaknesses: readonly Weakness[] = [
  {
    setting: 'NODE_ENV',
    when: (config) => isPublic(config) && !config.production,
    message: 'is not production, though other machines can reach the service: set NODE_ENV=production.',
  },
  {
    setting: 'PUBLIC_URL',
    when: (config) => isPublic(config) && !config.publicUrl.startsWith('https://'),
    message:
      'is not https, though other machines can reach the service: passwords and tokens would cross the network in the clear. Put it behind a proxy that speaks TLS, and set PUBLIC_URL=https://...',
  },
  {
    setting: 'TRUSTED_PROXIES',
    when: (config) =>
      isPublic(config) && config.publicUrl.startsWith('https://') && config.TRUSTED_PROXIES.length === 0,
    message:
      'is empty, though PUBLIC_URL implies a proxy: every call would seem to come from its address, in the audit and for the limits. Name the CIDR of the proxy.',
  },
  {
    setting: 'DATABASE_URL',
    when: (config) => transportOf(config) === 'plain',
    message:
      'leads to another machine without TLS: anyone in between can read everything. Add ?sslmode=verify-full, and DATABASE_CA if you run your own certificate authority.',
  },
  {
    setting: 'DATABASE_URL',
    when: (config) => transportOf(config) === 'unverified',
    message:
      'encrypts, but does not check that the server is your database. Use sslmode=verify-full, and DATABASE_CA if you run your own certificate authority.',
  },
  {
    setting: 'REGISTRATION',
    when: (config) => config.REGISTRATION === 'open' && (config.production || isPublic(config)),
    message:
      'is open: anyone who reaches the service can create an account and see requests. Use invite, unless that is intended.',
  },
  {
    setting: 'CORS_ORIGINS',
    when: (config) => config.CORS_ORIGINS.includes('*') && (config.production || isPublic(config)),
    message: 'is *: any web page may call the API with a token it has got hold of. Name the origins that need to.',
  },
  {
    setting: 'CALLBACK_ALLOW',
    when: (config) => config.production && reachesMetadata(config.CALLBACK_ALLOW),
    message:
      'lets callbacks go to link-local addresses, where clouds hand out credentials (169.254.169.254). Name only your receivers.',
  },
  {
    setting: 'SSO_ALLOW',
    when: (config) => config.production && reachesMetadata(config.SSO_ALLOW),
    message:
      'lets calls go to link-local addresses, where clouds hand out credentials (169.254.169.254). Name only your identity providers.',
  },
  {
    setting: 'ADMIN_PASSWORD',
    when: (config) => config.production && config.ADMIN_PASSWORD !== null,
    message: 'stays in the environment after it has created the first admin: remove it and ADMIN_EMAIL.',
  },
  {
    setting: 'SECRET_KEY',
    when: (config) => config.production && config.SECRET_KEY === null,
    message:
      'is generated into DATA_DIR, beside the data it protects: a copy of that folder opens everything. Bring your own with SECRET_KEY_FILE.',
  },
]

export function warningsFor(config: Config): readonly Warning[] {
  return weaknesses.filter(({ when }) => when(config)).map(({ setting, message }) => ({ setting, message }))
}

/** Whether other machines reach the service directly or through a proxy. */
function isPublic({ HOST, publicUrl }: Config): boolean {
  return !isThisMachine(HOST) || !isThisMachine(new URL(publicUrl).hostname)
}

/** Where clouds hand out credentials. */
const metadata = ['169.254.169.254', 'fd00:ec2::254'].map((address) => ipaddr.parse(address))

function reachesMetadata(allowed: readonly string[]): boolean {
  const list = parseAllowList(allowed)
  return metadata.some((address) => allowsAddress(list, address, null))
}

function transportOf({ DATABASE_URL, DATABASE_CA }: Config): DatabaseTransport {
  return DATABASE_URL === null ? 'local' : databaseTransport(DATABASE_URL, DATABASE_CA)
}
